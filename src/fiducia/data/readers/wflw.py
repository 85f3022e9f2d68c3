"""WFLW (Wu et al. 2018) from its official lists: 98 points, a rectangle and six attributes a face.

Below the root lie ``WFLW_images/`` and ``WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,
test}.txt``: a face a line, 207 columns: x0 y0 … x97 y97, x_min y_min x_max y_max, the attributes pose, expression,
illumination, make-up, occlusion, blur as 0 or 1, and the photograph below ``WFLW_images``. A photograph has several
faces. Coordinates are taken as they stand, as everybody does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import FiduciaError
from ...structures import Record
from ...text import read_text
from ..kinds import LabelError
from ..places import is_file, slashed
from ..source import DatasetSpec, Fault, datasets, existing_root
from ..values import as_word_number
from .official import box_fault, boxes_outside, collect, duplicates, points_far_from_box

__all__ = ["ATTRIBUTES", "read_wflw", "scan_wflw"]

# In the order of the columns, by the names of the official subset lists.
ATTRIBUTES = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")
COUNTS = {
    "train": 7500,
    "test": 2500,
    "largepose": 326,
    "expression": 314,
    "illumination": 698,
    "makeup": 206,
    "occlusion": 736,
    "blur": 773,
}
FETCH = "https://wywu.github.io/projects/LAB/WFLW.html (WFLW_images and the face annotations)"
_LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
_LAYOUT = f"a folder with WFLW_images and {_LISTS}"
_COLUMNS = 207


def read_wflw(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read one split in the order of its list.

    Args:
        root: the folder that holds ``WFLW_images`` and ``WFLW_annotations``.
        split: ``train``, ``test``, or one of :data:`ATTRIBUTES`, a subset of test.
        scheme: None or ``wflw98``.

    Returns:
        Records; ``id`` is ``test/`` + the photograph's path without ending + ``_`` + the face's number in it, ``box`` the
        official rectangle, and each attribute a tag that is true or false.

    Raises:
        FiduciaError: the list is absent, or a line or photograph of it cannot be used.
    """
    base = existing_root("wflw", root, _LAYOUT)
    part = "train" if split == "train" else "test"
    path = _list(base, part)
    if not path.is_file():
        raise FiduciaError(f"{path}: no such file; expected {_LAYOUT} below {base}; fetch them from {FETCH}")
    records = collect(_faces(base, part), f"{path}: holds no face; expected {COUNTS[part]:,} lines; fetch: {FETCH}")
    if split in ATTRIBUTES:
        records = [record for record in records if record.tags[split]]
        if not records:
            raise FiduciaError(f"{path}: no face of it is marked {split}; expected {COUNTS[split]}; use --split test")
    return records


def scan_wflw(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each line that gives none; a subset's faults are told of test."""
    base = existing_root("wflw", root, _LAYOUT)
    part = "train" if split == "train" else "test"
    if not _list(base, part).is_file():
        return
    if split in ATTRIBUTES:
        yield from (f for f in _faces(base, part) if isinstance(f, Record) and f.tags[split])
        return
    places: dict[str, Record] = {}

    def noted() -> Iterator[Record | Fault]:
        for found in _faces(base, part):
            if isinstance(found, Record):
                places[f"line {found.tags['line']}"] = found
            yield found

    yield from boxes_outside(noted())
    yield from duplicates(places, str(_list(base, part)))


def _list(base: Path, part: str) -> Path:
    return base / _LISTS / f"list_98pt_rect_attr_{part}.txt"


def _faces(base: Path, part: str) -> Iterator[Record | Fault]:
    path = _list(base, part)
    images = base / "WFLW_images"
    try:
        lines = read_text(path, "a list of WFLW").splitlines()
    except FiduciaError as error:
        yield Fault(str(error), broken=True, kind="file")
        return
    if not images.is_dir():
        yield Fault(f"{images}: no such folder; expected the photographs of WFLW_images.tar.gz; {FETCH}", broken=True)
        return
    faces: Counter[str] = Counter()
    there: dict[str, bool] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        where = f"{path}: line {number}"
        if len(words) != _COLUMNS:
            yield Fault(f"{where}: {len(words)} columns found, {_COLUMNS} expected{_cure(len(words))}", broken=True)
            continue
        name = slashed(words[-1])
        faces[name] += 1
        try:
            values = np.array(
                [as_word_number(word, f"{where}: column {c}") for c, word in enumerate(words[:-1], start=1)]
            )
        except LabelError as error:
            yield Fault(str(error), broken=True, kind=error.kind)
            continue
        xy, box, flags = values[:196].reshape(98, 2), values[196:200], values[200:]
        if not np.isin(flags, (0, 1)).all():
            yield Fault(
                f"{where}: the attributes are {' '.join(words[200:206])}; expected six times 0 or 1", broken=True
            )
            continue
        if name not in there:
            there[name] = is_file(images / name)
        if not there[name]:
            yield Fault(f"{where}: no photograph {images / name}; extract WFLW_images.tar.gz again", broken=True)
            continue
        fault = box_fault(box)
        if fault is None and points_far_from_box(box, xy):
            fault = f"the rectangle {' '.join(words[196:200])} does not meet the face's points"
        if fault is not None:
            yield Fault(f"{where}: {fault}; correct it; it is not used", broken=False)
        stem = Path(name).with_suffix("").as_posix()
        yield Record(
            image=images / name,
            xy=xy.copy(),
            visible=np.full(98, 2, dtype=np.int8),
            scheme="wflw98",
            box=box.copy() if fault is None else None,
            tags={
                "id": f"{part}/{stem}_{faces[name]}",
                "part": part,
                "photo": stem,
                "line": number,
                **{key: bool(flag) for key, flag in zip(ATTRIBUTES, flags, strict=True)},
            },
        )


def _cure(columns: int) -> str:
    if columns == 197:
        return f" (a subset list?); take the lists of {_LISTS}"
    if columns == 147:
        return " (68 points?); take the 98-point lists as published"
    return " (196 coordinates, 4 of the rectangle, 6 attributes, 1 path); restore the line from the official list"


datasets.register("wflw")(
    DatasetSpec(
        name="wflw",
        summary="WFLW: faces in the wild with 98 points and six attributes",
        schemes=("wflw98",),
        splits=tuple(COUNTS),
        counts=COUNTS,
        read=read_wflw,
        scan=scan_wflw,
        fetch=FETCH,
        licence="research only; the photographs are WIDER FACE's",
        parts=tuple(COUNTS),
    )
)
