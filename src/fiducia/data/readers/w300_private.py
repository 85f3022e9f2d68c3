"""The 300-W test set, once private: 300 photographs indoors and 300 outdoors, 68 points.

``01_Indoor/indoor_001.png`` and ``02_Outdoor/outdoor_001.png``, with ``.pts`` beside them that count from 1; folders called
``Indoor`` and ``Outdoor``, and a folder ``300W`` around them, are found too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ...errors import FiduciaError
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import collect
from .w300 import scan_faces

__all__ = ["read_private", "scan_private"]

SPLITS: dict[str, tuple[str, ...]] = {"full": ("indoor", "outdoor"), "indoor": ("indoor",), "outdoor": ("outdoor",)}
FETCH = "https://ibug.doc.ic.ac.uk/resources/300-W/ (300w.zip.001 to .004)"
_LAYOUT = "the folders 01_Indoor and 02_Outdoor of the 300-W test set"


def read_private(root: str, split: str, scheme: str | None = None) -> list[Record]:
    """Read ``full``, ``indoor`` or ``outdoor``, in the order of the names; ``id`` is e.g. ``indoor/indoor_001``.

    Raises:
        FiduciaError: a part of the split is not there, or a ``.pts`` file is broken.
    """
    base = existing_root("300w-private", root, _LAYOUT)
    absent = [part for part in SPLITS[split] if _folder(base, part) is None]
    if absent:
        raise FiduciaError(f"{base}: no folder of the {' and '.join(absent)} faces; expected {_LAYOUT}; fetch: {FETCH}")
    return collect(scan_private(root, split, scheme), f"{base}: no face found; expected {_LAYOUT}; fetch: {FETCH}")


def scan_private(root: str, split: str, scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a split, and a fault for each file that gives none; an absent part gives nothing."""
    base = existing_root("300w-private", root, _LAYOUT)
    for part in SPLITS[split]:
        folder = _folder(base, part)
        if folder is None:
            continue
        yield from scan_faces(folder, partial(_tags, part))


def _tags(part: str, stem: str) -> dict[str, str]:
    return {"id": f"{part}/{stem}", "part": part, "photo": f"{part}/{stem}"}


def _folder(base: Path, part: str) -> Path | None:
    names = {part, f"01_{part}", f"02_{part}"}
    for home in (base, base / "300W", base / "300w"):
        if home.is_dir():
            for path in sorted(home.iterdir()):
                if path.name.lower() in names and path.is_dir():
                    return path
    return None


datasets.register("300w-private")(
    DatasetSpec(
        name="300w-private",
        summary="300-W test set: 300 photographs indoors and 300 outdoors with 68 points",
        schemes=("ibug68",),
        splits=tuple(SPLITS),
        counts={"full": 600, "indoor": 300, "outdoor": 300},
        read=read_private,
        scan=scan_private,
        fetch=FETCH,
        licence="research only; the photographs belong to their owners",
        parts=("indoor", "outdoor"),
    )
)
