"""What a worker is told: where to write, the weights and the options. Importing this module imports no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..detectors.registry import fingerprint
from ..plugins import load_plugins

if TYPE_CHECKING:
    from ..predict.predictor import Predictor

__all__ = ["Job"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every worker of a run does alike. All values are plain.

    Attributes:
        out: folder of the results, absolute.
        weights: a shipped name, a file or a run directory.
        detector: as for ``detect``.
        runtime: as for ``detect``.
        device: as for ``detect``.
        second_pass: as for ``detect``.
        flip: as for ``detect``.
        min_face: as for ``detect``.
        min_score: as for ``detect``.
        min_quality: as for ``detect``.
        max_pixels: larger images are refused.
        every: of videos, the detector looks for new faces in every so-many-th frame.
        smooth: of videos, the points are smoothed in time.
        column: of Parquet files, holds the image bytes.
        plugins: Python files to import first.
        threads: of each worker.
        run: tells this run of the program from earlier ones into the same folder.
    """

    out: str
    weights: str = "fifa_tiny"
    detector: str = "auto"
    runtime: str = "auto"
    device: str = "auto"
    second_pass: bool | None = None
    flip: bool | None = None
    min_face: float = 0.0
    min_score: float | None = None
    min_quality: float = 0.0
    max_pixels: int = 100_000_000
    every: int = 15
    smooth: bool = True
    column: str = "image"
    plugins: tuple[str, ...] = ()
    threads: int = 1
    run: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the results."""
        return Path(self.out)

    def facts(self) -> dict[str, Any]:
        """Return the options that decide what the rows say; the same run may go on with another device or engine."""
        ways = {"out", "weights", "runtime", "device", "plugins", "threads", "run"}
        told = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in ways}
        return {**told, "detector": fingerprint(self.detector)}

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for a worker in another process."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, table: dict[str, Any]) -> Job:
        """Return the job of which :meth:`to_json` made these values."""
        return cls(**{**table, "plugins": tuple(table["plugins"])})

    def load(self) -> Predictor:
        """Return the predictor, with the plugins imported.

        Raises:
            FiduciaError: as :func:`fiducia.predict.predictor.load`.
        """
        load_plugins(self.plugins)
        from ..predict.predictor import load

        return load(
            self.weights,
            detector=self.detector,
            device=self.device,
            runtime=self.runtime,
            second_pass=self.second_pass,
            min_face=self.min_face,
            flip=self.flip,
            min_score=self.min_score,
            max_pixels=self.max_pixels,
            min_quality=self.min_quality,
        )
