"""The CSV tables that HRNet made and much code reads: ``hrnet:FILE.csv``, for WFLW, AFLW and sets of one's own.

Columns: ``image_name, scale, center_w, center_h``, then x and y of each point; AFLW has ``box_size`` after ``scale``. The
box is the square about the centre with side ``box_size``, or 200 x scale. Photographs lie beside the file or in ``images/``.
The 300-W tables are refused: their coordinates are shifted by two pixels against the photographs, in all likelihood
(1-based, and one added), and the original ``.pts`` files leave no doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import FiduciaError, UsageError
from ...structures import Record
from ..formats.own import Notes, choose_split, kind_of
from ..kinds import LabelError
from ..naming import meaning
from ..places import face_tags, is_file, slashed
from ..source import DatasetSpec, Faces, Fault, datasets, existing_root
from ..tables import read_table
from ..values import as_text, as_word_number, short
from .official import box_fault, boxes_outside, collect, duplicates

__all__ = ["read_hrnet", "scan_hrnet"]

_FIRST = ("image_name", "scale", "center_w", "center_h")
_PLACES = (".", "images", "WFLW_images", "data/flickr")
_WHAT = "a CSV table with image_name, scale, center_w, center_h and the points"


def read_hrnet(root: str, split: str = "all", scheme: str | None = None) -> Faces:
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
    notes = Notes()
    records = collect(_faces(path, scheme, notes), f"{path}: holds no face; expected {_WHAT}")
    remarks = [remark.message for remark in notes.all(str(path), records)]
    return Faces(choose_split(str(path), records, split), remarks, notes.assumed)


def scan_hrnet(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of one table, and a fault for each line that gives none."""
    path = existing_root("hrnet", root, _WHAT)
    notes = Notes()
    places: dict[str, Record] = {}
    try:
        for found in boxes_outside(_faces(path, scheme, notes)):
            if isinstance(found, Record):
                places[f"line {found.tags['line']}"] = found
            yield found
    except FiduciaError as error:
        yield Fault(str(error), broken=True, kind="scheme" if isinstance(error, UsageError) else kind_of(error, "file"))
    yield from duplicates(places, str(path))
    yield from notes.all(str(path), list(places.values()))


def _faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Record | Fault]:
    table = read_table(path, _WHAT)
    header = list(table.header)
    sized = "box_size" in header
    first = (*_FIRST[:2], *(("box_size",) if sized else ()), *_FIRST[2:])
    if tuple(header[: len(first)]) != first:
        raise LabelError(
            "file",
            f"{path}: begins with {short(', '.join(header[:5])) or 'nothing'}; expected {', '.join(first)}, points",
        )
    points, odd = divmod(len(header) - len(first), 2)
    if odd or points == 0:
        raise LabelError(
            "form", f"{path}: {len(header) - len(first)} columns of points; expected an even number, x and y of each"
        )
    if points == 68:
        raise LabelError(
            "file",
            f"{path}: 68 points, so it is a table of 300-W, whose coordinates are two pixels off; "
            "read the original .pts files with 300w:FOLDER",
        )
    chosen = meaning(str(path), points, None, scheme)
    notes.meaning(str(path), chosen)
    names = [slashed(row.cells[0]) for row in table.rows]
    for row, name, tags in zip(table.rows, names, face_tags(names, [{} for _ in names]), strict=True):
        where = f"{path}: line {row.line}"
        try:
            cells = row.cells[: len(header)]
            filled = sum(bool(cell.strip()) for cell in row.cells)
            if filled != len(header):
                raise LabelError(
                    "form", f"{where}: {filled} cells found, {len(header)} expected as in the header; restore it"
                )
            empty = next((column for column, cell in zip(header, cells, strict=False) if not cell.strip()), None)
            if empty is not None:
                raise LabelError("form", f"{where}: {empty} is empty, and a cell follows the last column; restore it")
            as_text(name, f"{where}: image_name")
            values = np.array(
                [as_word_number(word, f"{where}: {column}") for column, word in zip(header[1:], cells[1:], strict=True)]
            )
            image = next((p for place in _PLACES if is_file(p := path.parent / place / name)), None)
            if image is None:
                raise LabelError("photo", f"{where}: no photograph {name} beside the file or in images/; put it there")
        except FiduciaError as error:
            yield Fault(str(error), broken=True, kind=kind_of(error))
            continue
        side = values[1] if sized else 200.0 * values[0]
        centre = values[2:4] if sized else values[1:3]
        box = np.concatenate([centre - side / 2, centre + side / 2])
        fault = box_fault(box)
        if fault is not None:
            yield Fault(f"{where}: {fault}; correct scale and centre; it is not used", broken=False, kind="empty-box")
        yield Record(
            image=image,
            xy=values[-2 * points :].reshape(points, 2).copy(),
            visible=np.full(points, 2, dtype=np.int8),
            scheme=chosen.scheme,
            box=box if fault is None else None,
            tags={**tags, "line": row.line},
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
