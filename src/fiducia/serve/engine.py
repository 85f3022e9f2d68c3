"""What computes: weights by name, detectors by name, and the two steps of a photograph."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .._version import __version__
from ..detectors.base import suppress
from ..detectors.registry import describe_detectors, get_detector
from ..errors import FiduciaError, UsageError
from ..faces import Faces
from ..images import Header, HeaderError
from ..images.formats.base import ImageError
from ..images.headers import find_format, parse_with
from ..predict.batches import Found
from ..predict.inputs import open_photo
from ..predict.predictor import Predictor, load
from ..runtimes.auto import describe
from ..runtimes.opening import read_card
from ..weights.card import WeightCard
from ..weights.places import shipped_names
from .bodies import Upload
from .limits import Limits, Problem
from .models import ModelsAnswer, Options, WeightsAnswer

__all__ = ["Engine", "Offer", "default_detectors", "header_of"]


@dataclass(frozen=True, eq=False)
class Offer:
    """Weights that are loaded.

    Attributes:
        predictor: computes their points; its detector is not used.
        card: their model card.
        runtime: what computes them.
    """

    predictor: Predictor
    card: WeightCard
    runtime: str


class Engine:
    """Holds every network and detector that the server offers. The first of each is the default.

    Args:
        weights: shipped names or files; in requests, a file goes by its stem.
        detectors: registered names, or ``NAME:FILE``.
        runtime: see :func:`fiducia.load`.
        device: see :func:`fiducia.load`.
        limits: for pixels and faces.

    Raises:
        UsageError: an unknown name, or two weights of one name.
        FiduciaError: damaged weights.
    """

    def __init__(
        self,
        weights: Sequence[str] = (),
        detectors: Sequence[str] = (),
        *,
        runtime: str = "auto",
        device: str = "auto",
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.offers: dict[str, Offer] = {}
        for given in weights or default_weights():
            name = Path(given).stem if Path(given).suffix else Path(given).name
            if name in self.offers:
                raise UsageError(f"--weights {given}: there are two of the name {name}; rename one file")
            predictor = load(given, detector=None, device=device, runtime=runtime, max_pixels=self.limits.max_pixels)
            self.offers[name] = Offer(predictor, read_card(given), describe(predictor.runtime)[0])
        first = next(iter(self.offers.values())).predictor
        self.finders = {
            name: Predictor(first.runtime, get_detector(name), max_pixels=self.limits.max_pixels)
            for name in detectors or default_detectors()
        }

    def warm_up(self) -> None:
        """Run every network once: the first call is slower than the others."""
        for offer in self.offers.values():
            size = offer.predictor.runtime.size
            offer.predictor.runtime(np.zeros((1, 3, size, size), np.uint8))

    def choose(self, options: Options) -> tuple[str, str]:
        """Return the names of the weights and the detector that a request wants.

        Raises:
            Problem: 422, a name that is not offered. Names are never looked for on the disk.
        """
        chosen = []
        for kind, wanted, known in (
            ("weights", options.weights, list(self.offers)),
            ("detector", options.detector, list(self.finders)),
        ):
            if wanted is not None and wanted not in known:
                raise Problem(
                    422, f"{kind}: this server has no {wanted!r}; it offers {', '.join(known)}", "unknown_name"
                )
            chosen.append(wanted or known[0])
        return chosen[0], chosen[1]

    def find(self, detector: str, upload: Upload) -> tuple[Found, tuple[str, ...]]:
        """Decode a photograph and find its faces, or check the boxes that were given. Any thread may call it.

        Returns:
            The photograph with its faces, and remarks.

        Raises:
            Problem: 415 or 422.
        """
        try:
            photo = replace(open_photo(upload.data, max_pixels=self.limits.max_pixels), name=upload.name)
        except FiduciaError as error:
            raise Problem(422, f"{upload.name}: {str(error).removeprefix('image bytes: ')}", "damaged") from None
        boxes = None if upload.boxes is None else [d.box for d in upload.boxes]
        try:
            _, found = self.finders[detector].find(photo, boxes)
        except FiduciaError as error:
            raise Problem(422, str(error), "boxes" if boxes is not None else "detector") from None
        remarks = photo.remarks
        most = self.limits.max_faces
        if len(found) > most:
            remarks += (f"{len(found)} faces were found; the best {most} are answered",)
            found = suppress(found)[:most]
        return (photo, found), remarks

    def landmarks(self, weights: str, found: Sequence[Found]) -> list[Faces]:
        """Compute the landmarks of faces in several photographs, in batches. For the network's thread."""
        return self.offers[weights].predictor.predict(found)

    @functools.cached_property
    def description(self) -> ModelsAnswer:
        """What ``GET /v1/models`` answers."""
        rows = [
            WeightsAnswer(
                name=name,
                sha256=offer.card.sha256,
                model=offer.card.network,
                runtime=offer.runtime,
                size=offer.predictor.runtime.size,
                licence=offer.card.licence,
                scheme=offer.predictor.runtime.scheme.to_table(),
            )
            for name, offer in self.offers.items()
        ]
        limits = {name: float(value) for name, value in vars(self.limits).items()}
        return ModelsAnswer(version=__version__, weights=rows, detectors=list(self.finders), limits=limits)


def default_weights() -> list[str]:
    """Return the shipped weights, the smallest first."""
    return sorted(shipped_names(), key=lambda name: (name != "fifa_tiny", name))


def default_detectors() -> list[str]:
    """Return every registered detector that works here without a file, the default one first."""
    names = []
    for row in sorted(describe_detectors(), key=lambda row: not row["default"]):
        try:
            get_detector(row["name"])
        except FiduciaError:
            continue
        names.append(row["name"])
    return names


def header_of(upload: Upload, limits: Limits) -> Header:
    """Read what an image file says of itself, before anything is decoded.

    Raises:
        Problem: 400 empty, 413 too many pixels, 415 no image, 422 damaged.
    """
    try:
        functions = find_format(upload.data)
    except HeaderError as error:
        empty = not upload.data
        raise Problem(
            400 if empty else 415, f"{upload.name}: {error}", "empty" if empty else "unsupported_type"
        ) from None
    try:
        header = parse_with(functions, upload.data)
    except UsageError as error:  # a package that reads this format is not installed
        raise Problem(415, f"{upload.name}: {error}", "unsupported_type") from None
    except (ImageError, FiduciaError) as error:
        raise Problem(422, f"{upload.name}: {error}", "damaged") from None
    pixels = header.width * header.height * max(1, header.bits // 8)
    if pixels > limits.max_pixels:
        raise Problem.over(
            "pixels",
            limits.max_pixels,
            f"{upload.name}: {header.width} x {header.height} pixels; at most {limits.max_pixels:,} are taken; shrink it",
        )
    return header
