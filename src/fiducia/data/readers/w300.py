"""iBUG 300-W in its official layout: ``afw/ helen/{trainset,testset}/ lfpw/{trainset,testset}/ ibug/``.

Beside each ``STEM.jpg`` or ``STEM.png`` lies ``STEM.pts``. Any part may be absent. Splits as everybody uses them:
train = afw + helen/trainset + lfpw/trainset (3,148), common = helen/testset + lfpw/testset (554),
challenge = ibug (135), full = common + challenge (689). Landmarks are 1-based in the files and 0-based from here on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import FiduciaError
from ...structures import Record
from ..formats.pts import read_pts
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import IMAGES, photo_stem

__all__ = ["PARTS", "SPLITS", "read_w300", "scan_faces", "scan_part", "scan_w300"]

PARTS: dict[str, int] = {
    "afw": 337,
    "helen/trainset": 2000,
    "helen/testset": 330,
    "lfpw/trainset": 811,
    "lfpw/testset": 224,
    "ibug": 135,
}
SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "common": ("helen/testset", "lfpw/testset"),
    "challenge": ("ibug",),
    "full": ("helen/testset", "lfpw/testset", "ibug"),
    **{part: (part,) for part in PARTS},
}
FETCH = "https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/ (afw, helen, lfpw, ibug)"
_LAYOUT = "the folders afw, helen/trainset, helen/testset, lfpw/trainset, lfpw/testset, ibug of 300-W"


@dataclass(frozen=True)
class PartFiles:
    """A part's files: complete pairs by stem, and what lacks its partner."""

    pairs: dict[str, tuple[Path, Path]]
    without_image: list[Path]
    without_points: list[Path]


def scan_part(folder: Path) -> PartFiles:
    """Pair the photographs and ``.pts`` files of one folder.

    Endings are taken in any case, and a stray blank in a name (``image_092 _01``) is ignored, in the stem too.
    """
    images: dict[str, Path] = {}
    points: dict[str, Path] = {}
    # A real .pts beats a second spelling of it, and .jpg a .png, whatever order the disk lists them in.
    for path in sorted(folder.iterdir()):
        stem = "".join(path.stem.split())
        if path.name.startswith("."):
            continue
        if path.suffix.lower() in IMAGES:
            images.setdefault(stem, path)
        elif path.suffix.lower() == ".pts":
            points.setdefault(stem, path)
    return PartFiles(
        pairs={stem: (images[stem], points[stem]) for stem in sorted(images) if stem in points},
        without_image=[path for stem, path in sorted(points.items()) if stem not in images],
        without_points=[path for stem, path in sorted(images.items()) if stem not in points],
    )


def read_w300(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read one split of 300-W from whatever parts of it are there.

    Args:
        root: the folder that holds ``afw`` and the others.
        split: ``train``, ``common``, ``challenge``, ``full``, or a part such as ``lfpw/testset``.
        scheme: None or ``ibug68``.

    Returns:
        Records in the order of parts and names; ``id`` is the path below the root without its ending, ``part`` the
        part, ``photo`` the photograph, which several faces of AFW, HELEN and iBUG may share.

    Raises:
        FiduciaError: no part of the split is there, or a ``.pts`` file is broken.
    """
    base = existing_root("300w", root, _LAYOUT)
    records: list[Record] = []
    for found in scan_w300(root, split, scheme):
        if isinstance(found, Record):
            records.append(found)
        elif found.broken:
            raise FiduciaError(found.message)
    if not records:
        there = [part for part in PARTS if (base / part).is_dir()]
        seen = ", ".join(there) if there else ", ".join(sorted(p.name for p in base.iterdir())[:6]) or "nothing"
        raise FiduciaError(
            f"{base}: no face of split {split!r}; looked for {', '.join(SPLITS[split])} with .jpg/.png and .pts files, "
            f"found {seen}; fetch them from {FETCH}"
        )
    return records


def scan_w300(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of one split in order, and a fault for each file that gives none; absent parts give nothing."""
    base = existing_root("300w", root, _LAYOUT)
    if not base.is_dir():
        raise FiduciaError(f"{base}: is a file; expected {_LAYOUT}")
    for part in SPLITS[split]:
        if not (base / part).is_dir():
            continue
        yield from scan_faces(base / part, partial(_tags, part))


def _tags(part: str, stem: str) -> dict[str, str]:
    collection, photo = part.partition("/")[0], f"{part}/{photo_stem(stem)}"
    return {"id": f"{part}/{stem}", "part": part, "collection": collection, "photo": photo}


def scan_faces(folder: Path, tags: Callable[[str], dict[str, str]]) -> Iterator[Record | Fault]:
    """Yield the faces of one part in order, and a fault for each file that gives none.

    Args:
        folder: of the part.
        tags: the stem of a ``.pts`` file → its face's tags.
    """
    files = scan_part(folder)
    for stem, (image, points) in files.pairs.items():
        try:
            xy = read_pts(points, 68)
        except FiduciaError as error:
            yield Fault(str(error), broken=True)
            continue
        yield Record(image=image, xy=xy, visible=np.full(68, 2, dtype=np.int8), scheme="ibug68", tags=tags(stem))
    for path in files.without_image:
        yield Fault(f"{path}: no photograph {path.stem}.jpg or .png beside it; restore it", broken=False)
    for path in files.without_points:
        yield Fault(f"{path}: no {path.stem}.pts beside it; the photograph is not used", broken=False)


datasets.register("300w")(
    DatasetSpec(
        name="300w",
        summary="300-W: AFW, HELEN, LFPW and iBUG photographs with 68 points",
        schemes=("ibug68",),
        splits=tuple(SPLITS),
        counts={split: sum(PARTS[part] for part in parts) for split, parts in SPLITS.items()},
        read=read_w300,
        fetch=FETCH,
        licence="research only; the photographs belong to their owners",
        parts=tuple(PARTS),
        scan=scan_w300,
    )
)
