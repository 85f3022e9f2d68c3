"""The CSV tables that HRNet made and much code reads: ``hrnet:FILE.csv``, for WFLW, AFLW and sets of one's own.

Columns: ``image_name, scale, center_w, center_h``, then x and y of each point; AFLW has ``box_size`` after ``scale``. The
box is the square about the centre with side ``box_size``, or 200 x scale. Photographs lie beside the file or in ``images/``.
The 300-W tables are refused: their coordinates are shifted by two pixels against the photographs, in all likelihood
(1-based, and one added), and the original ``.pts`` files leave no doubt.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import FiduciaError
from ...schemes.sets import get_scheme
from ...structures import Record
from ..formats.own import choose_scheme, choose_split, face_tags
from ..source import DatasetSpec, Fault, datasets, existing_root
from .official import box_fault, boxes_outside, collect, duplicates

__all__ = ["read_hrnet", "scan_hrnet"]

_FIRST = ("image_name", "scale", "center_w", "center_h")
_PLACES = (".", "images", "WFLW_images", "data/flickr")
_WHAT = "a CSV table with image_name, scale, center_w, center_h and the points"


def read_hrnet(root: str, split: str = "all", scheme: str | None = None) -> list[Record]:
    """Read the faces of one table, in its order.

    Args:
        root: the file.
        split: ``all``, or ``train``: a table is one split, so name the file of the split that is wanted.
        scheme: the landmark set, by name or TOML file; else the number of points tells.

    Raises:
        FiduciaError: unreadable file, a column that is missing, a cell that is no number, a photograph that is not
            there, or a table of 68 points.
        UsageError: an unknown landmark set or split.
    """
    path = existing_root("hrnet", root, _WHAT)
    return choose_split(str(path), collect(_faces(path, scheme), f"{path}: holds no face; expected {_WHAT}"), split)


def scan_hrnet(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of one table, and a fault for each line that gives none."""
    path = existing_root("hrnet", root, _WHAT)
    places: dict[str, Record] = {}
    try:
        for found in boxes_outside(_faces(path, scheme)):
            if isinstance(found, Record):
                places[f"line {found.tags['line']}"] = found
            yield found
    except FiduciaError as error:
        yield Fault(str(error), broken=True)
    yield from duplicates(places, str(path))


def _faces(path: Path, scheme: str | None) -> Iterator[Record | Fault]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FiduciaError(f"{path}: cannot be read as text ({error}); expected {_WHAT}") from error
    reader = csv.reader(io.StringIO(text))
    header = [name.strip() for name in next(reader, [])]
    sized = "box_size" in header
    first = (*_FIRST[:2], *(("box_size",) if sized else ()), *_FIRST[2:])
    if tuple(header[: len(first)]) != first:
        raise FiduciaError(
            f"{path}: begins with {', '.join(header[:5]) or 'nothing'}; expected {', '.join(first)}, points"
        )
    points, odd = divmod(len(header) - len(first), 2)
    if odd or points == 0:
        raise FiduciaError(
            f"{path}: {len(header) - len(first)} columns of points; expected an even number, x and y of each"
        )
    if points == 68:
        raise FiduciaError(
            f"{path}: 68 points, so it is a table of 300-W, whose coordinates are two pixels off; "
            "read the original .pts files with 300w:FOLDER"
        )
    own = choose_scheme(str(path), points, scheme)
    k = get_scheme(own).num_points
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    tags = face_tags([row[0] for _, row in rows], [{} for _ in rows])
    for (line, row), tag in zip(rows, tags, strict=True):
        where = f"{path}: line {line}"
        if len(row) != len(header):
            yield Fault(
                f"{where}: {len(row)} cells found, {len(header)} expected as in the header; restore it", broken=True
            )
            continue
        try:
            values = np.array([float(cell) for cell in row[1:]])
        except ValueError as error:
            yield Fault(f"{where}: {error}; expected numbers after image_name", broken=True)
            continue
        if not np.isfinite(values).all():
            column = header[1 + int(np.flatnonzero(~np.isfinite(values))[0])]
            yield Fault(f"{where}: {column} is not finite; expected a number", broken=True)
            continue
        image = next((p for place in _PLACES if (p := path.parent / place / row[0]).is_file()), None)
        if image is None:
            yield Fault(f"{where}: no photograph {row[0]} beside the file or in images/; put it there", broken=True)
            continue
        side = values[1] if sized else 200.0 * values[0]
        centre = values[2:4] if sized else values[1:3]
        box = np.concatenate([centre - side / 2, centre + side / 2])
        fault = box_fault(box)
        if fault is not None:
            yield Fault(f"{where}: {fault}; correct scale and centre; it is not used", broken=False)
        yield Record(
            image=image,
            xy=values[-2 * k :].reshape(k, 2).copy(),
            visible=np.full(k, 2, dtype=np.int8),
            scheme=own,
            box=box if fault is None else None,
            tags={**tag, "line": line},
        )


datasets.register("hrnet")(
    DatasetSpec(
        name="hrnet",
        summary="a CSV table as HRNet and its followers have it (WFLW, AFLW; not 300-W)",
        splits=(),
        read=read_hrnet,
        scan=scan_hrnet,
        parts=("all",),
        fetch="https://github.com/HRNet/HRNet-Facial-Landmark-Detection (annotations); the photographs from their data sets",
        licence="that of the data set",
    )
)
