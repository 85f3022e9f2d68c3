"""The kinds of faults that labels have: what each is called, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import FiduciaError

__all__ = ["KINDS", "LabelError"]

# Names in label files may hold line ends; an error is one line.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

KINDS: Mapping[str, tuple[str, str]] = {
    "form": ("labels of a wrong type or shape", "correct them, or take these faces out"),
    "number": ("numbers that are not finite or are absurdly large", "correct them, or take these faces out"),
    "visibility": ("visibility codes other than 0, 1 and 2", "use 0 unlabelled, 1 occluded, 2 visible"),
    "box": ("boxes of negative size", "give x and y of the upper left corner, and a positive size"),
    "empty-box": ("boxes without area, which are not used", "correct them, or take the crop from the landmarks"),
    "far-box": ("boxes outside their photograph", "correct them, or take the crop from the landmarks"),
    "id": ("ids that stand for two faces or two photographs", "give each a name of its own"),
    "photo": ("labels without a photograph", "restore the photograph or its entry, or take the labels out"),
    "count": ("wrong values of num_keypoints, which is not used", "nothing needs to be done: the codes v count"),
    "size": ("labels made on a photograph of another size or shape", "label the photographs that lie there"),
    "scaled": ("labels made on a resized photograph, which were scaled", "check a few with fiducia data preview"),
    "twin": ("faces that are labelled twice", "take one of each pair out"),
    "far": ("points far outside their photograph", "correct them, or take these faces out"),
    "placeholder": (
        "points at (0, 0) or the like, which often stand for absent ones but are read as labels",
        "mark absent points as such: v = 0, or an empty cell",
    ),
    "unusable": ("faces that cannot be cropped, which are skipped", "label at least two points apart"),
    "names": ("names of points that fit no landmark set", "rename them, or describe the set in a scheme file"),
    "assumed": ("landmark sets told by the number of points alone", "confirm with --scheme, or --scheme none"),
    "scheme": ("doubts about the landmark set", "name the right one with --scheme"),
    "machine": ("labels made by a machine", "correct them by hand before you measure anything with them"),
    "unused": ("entries that are not used", "nothing needs to be done if they are no faces"),
    "file": ("files that cannot be read", "restore them"),
    "other": ("other remarks", ""),
}
"""Kind → what these faults are called, and what to do."""


class LabelError(FiduciaError):
    """A face's labels that cannot be used. Its one line names the file and the place in it.

    Attributes:
        kind: a key of :data:`KINDS`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(_CONTROL.sub(" ", message))
        self.kind = kind
