"""The stamp: what a number means. Two numbers may stand in one table only where their stamps agree.

Published tables mix normalisers, crops and boxes under one name, and the crop alone moves WFLW by more than a point,
so fiducia prints no figure without its stamp.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..schemes.sets import Scheme

__all__ = ["MEASUREMENT", "Protocol", "comparable", "normaliser_indices"]


class Protocol(BaseModel):
    """How a set of figures was measured.

    The fields of :data:`MEASUREMENT` say how it was measured and must agree before two figures are compared;
    the others say what was measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    """The data set's name."""
    split: str
    faces: int
    """Faces in the split, found or not."""
    official: int | None = None
    """Faces that the split officially has, where it is known."""
    partial: bool = False
    """Faces are absent that the split officially has: no published figure of the split is this one's match."""
    scheme: str
    """The landmark set that was scored."""
    points: int
    converted: str | None = None
    """``"prediction wflw98 -> ibug68"`` (or ``truth …``) where weights and data have different landmark sets."""
    excluded: tuple[str, ...] = ()
    """Glob patterns of faces that were left out."""
    crop_source: str
    """``landmarks`` (the true points' tight box), ``dataset`` (the annotated box) or ``detector``."""
    crop_scale: float
    """The box's share of the crop's side."""
    detector: str | None = None
    detector_iou: float | None = None
    """A detector's box belongs to a face from this intersection over union with its true box on."""
    second_pass: bool = False
    """Whether the crop was taken again round the first points."""
    box: str
    """Which box ``nme_box`` and ``nme_diag`` divide by: ``landmarks`` or ``dataset``."""
    normaliser: dict[str, Any]
    """Point indices (0-based) or the formula of each normaliser."""
    frame: str = "original image pixels"
    visibility: str = "all labelled points"
    mean: str = "over points, then over faces"
    labels_sha256: str | None = None
    """Of the true points, and of the boxes that errors are divided by where they are the data set's: labels that were corrected
    give other errors. None = a result from before the stamp had it."""
    flip_test: bool = False
    decode: str | None
    """The decoder that read the heatmaps; None = the network gives points."""
    size: int
    """Side of the network's input in pixels."""
    which: str | None = None
    """``ema``, ``last`` or ``best`` of a training run, as the weights' card says."""
    selection: str | None = None
    """By what the epoch was chosen: ``last epoch``, or ``best on validation``; never by the faces that are measured.
    None = weights that do not say, such as converted ones and ensembles."""
    weights: str
    weights_sha256: str | None = None
    runtime: str
    fiducia: str

    def words(self) -> list[str]:
        """Return the stamp as a few plain lines, for people."""
        boxes = {"landmarks": "the true points' tight box", "dataset": "the data set's own box"}
        crop = boxes.get(self.crop_source, f"the detector {self.detector} (IoU >= {self.detector_iou})")
        eyes = self.normaliser.get("ic")
        reading = self.decode or "none, the network gives points"
        short = f" of the official {self.official}" if self.official not in (None, self.faces) else ""
        lines = [
            f"{self.data}, split {self.split}: {self.faces} face{'s' * (self.faces != 1)}{short}, "
            f"{self.points} points ({self.scheme})",
            f"crop from {crop}, which fills {self.crop_scale:g} of the side; {self.size} px"
            + ("; second pass round the first points" if self.second_pass else "")
            + ("; flip test" if self.flip_test else ""),
            f"errors in {self.frame}, {self.visibility}, mean {self.mean}",
            (f"ic = points {eyes[0]} and {eyes[1]}; " if eyes else "") + f"box = sqrt(w h) of {boxes[self.box]}",
            f"decode {reading}; weights {self.weights} (sha256 {(self.weights_sha256 or 'unknown')[:12]}"
            + (f"; {self.selection}" if self.selection else "")
            + (", averaged" if self.which in ("ema", "best", "average") else "")
            + f"); {self.runtime}; fiducia {self.fiducia}",
        ]
        if self.partial:
            lines.insert(1, f"PARTIAL: no match for published figures, which are of all {self.official} faces")
        if self.converted:
            lines.insert(1, f"converted: {self.converted}")
        if self.excluded:
            lines.insert(1, f"without {', '.join(self.excluded)}")
        return lines


MEASUREMENT = (
    "data",
    "split",
    "faces",
    "scheme",
    "points",
    "converted",
    "excluded",
    "crop_source",
    "detector",
    "detector_iou",
    "box",
    "normaliser",
    "frame",
    "visibility",
    "mean",
    "labels_sha256",
    "selection",
)
"""Fields that must agree; labels and a selection that one of the two does not state forbid nothing. The rest (weights, crop
scale, size, decode, runtime, flip test, second pass) belongs to the weights: each is measured by its own."""

_STATED = ("labels_sha256", "selection")
"""Fields that some results do not state."""


def comparable(a: Protocol | Mapping[str, Any], b: Protocol | Mapping[str, Any]) -> list[str]:
    """Return what forbids comparing two figures, one line each; an empty list = they may be compared.

    Args:
        a: a stamp, or the ``protocol`` object of a result's JSON; a field that it lacks differs from one that is there.
        b: the other.
    """
    p, q = (x.model_dump(mode="json") if isinstance(x, Protocol) else dict(x) for x in (a, b))
    # Weights that do not say how their epoch was chosen stay comparable, and results from before the stamp had a field.
    fields = [name for name in MEASUREMENT if name not in _STATED or (p.get(name) and q.get(name))]
    return [f"{name}: {p.get(name)!r} and {q.get(name)!r}" for name in fields if p.get(name) != q.get(name)]


def normaliser_indices(scheme: Scheme) -> dict[str, Any]:
    """Return the normalisers of a scheme for the stamp: indices, or null where it has no such points."""
    return {
        "ic": None if scheme.inter_ocular is None else list(scheme.inter_ocular),
        "ip": None if scheme.inter_pupil is None else [list(indices) for indices in scheme.inter_pupil],
        "box": "sqrt(w*h)",
        "diag": "sqrt(w^2+h^2)",
    }
