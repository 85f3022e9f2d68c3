"""LaPa (Liu et al. 2020): ``{train,val,test}/images/STEM.jpg`` and ``landmarks/STEM.txt``, 106 points.

The first line of a ``.txt`` is 106, then a point ``x y`` a line, taken as they stand. The label maps in ``labels/`` are not
needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...structures import Record
from ...text import read_text
from ..kinds import LabelError
from ..source import DatasetSpec, Fault, datasets, existing_root
from ..values import as_word_number
from .official import collect, photo_stem

__all__ = ["read_lapa", "read_points", "scan_lapa"]

COUNTS = {"train": 18_176, "val": 2000, "test": 2000}
FETCH = "https://github.com/JDAI-CV/lapa-dataset"
_LAYOUT = "a folder with train, val and test of LaPa, each with images and landmarks"


def read_lapa(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read ``train``, ``val`` or ``test`` in the order of the names.

    Returns:
        Records; ``id`` is split + ``/`` + stem, ``photo`` what several faces of one photograph share.

    Raises:
        FiduciaError: no face is there, a file is broken, or its photograph is missing.
    """
    base = existing_root("lapa", root, _LAYOUT)
    nothing = f"{base}: no face of split {split!r}; expected {_LAYOUT}; fetch: {FETCH}"
    return collect(scan_lapa(root, split, scheme), nothing)


def scan_lapa(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each file that cannot be used; an absent split gives nothing."""
    folder = existing_root("lapa", root, _LAYOUT) / split
    if not (folder / "landmarks").is_dir():
        return
    for path in sorted(p for p in (folder / "landmarks").glob("*.txt") if not p.name.startswith(".")):
        image = next((p for s in (".jpg", ".png") if (p := folder / "images" / f"{path.stem}{s}").is_file()), None)
        if image is None:
            yield Fault(f"{path}: no photograph {folder / 'images' / path.stem}.jpg; extract it again", broken=True)
            continue
        try:
            xy = read_points(path)
        except FiduciaError as error:
            yield Fault(str(error), broken=True)
            continue
        yield Record(
            image=image,
            xy=xy,
            visible=np.full(106, 2, dtype=np.int8),
            scheme="lapa106",
            tags={"id": f"{split}/{path.stem}", "part": split, "photo": photo_stem(path.stem)},
        )


def read_points(path: Path) -> npt.NDArray[np.float64]:
    """Read one ``.txt`` of LaPa: float64 ``(106, 2)`` photograph pixels.

    Raises:
        FiduciaError: unreadable, another count, or a line that is no pair of finite numbers.
    """
    text = read_text(path, "106 and as many lines 'x y'")
    lines = [(i, line.split()) for i, line in enumerate(text.splitlines(), 1)]
    rows = [(i, words) for i, words in lines if words]
    if not rows or rows[0][1] != ["106"]:
        found = " ".join(rows[0][1])[:40] if rows else "nothing"
        raise FiduciaError(f"{path}: begins with {found!r}; expected the number 106; is it of another data set?")
    points = []
    for i, words in rows[1:]:
        try:
            point = [as_word_number(word, "") for word in words]
        except LabelError:
            point = []
        if len(point) != 2:
            raise FiduciaError(f"{path}: line {i} is {' '.join(words)[:60]!r}; expected two finite numbers 'x y'")
        points.append(point)
    if len(points) != 106:
        raise FiduciaError(f"{path}: {len(points)} points found, 106 expected; restore the file from its data set")
    return np.array(points)


datasets.register("lapa")(
    DatasetSpec(
        name="lapa",
        summary="LaPa: faces of varied pose, expression and occlusion with 106 points",
        schemes=("lapa106",),
        splits=tuple(COUNTS),
        counts=COUNTS,
        read=read_lapa,
        scan=scan_lapa,
        fetch=FETCH,
        licence="research only",
        parts=tuple(COUNTS),
    )
)
