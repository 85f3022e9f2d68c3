"""COFW (Burgos-Artizzu et al. 2013) with 29 points and occlusion, and its re-annotation COFW-68 (Ghiasi & Fowlkes 2015).

``COFW_train_color.mat`` and ``COFW_test_color.mat`` are Matlab 7.3 files, that is HDF5 with every array transposed:
``IsTr``/``IsT`` a cell array of photographs (H, W, 3), some of them grey (H, W); ``phisTr``/``phisT`` N x 87: 29 x, 29 y,
29 times 1 where the point is occluded; ``bboxesTr``/``bboxesT`` N x 4: x, y, width, height. The photographs live inside,
so they are written out once as PNG, into ``COFW_test_color-MARK/`` beside the file, or below the user's cache where
nothing can be written there. Coordinates are taken as they stand.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError, UsageError
from ...images import write_image
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import Array, box_fault, boxes_outside, collect, load_mat, need, points_far_from_box, shaped

__all__ = ["read_cofw", "read_cofw68", "scan_cofw", "scan_cofw68"]

COUNTS = {"train": 1345, "test": 507}
FETCH = "https://data.caltech.edu (search for Caltech Occluded Faces in the Wild: COFW_train_color.mat, COFW_test_color.mat)"
FETCH_68 = f"https://github.com/golnazghiasi/cofw68-benchmark (COFW68_Data), and {FETCH}"
_LICENCE = "research only; the photographs belong to their owners"
_VARIABLES = {"train": ("IsTr", "phisTr", "bboxesTr"), "test": ("IsT", "phisT", "bboxesT")}
_WHAT = "COFW_train_color.mat and COFW_test_color.mat"
_WHAT_68 = "COFW_test_color.mat, and test_annotations/ of COFW68_Data"


@dataclass(frozen=True, eq=False)
class _Part:
    """One file's contents: ``pictures`` are paths or the line that says what is wrong with that picture."""

    path: Path
    pictures: list[Path | str]
    phis: Array
    boxes: Array


def read_cofw(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read ``train`` or ``test`` in the file's order; writes the photographs out the first time.

    Returns:
        Records; ``id`` is ``test/0001``, counted from 1, ``visible`` 1 where a point is occluded and 2 elsewhere, ``box``
        the file's own.

    Raises:
        UsageError: h5py is not installed.
        FiduciaError: the file is absent, damaged or of another kind, or a photograph in it is.
    """
    base = existing_root("cofw", root, f"the folder with {_WHAT}")
    nothing = f"{base}: no COFW_{split}_color.mat found; expected {_WHAT}; fetch them from {FETCH}"
    return collect(scan_cofw(root, split, scheme), nothing)


def scan_cofw(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each face or file that cannot be used."""
    base = existing_root("cofw", root, f"the folder with {_WHAT}")
    path = _find(base, split)
    if path is None:
        return
    try:
        part = _load(path, split)
    except FiduciaError as error:
        if isinstance(error, UsageError):
            raise
        yield Fault(str(error), broken=True)
        return
    yield from boxes_outside(_faces(part, split))


def _faces(part: _Part, split: str) -> Iterator[Record | Fault]:
    for i, (picture, phi, box) in enumerate(zip(part.pictures, part.phis, part.boxes, strict=True), start=1):
        where = f"{part.path}: face {i}"
        if isinstance(picture, str):
            yield Fault(f"{where}: {picture}", broken=True)
            continue
        if not np.isin(phi[58:], (0, 1)).all():
            yield Fault(f"{where}: an occlusion flag is neither 0 nor 1; is it another .mat file?", broken=True)
            continue
        xy = np.stack([phi[:29], phi[29:58]], axis=1)
        corners, fault = _checked(box, xy)
        if fault is not None:
            yield Fault(f"{where}: {fault}; it is not used", broken=False)
        yield Record(
            image=picture,
            xy=xy,
            visible=np.where(phi[58:] == 1, 1, 2).astype(np.int8),
            scheme="cofw29",
            box=corners,
            tags={"id": f"{split}/{i:04d}", "part": split, "photo": f"{split}/{i:04d}"},
        )


def read_cofw68(root: str, split: str = "test", scheme: str | None = None) -> list[Record]:
    """Read the 507 test faces of COFW with 68 points; there is no training set, one trains on 300-W.

    Args:
        root: the folder with ``COFW_test_color.mat`` and ``test_annotations/N_points.mat`` (Points 68 x 2, Occ 1 x 68), the
            latter in ``COFW68_Data`` or not; the boxes of ``cofw68_test_bboxes.mat`` (x, y, width, height) where it is there.
        split: ``test``.
        scheme: None or ``ibug68``.

    Raises:
        UsageError: h5py or scipy is not installed.
        FiduciaError: a file is absent, damaged or of another kind.
    """
    base = existing_root("cofw68", root, f"the folder with {_WHAT_68}")
    return collect(scan_cofw68(root, split, scheme), f"{base}: no {_WHAT_68} found; fetch them from {FETCH_68}")


def scan_cofw68(root: str, split: str = "test", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of COFW-68, and a fault for each face or file that cannot be used."""
    base = existing_root("cofw68", root, f"the folder with {_WHAT_68}")
    home = next((h for h in (base, base / "COFW68_Data") if (h / "test_annotations").is_dir()), None)
    path = _find(base, "test")
    if home is None or path is None:
        if home is not None or path is not None:
            absent = "COFW_test_color.mat" if path is None else "test_annotations/"
            yield Fault(f"{base}: {absent} is not there; expected {_WHAT_68}; fetch: {FETCH_68}", broken=True)
        return
    try:
        part = _load(path, "test")
        boxes = _boxes_68(home, len(part.pictures))
    except FiduciaError as error:
        if isinstance(error, UsageError):
            raise
        yield Fault(str(error), broken=True)
        return
    yield from boxes_outside(_faces_68(part, home, boxes))


def _faces_68(part: _Part, home: Path, boxes: Array | None) -> Iterator[Record | Fault]:
    for i, picture in enumerate(part.pictures, start=1):
        path = home / "test_annotations" / f"{i}_points.mat"
        if isinstance(picture, str):
            yield Fault(f"{part.path}: face {i}: {picture}", broken=True)
            continue
        try:
            table = load_mat(path, ("Points", "Occ"), "points of COFW-68")
            xy = shaped(path, "Points", table["Points"], (68, 2))
            hidden = shaped(path, "Occ", table["Occ"], (1, 68))[0]
        except FiduciaError as error:
            if isinstance(error, UsageError):
                raise
            yield Fault(str(error), broken=True)
            continue
        corners, fault = _checked(boxes[i - 1], xy) if boxes is not None else (None, None)
        if fault is not None:
            yield Fault(f"{home / 'cofw68_test_bboxes.mat'}: face {i}: {fault}; it is not used", broken=False)
        yield Record(
            image=picture,
            xy=xy,
            visible=np.where(hidden != 0, 1, 2).astype(np.int8),
            scheme="ibug68",
            box=corners,
            tags={"id": f"test/{i:04d}", "part": "test", "photo": f"test/{i:04d}"},
        )


def _boxes_68(home: Path, faces: int) -> Array | None:
    path = home / "cofw68_test_bboxes.mat"
    if not path.is_file():
        return None
    return shaped(path, "bboxes", load_mat(path, ("bboxes",), "boxes of COFW-68")["bboxes"], (faces, 4))


def _checked(box: Array, xy: Array) -> tuple[Array | None, str | None]:
    """Return ``x1 y1 x2 y2`` of ``x y w h``, or None and what is wrong with it."""
    corners = np.concatenate([box[:2], box[:2] + box[2:]])
    fault = box_fault(corners)
    if fault is None and points_far_from_box(corners, xy):
        fault = f"the box {' '.join(f'{v:g}' for v in box)} (x y w h) does not meet the face's points"
    return (corners if fault is None else None), fault


def _find(base: Path, split: str) -> Path | None:
    """Return the split's file: in colour, else the grey edition, which has the same variables."""
    names = (f"COFW_{split}_color.mat", f"COFW_{split}.mat")
    places = (base, base / "COFW_color", base / "COFW", base / "common" / "xpburgos" / "behavior" / "code" / "pose")
    return next((place / name for name in names for place in places if (place / name).is_file()), None)


def _load(path: Path, split: str) -> _Part:
    """Read one file, and write its pictures out unless that was done.

    Raises:
        UsageError: h5py is not installed.
        FiduciaError: not HDF5, damaged, another file's variables, or contradicting lengths.
    """
    h5py = need("h5py", f"{path}: reading COFW")
    cells, phis, boxes = _VARIABLES[split]
    if not h5py.is_hdf5(path):
        raise FiduciaError(
            f"{path}: is no Matlab 7.3 (HDF5) file, or its beginning is damaged; expected {_WHAT}; download it again: {FETCH}"
        )
    try:
        with h5py.File(path, "r") as file:
            absent = [name for name in (cells, phis, boxes) if name not in file]
            if absent:
                there = ", ".join(sorted(key for key in file if not key.startswith("#"))) or "nothing"
                raise FiduciaError(f"{path}: has no variable {absent[0]}, but {there}; expected {_WHAT}")
            if not isinstance(file[cells], h5py.Dataset) or file[cells].dtype != h5py.ref_dtype:
                raise FiduciaError(f"{path}: {cells} is no cell array of photographs; expected {_WHAT}")
            references = np.ravel(file[cells][()])
            points = shaped(path, phis, np.transpose(file[phis][()]), (None, 87))
            frames = shaped(path, boxes, np.transpose(file[boxes][()]), (None, 4))
            if not len(references) == len(points) == len(frames):
                raise FiduciaError(
                    f"{path}: {len(references)} photographs, {len(points)} faces and {len(frames)} boxes; "
                    "expected as many of each; download it again"
                )
            mark = hashlib.sha256(f"{path.stat().st_size} {cells}".encode() + points.tobytes() + frames.tobytes())
            pictures = _pictures(path, file, references, _folder(path, mark.hexdigest()[:8]))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        # What h5py raises where blocks of the file are damaged or cut off.
        raise FiduciaError(f"{path}: damaged HDF5 ({error}); download it again: {FETCH}") from error
    return _Part(path, pictures, points, frames)


def _pictures(path: Path, file: Any, references: npt.NDArray[Any], folder: Path) -> list[Path | str]:
    """Return the PNG of each picture, or the line that says why there is none.

    Each is written whole and none is written twice, so a run that was cut off goes on where it ended.
    """
    pictures: list[Path | str] = []
    for i, reference in enumerate(references, start=1):
        target = folder / f"{i:04d}.png"
        if not target.is_file():
            try:
                write_image(target, _rgb(file[reference][()]))
            except (OSError, RuntimeError, KeyError, ValueError) as error:
                pictures.append(f"its photograph cannot be read ({error}); download the file again: {FETCH}")
                continue
        pictures.append(target)
    return pictures


def _rgb(stored: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3) of a picture as HDF5 has it: (3, W, H), or (W, H) where it is grey.

    Raises:
        ValueError: it is neither.
    """
    array = np.asarray(stored)
    if (
        array.dtype != np.uint8
        or array.size == 0
        or not (array.ndim == 2 or (array.ndim == 3 and len(array) in (1, 3)))
    ):
        raise ValueError(f"{array.dtype} {array.shape} found, uint8 (3, W, H) or (W, H) expected")
    picture = np.transpose(array)
    if picture.ndim == 2:
        picture = picture[:, :, None]
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def _folder(path: Path, mark: str) -> Path:
    """Return where a file's pictures go: beside it, or in the user's cache where that cannot be written.

    The mark is made of the annotations: another edition of the file has a folder of its own.
    """
    name = f"{path.stem}-{mark}"
    beside = path.parent / name
    if beside.is_dir() or os.access(path.parent, os.W_OK):
        return beside
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "fiducia" / name


datasets.register("cofw")(
    DatasetSpec(
        name="cofw",
        summary="COFW: occluded faces with 29 points and their visibility",
        schemes=("cofw29",),
        splits=tuple(COUNTS),
        counts=COUNTS,
        read=read_cofw,
        scan=scan_cofw,
        fetch=FETCH,
        licence=_LICENCE,
        parts=tuple(COUNTS),
    )
)
datasets.register("cofw68")(
    DatasetSpec(
        name="cofw68",
        summary="COFW-68: the test faces of COFW with 68 points and their visibility",
        schemes=("ibug68",),
        splits=("test",),
        counts={"test": 507},
        read=read_cofw68,
        scan=scan_cofw68,
        fetch=FETCH_68,
        licence=_LICENCE,
        parts=("test",),
    )
)
