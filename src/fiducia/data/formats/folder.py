"""A folder of photographs and ``.pts`` files, read (``pts:FOLDER``) and written.

``STEM.pts`` belongs to the photograph ``STEM`` beside it; where there is none, ``STEM_1.pts``, ``STEM_2.pts`` … are the
faces of one photograph ``STEM``. Folders may be nested.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...errors import FiduciaError, UsageError
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .own import choose_scheme, choose_split
from .pts import read_pts, write_pts

__all__ = ["read_folder", "scan_folder", "write_folder"]

_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def scan_folder(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a folder in the order of their paths, and a fault for each file that gives none."""
    base = existing_root("pts", root, "a folder of photographs and .pts files")
    # By their paths without endings: with_suffix("") would cut "a.b" down to "a".
    images = {p.parent / p.stem: p for p in sorted(base.rglob("*")) if p.suffix.lower() in _IMAGES}
    used: set[Path] = set()
    count: int | None = None
    for path in sorted(p for p in base.rglob("*") if p.suffix.lower() == ".pts" and not p.name.startswith(".")):
        stem, _, number = path.stem.rpartition("_")
        image = images.get(path.parent / path.stem)
        if image is None and number.isdigit():
            image = images.get(path.parent / stem)
        try:
            xy = read_pts(path, count)
        except FiduciaError as error:
            yield Fault(str(error), broken=True)
            continue
        if image is None:
            yield Fault(f"{path}: no photograph {path.stem}.jpg or .png beside it; restore it", broken=False)
            continue
        count = len(xy)
        used.add(image)
        place = path.relative_to(base)
        photo = image.relative_to(base)
        yield Record(
            image=image,
            xy=xy,
            visible=np.full(count, 2, dtype=np.int8),
            scheme=choose_scheme(str(path), count, scheme),
            tags={"id": (place.parent / place.stem).as_posix(), "photo": (photo.parent / photo.stem).as_posix()},
        )
    for image in sorted(set(images.values()) - used):
        yield Fault(f"{image}: no .pts file belongs to it; the photograph is not used", broken=False)


def read_folder(root: str, split: str = "all", scheme: str | None = None) -> list[Record]:
    """Read every face of a folder.

    Raises:
        FiduciaError: no face, a broken ``.pts``, or faces of different numbers of points.
        UsageError: an unknown landmark set, or a split other than ``all`` and ``train``.
    """
    records: list[Record] = []
    for found in scan_folder(root, split, scheme):
        if isinstance(found, Record):
            records.append(found)
        elif found.broken:
            raise FiduciaError(found.message)
    if not records:
        raise FiduciaError(f"{root}: no face found; expected photographs with a .pts file of the same name beside each")
    return choose_split(root, records, split)


def write_folder(folder: str | Path, records: Sequence[Record]) -> None:
    """Write ``ID.pts`` for each face and copy its photograph to ``ID`` with its own ending.

    Boxes and visibility are lost, for the format has no place for them.

    Raises:
        FiduciaError: an unlabelled point, or a photograph that cannot be copied.
        UsageError: an id that would leave the folder.
    """
    folder = Path(folder)
    for record in records:
        target = folder / record.id
        if not target.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{folder}: the face {record.id!r} would be written outside of it; give it another id")
        try:
            write_pts(target.with_name(f"{target.name}.pts"), record.xy)
            copy = target.with_name(f"{target.name}{record.image.suffix}")
            if not (copy.exists() and copy.samefile(record.image)):
                shutil.copyfile(record.image, copy)
        except FiduciaError as error:
            raise FiduciaError(f"{record.id}: {error}") from error
        except OSError as error:
            raise FiduciaError(f"{record.image}: cannot be copied into {folder} ({error})") from error


datasets.register("pts")(
    DatasetSpec(
        name="pts",
        summary="own faces: a folder of photographs with .pts files beside them",
        splits=(),
        read=read_folder,
        scan=scan_folder,
        parts=("all",),
        fetch="your own folder",
    )
)
