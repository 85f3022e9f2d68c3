"""AFLW-19 (Zhu et al. 2016, on AFLW by Koestinger et al. 2011) from ``AFLWinfo_release.mat``.

``bbox`` 24,386 x 4: left, right, top, bottom; ``data`` 24,386 x 38: 19 x, then 19 y; ``mask_new`` 24,386 x 19: 1 where the
point is visible (hidden points are located too); ``nameList`` the photographs below ``data/flickr``; ``ra`` a permutation
that counts from 1, whose first 20,000 faces train. Frontal = test faces with every point visible. Figures on AFLW are
divided by the annotated box, so it is kept. Coordinates are taken as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError, UsageError
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import Array, box_fault, boxes_outside, collect, duplicates, load_mat, points_far_from_box, shaped

__all__ = ["read_aflw", "scan_aflw"]

TRAIN = 20_000
COUNTS = {"train": TRAIN, "full": 4386, "frontal": 1314}
FETCH = (
    "http://mmlab.ie.cuhk.edu.hk/projects/compositional.html (AFLWinfo_release.mat); the photographs after an agreement "
    "with https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw"
)
_NAME = "AFLWinfo_release.mat"
_LAYOUT = f"a folder with {_NAME} and data/flickr/{{0,2,3}}"
_PLACES = ("data/flickr", "aflw/data/flickr", "flickr", "images", ".")


@dataclass(frozen=True, eq=False)
class _Table:
    """The file's contents, a row a face; ``order`` counts from 0."""

    xy: Array
    boxes: Array
    visible: npt.NDArray[np.bool_]
    names: list[str]
    order: npt.NDArray[np.int64]


def read_aflw(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read ``train``, ``full`` or ``frontal``, in the order of ``ra``.

    Args:
        root: the folder with ``AFLWinfo_release.mat`` and ``data/flickr``.
        split: one of the three.
        scheme: None or ``aflw19``.

    Returns:
        Records; ``id`` is the photograph's path without ending + ``_`` + the face's row counted from 1, ``visible`` 1 where
        a point is hidden, ``box`` the annotated box, and the tag ``frontal`` true where every point is visible.

    Raises:
        UsageError: scipy is not installed.
        FiduciaError: the file is absent, damaged or of another kind, or a photograph of the split is not there.
    """
    base = existing_root("aflw", root, _LAYOUT)
    path = base / _NAME
    if not path.is_file():
        raise FiduciaError(f"{path}: no such file; expected {_LAYOUT}; fetch: {FETCH}")
    table = _load(path)
    nothing = (
        f"{path}: {len(table.names):,} faces, none of them in {split!r}; expected 24,386; download it again: {FETCH}"
    )
    return collect(_faces(base, table, split), nothing)


def scan_aflw(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each that cannot be used; those of frontal are told of full."""
    base = existing_root("aflw", root, _LAYOUT)
    path = base / _NAME
    if not path.is_file():
        return
    try:
        table = _load(path)
    except UsageError:
        raise
    except FiduciaError as error:
        # One file holds all splits: it is broken once.
        if split == "train":
            yield Fault(str(error), broken=True)
        return
    if split == "frontal":
        yield from (found for found in _faces(base, table, split) if isinstance(found, Record))
        return
    places: dict[str, Record] = {}
    for found in boxes_outside(_faces(base, table, split)):
        if isinstance(found, Record):
            places[f"face {found.tags['row']}"] = found
        yield found
    yield from duplicates(places, str(path))


def _faces(base: Path, table: _Table, split: str) -> Iterator[Record | Fault]:
    path = base / _NAME
    flickr = next((base / p for p in _PLACES if any((base / p / n).is_dir() for n in ("0", "2", "3"))), None)
    if flickr is None:
        yield Fault(f"{base / 'data/flickr'}: no such folder; expected the photographs of AFLW; {FETCH}", broken=True)
        return
    there: dict[str, bool] = {}
    for i in table.order[:TRAIN] if split == "train" else table.order[TRAIN:]:
        visible, name, xy = table.visible[i], table.names[i], table.xy[i]
        frontal = bool(visible.all())
        if split == "frontal" and not frontal:
            continue
        where = f"{path}: face {i + 1}"
        if name not in there:
            there[name] = (flickr / name).is_file()
        if not there[name]:
            yield Fault(f"{where}: no photograph {flickr / name}; extract AFLW's archives again", broken=True)
            continue
        left, right, top, bottom = table.boxes[i].tolist()
        box = np.array([left, top, right, bottom])
        fault = box_fault(box)
        if fault is not None:
            # Without its box a face has no NME on AFLW.
            yield Fault(f"{where}: {fault}; expected left, right, top, bottom; download it again", broken=True)
            continue
        if points_far_from_box(box, xy):
            yield Fault(f"{where}: the box {box.tolist()} does not meet the face's points; leave it out", broken=False)
        stem = Path(name).with_suffix("").as_posix()
        yield Record(
            image=flickr / name,
            xy=xy.copy(),
            visible=np.where(visible, 2, 1).astype(np.int8),
            scheme="aflw19",
            box=box,
            tags={
                "id": f"{stem}_{i + 1}",
                "part": "train" if split == "train" else "full",
                "photo": stem,
                "row": int(i) + 1,
                "frontal": frontal,
            },
        )


def _load(path: Path) -> _Table:
    table = load_mat(path, ("bbox", "data", "mask_new", "nameList", "ra"), _NAME)
    data = shaped(path, "data", table["data"], (None, 38))
    n = len(data)
    boxes = shaped(path, "bbox", table["bbox"], (n, 4))
    mask = shaped(path, "mask_new", table["mask_new"], (n, 19))
    order = shaped(path, "ra", np.ravel(table["ra"]), (n,))
    if not np.array_equal(np.sort(order), np.arange(1, n + 1)):
        raise FiduciaError(f"{path}: ra is no permutation of 1 to {n:,}; expected the file as published; {FETCH}")
    if not np.isin(mask, (0, 1)).all():
        row = int(np.flatnonzero(~np.isin(mask, (0, 1)).all(axis=1))[0]) + 1
        raise FiduciaError(
            f"{path}: mask_new of face {row} is neither 0 nor 1; expected the file as published; {FETCH}"
        )
    cells = np.ravel(table["nameList"])
    names = [str(np.ravel(cell)[0]) if np.size(cell) else "" for cell in cells]
    if len(names) != n or not all(names):
        raise FiduciaError(f"{path}: nameList has {sum(map(bool, names)):,} names for {n:,} faces; download it again")
    xy = np.stack([data[:, :19], data[:, 19:]], axis=2)
    # Names of some copies come with blanks around them or with backslashes.
    tidy = [name.strip().replace("\\", "/") for name in names]
    return _Table(xy, boxes, mask == 1, tidy, order.astype(np.int64) - 1)


datasets.register("aflw")(
    DatasetSpec(
        name="aflw",
        summary="AFLW-19: faces of any pose with 19 points, visibility and a box",
        schemes=("aflw19",),
        splits=("full", "frontal", "train"),
        counts=COUNTS,
        read=read_aflw,
        scan=scan_aflw,
        fetch=FETCH,
        licence="research only, by agreement with Graz University of Technology",
        parts=("train", "full", "frontal"),
    )
)
