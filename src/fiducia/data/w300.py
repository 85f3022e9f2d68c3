"""iBUG 300-W in its official layout: ``afw/ helen/{trainset,testset}/ lfpw/{trainset,testset}/ ibug/``.

Beside each ``STEM.jpg`` or ``STEM.png`` lies ``STEM.pts``. Any part may be absent. Splits as everybody uses them:
train = afw + helen/trainset + lfpw/trainset (3,148), common = helen/testset + lfpw/testset (554),
challenge = ibug (135), full = common + challenge (689). Landmarks are 1-based in the files and 0-based from here on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..structures import FiduciaError, Record
from .formats import read_pts
from .source import DatasetSpec, datasets, existing_root

__all__ = ["PARTS", "SPLITS", "read_w300", "scan_part"]

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
_IMAGES = (".jpg", ".jpeg", ".png")
# "134212_2" is the second face of photograph 134212; "image_0012" is a photograph of its own.
_FACE_NUMBER = re.compile(r"^(.*\d)_\d+$")


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
        if path.suffix.lower() in _IMAGES:
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
    for part in SPLITS[split]:
        folder = base / part
        if not folder.is_dir():
            continue
        for stem, (image, points) in scan_part(folder).pairs.items():
            face = _FACE_NUMBER.match(stem)
            records.append(
                Record(
                    image=image,
                    xy=read_pts(points, 68),
                    visible=np.full(68, 2, dtype=np.int8),
                    scheme="ibug68",
                    tags={"id": f"{part}/{stem}", "part": part, "photo": f"{part}/{face[1] if face else stem}"},
                )
            )
    if not records:
        there = [part for part in PARTS if (base / part).is_dir()]
        found = ", ".join(there) if there else ", ".join(sorted(p.name for p in base.iterdir())[:6]) or "nothing"
        raise FiduciaError(
            f"{base}: no face of split {split!r}; looked for {', '.join(SPLITS[split])} with .jpg/.png and .pts files, "
            f"found {found}; fetch them from {FETCH}"
        )
    return records


def _audit(root: str) -> list[str]:
    base = existing_root("300w", root, _LAYOUT)
    lines: list[str] = []
    for part in PARTS:
        if (base / part).is_dir():
            files = scan_part(base / part)
            lines += [f"{path}: has no photograph beside it" for path in files.without_image]
            lines += [f"{path}: has no .pts file beside it" for path in files.without_points]
    return lines


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
        audit=_audit,
    )
)
