"""MERL-RAV (Kumar et al. 2020): 68 points on AFLW's photographs, each visible, hidden by something, or by the head itself.

``{frontal,left,lefthalf,right,righthalf}/{trainset,testset}/`` hold ``STEM.pts`` beside ``STEM.jpg`` as the authors'
script organises them, or ``labels/STEM.pts`` as they publish them, with AFLW's photographs in ``aflw/flickr/{0,2,3}/``.
A pair of negative numbers is a point that something hides at (|x|, |y|); (-1, -1) is a point behind the head, of which
nothing is known. As in every ``.pts``, coordinates count from 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...structures import Record
from ..formats.pts import read_pts
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import IMAGES, collect

__all__ = ["read_merl", "scan_merl", "three_states"]

POSES = ("frontal", "left", "lefthalf", "right", "righthalf")
_GROUPS = {"frontal": "frontal", "lefthalf": "half", "righthalf": "half", "left": "profile", "right": "profile"}
"""Folder → collection, by how far the head is turned and not to which side."""
SPLITS: dict[str, tuple[str, ...]] = {
    "train": tuple(f"{pose}/trainset" for pose in POSES),
    "test": tuple(f"{pose}/testset" for pose in POSES),
    **{f"{pose}/{half}": (f"{pose}/{half}",) for pose in POSES for half in ("trainset", "testset")},
}
FETCH = (
    "https://github.com/abhi1kumar/MERL-RAV_dataset (labels) and, after an agreement, "
    "https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw (photographs)"
)
_LAYOUT = "merl_rav_organized, with frontal/trainset, frontal/testset, left/… of MERL-RAV"


def read_merl(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read ``train``, ``test`` or a part such as ``left/testset``.

    Returns:
        Records; ``id`` is part + ``/`` + stem, ``visible`` 2, 1 (hidden by something) or 0 with nan (behind the head).

    Raises:
        FiduciaError: no face is there, a ``.pts`` is broken, or its photograph is missing.
    """
    base = existing_root("merl", root, _LAYOUT)
    nothing = f"{base}: no face of split {split!r}; expected {_LAYOUT}; fetch: {FETCH}"
    return collect(scan_merl(root, split, scheme), nothing)


def scan_merl(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each file that cannot be used; absent parts give nothing."""
    base = existing_root("merl", root, _LAYOUT)
    homes = [base, base / "merl_rav_organized", base / "merl_rav_labels"]
    home = next((h for h in homes if any((h / pose).is_dir() for pose in POSES)), base)
    flickr = [place / "flickr" / n for place in (base / "aflw", base / "aflw/data", base / "data") for n in "023"]
    for part in SPLITS[split]:
        folder = home / part / "labels" if (home / part / "labels").is_dir() else home / part
        if not folder.is_dir():
            continue
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() == ".pts" and not p.name.startswith(".")):
            # A photograph with several faces has labels STEM_1, STEM_2 … and, where organised, as many copies.
            photo = path.stem.partition("_")[0]
            spots = [folder / path.stem, folder.parent / path.stem, *(place / photo for place in flickr)]
            image = _image(spots)
            if image is None:
                yield Fault(
                    f"{path}: no photograph {path.stem}.jpg; organise the labels with AFLW's photographs", broken=True
                )
                continue
            try:
                xy, visible = three_states(read_pts(path, 68))
            except FiduciaError as error:
                yield Fault(str(error), broken=True)
                continue
            tags = {
                "id": f"{part}/{path.stem}",
                "part": part,
                "photo": photo,
                "collection": _GROUPS[part.partition("/")[0]],
            }
            yield Record(image=image, xy=xy, visible=visible, scheme="ibug68", tags=tags)


def three_states(xy: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Return points and visibility from what :func:`read_pts` gives, which is one less than what the file says."""
    behind = np.asarray((xy == -2.0).all(axis=1))
    hidden = np.asarray((xy < -1.0).all(axis=1)) & ~behind
    points = np.where(hidden[:, None], -xy - 2.0, xy)
    points[behind] = np.nan
    return points, np.where(behind, 0, np.where(hidden, 1, 2)).astype(np.int8)


def _image(stems: list[Path]) -> Path | None:
    paths = (stem.with_name(stem.name + suffix) for stem in stems for suffix in IMAGES)
    return next((path for path in paths if path.is_file()), None)


datasets.register("merl")(
    DatasetSpec(
        name="merl",
        summary="MERL-RAV: AFLW's faces with 68 points in three states of visibility",
        schemes=("ibug68",),
        splits=tuple(SPLITS),
        counts={"train": 15_449, "test": 3865},
        read=read_merl,
        scan=scan_merl,
        fetch=FETCH,
        licence="research only, by agreement with Graz University of Technology",
        parts=("train", "test"),
    )
)
