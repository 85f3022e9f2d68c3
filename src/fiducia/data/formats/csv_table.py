"""A CSV table of faces, read (``csv:FILE.csv``) and written: one row a face.

Columns: ``image`` (below the file's folder), ``x0,y0,x1,y1,…`` in photograph pixels, 0-based, or ``NAME_x,NAME_y`` by the
points' names; an empty cell is an unlabelled point. Where wanted: ``v0,v1,…`` or ``NAME_v`` (0 unlabelled, 1 occluded, 2
visible), ``box_x1,box_y1,box_x2,box_y2``, ``width,height`` of the labelled picture, ``id``, ``photo``, ``split``, ``part``,
``scheme``, ``source``, ``weights``, ``weights_sha256``, and ``tags`` as JSON. Commas, semicolons or tabs stand between the
cells; the decimal mark is a point.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...files import write_atomic
from ...measures.table import MEASURES
from ...structures import Record
from ..kinds import LabelError
from ..naming import Meaning, find_declared, meaning
from ..places import face_tags, photo_path, relative_image
from ..sizes import Size, photo_size
from ..source import DatasetSpec, Faces, Fault, datasets, label_writers
from ..tables import Row, Table, read_table
from ..values import as_table, as_text, as_word_number, parse_json, plain_numbers, short
from .boxes import used_box
from .own import MARKS, Notes, Placed, at_real_size, encoded, one_scheme, read_all, scan_all

__all__ = ["csv_faces", "point_columns", "read_csv", "scan_csv", "write_csv"]

_WHAT = "a CSV file with the columns image, x0, y0, …"
_BOX = ("box_x1", "box_y1", "box_x2", "box_y2")
_SIZE = ("width", "height")
_TAGS = ("id", "photo", "split", "part", *MARKS)
_NUMBERED = re.compile(r"([xyv])([0-9]{1,6})")
_NAMED = re.compile(r"(.+?)[_. -]([xyv])", re.IGNORECASE)


def read_csv(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of a CSV table, in its order.

    Args:
        root: the file; photographs lie below its folder, or in ``images/`` there.
        split: ``all``, or one that the column ``split`` names.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: unreadable file, a column that is missing, or a cell that is no number (named by line and column).
        UsageError: an unknown landmark set or split.
    """
    return read_all("csv", root, _WHAT, csv_faces, split, scheme)


def scan_csv(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a CSV table, and a fault for each line that gives none."""
    return scan_all("csv", root, _WHAT, csv_faces, scheme)


def csv_faces(path: Path, scheme: str | None, notes: Notes) -> Iterator[Placed]:
    """Yield the faces of a table, one a row that is not empty."""
    table = read_table(path, _WHAT)
    if "image" not in table.header:
        listed = ", ".join(name[:40] for name in table.header[:8])
        raise LabelError("file", f"{path}: no column image found in {listed or 'an empty file'}; add one")
    if table.separator != ",":
        notes.say("other", f"{path}: its cells are separated by {'semicolons' if table.separator == ';' else 'tabs'}")
    names, columns = point_columns(table)
    if not table.rows:
        raise LabelError("file", f"{path}: holds no face; expected one row a face below the header")
    first = _optional(table, table.rows[0], "scheme")
    declared = find_declared(first, path.parent) if first else None
    chosen = meaning(str(path), len(columns), names, scheme, declared)
    notes.order = chosen.order
    notes.meaning(str(path), chosen)
    given: list[dict[str, Any]] = []
    faults: dict[int, FiduciaError] = {}
    for row in table.rows:
        try:
            given.append(_tags(table, row, first))
        except FiduciaError as error:
            given.append({})
            faults[row.line] = error
    images = [_optional(table, row, "image", raw=True) for row in table.rows]
    for row, name, tags in zip(table.rows, images, face_tags(images, given), strict=True):
        place = f"line {row.line}"
        if row.line in faults:
            yield place, faults[row.line]
            continue
        try:
            yield place, _record(table, row, photo_path(path.parent, name), columns, chosen, tags, notes)
        except FiduciaError as error:
            yield place, error


def point_columns(table: Table) -> tuple[list[str] | None, list[tuple[str, str, str]]]:
    """Return the points' names, None for mere numbers, and the columns x, y and v of each point in the file's order."""
    numbered: dict[str, dict[str, str]] = {}
    named: dict[str, dict[str, str]] = {}
    for column in table.header:
        if column in _BOX:
            continue
        if (match := _NUMBERED.fullmatch(column)) is not None:
            numbered.setdefault(match[2], {})[match[1]] = column
        elif (match := _NAMED.fullmatch(column)) is not None:
            named.setdefault(match[1], {})[match[2].lower()] = column
    named = {name: axes for name, axes in named.items() if "x" in axes or "y" in axes}
    if numbered and all(f"{name}_x" in MEASURES for name in named):
        # The places among a face's measures, which ``fiducia detect --measures`` writes.
        named = {}
    if numbered and named:
        one, other = next(iter(next(iter(numbered.values())).values())), next(iter(next(iter(named.values())).values()))
        raise LabelError(
            "names",
            f"{table.origin}: has columns by number ({one}) and by name ({other}); use one kind, or rename what is no point",
        )
    if not numbered and not named:
        raise LabelError(
            "form", f"{table.origin}: no columns x0, y0, … found; expected them, or NAME_x, NAME_y of each point"
        )
    if numbered:
        points = [numbered.get(str(i), {}) for i in range(len(numbered))]
        wanted = [(f"x{i}", f"y{i}", f"v{i}") for i in range(len(points))]
    else:
        points = list(named.values())
        wanted = [tuple(axes.get(a, f"{name}_{a}") for a in "xyv") for name, axes in named.items()]  # type: ignore[misc]
    for axes, row in zip(points, wanted, strict=True):
        for axis, column in zip("xy", row, strict=False):
            if axis not in axes:
                raise LabelError(
                    "form",
                    f"{table.origin}: the column {column} is missing of {len(points)} points; columns count from x0, y0",
                )
    return (list(named) if named else None), wanted


def _record(
    table: Table,
    row: Row,
    image: Path,
    columns: Sequence[tuple[str, str, str]],
    chosen: Meaning,
    tags: dict[str, Any],
    notes: Notes,
) -> Record:
    where = f"{table.origin}: line {row.line}"
    coded = [i for i, (_, _, name) in enumerate(columns) if name in table.places]
    codes = np.full(len(columns), np.nan)
    codes[coded] = _numbers(table, row, [columns[i][2] for i in coded])
    odd = np.flatnonzero(~np.isnan(codes) & ~np.isin(codes, (0, 1, 2)))
    if len(odd):
        name = columns[int(odd[0])][2]
        raise LabelError("visibility", f"{where}: {name} is {table.cell(row, name)[:40]!r}; expected 0, 1 or 2")
    # A point with the code 0 is not labelled, whatever its x and y are.
    read = [i for i in range(len(columns)) if codes[i] != 0]
    xy = np.full((len(columns), 2), np.nan)
    xy[read] = _numbers(table, row, [name for i in read for name in columns[i][:2]]).reshape(-1, 2)
    half = np.isnan(xy).any(axis=1) & ~np.isnan(xy).all(axis=1)
    if half.any():
        x, y, _ = columns[int(half.argmax())]
        raise LabelError("form", f"{where}: point {int(half.argmax())} has only one of {x} and {y}; give both or none")
    labelled = ~np.isnan(xy).any(axis=1)
    visible = np.where(np.isnan(codes), np.where(labelled, 2, 0), codes).astype(np.int8)
    if (visible[~labelled] > 0).any():
        raise LabelError("form", f"{where}: a point without x and y is not 1 or 2 (v); fill it in, or write 0")
    order = list(chosen.order)
    record = Record(
        image=image,
        xy=xy[order],
        visible=visible[order],
        scheme=chosen.scheme,
        box=_box(table, row, where, notes),
        tags=tags,
    )
    return at_real_size(where, record, _size(table, row), notes)


def _size(table: Table, row: Row) -> Size | None:
    if not all(name in table.header for name in _SIZE):
        return None
    width, height = (_number(table, row, name) for name in _SIZE)
    return (int(width), int(height)) if width == width and height == height else None


def _box(table: Table, row: Row, where: str, notes: Notes) -> npt.NDArray[np.float64] | None:
    box = np.array([_number(table, row, name) if name in table.places else np.nan for name in _BOX])
    if np.isnan(box).all():
        return None
    if np.isnan(box).any():
        raise LabelError("form", f"{where}: a box is four numbers, {', '.join(_BOX)}; found {box.tolist()}")
    return used_box(box, f"{where}: the box is {box.tolist()}", "x1 y1 x2 y2", notes)


def _number(table: Table, row: Row, name: str) -> float:
    """Return a cell's number; nan where it is empty."""
    word = table.cell(row, name).strip()
    if not word:
        return float("nan")
    return as_word_number(word, f"{table.origin}: line {row.line}: {name}")


def _numbers(table: Table, row: Row, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the numbers of several cells; nan where one is empty."""
    places = [table.places[name] for name in names]
    if max(places, default=0) < len(row.cells):
        quick = plain_numbers([row.cells[i] for i in places])
        if quick is not None:
            return quick
    return np.array([_number(table, row, name) for name in names])


def _optional(table: Table, row: Row, name: str, raw: bool = False) -> str:
    """Return a cell's text, empty where there is no such column or the line is too short; ``raw`` keeps blanks around it."""
    at = table.places.get(name, len(row.cells))
    cell = row.cells[at] if at < len(row.cells) else ""
    return cell if raw else cell.strip()


def _tags(table: Table, row: Row, scheme: str) -> dict[str, Any]:
    where = f"{table.origin}: line {row.line}"
    table.whole(row)
    if not _optional(table, row, "image"):
        raise LabelError("photo", f"{where}: names no image; fill in its path below the file's folder")
    as_text(_optional(table, row, "image"), f"{where}: image")
    said = _optional(table, row, "scheme")
    if said and scheme and said != scheme:
        raise LabelError(
            "scheme",
            f"{where}: says {short(said)!r}, but line {table.rows[0].line} {short(scheme)!r}; a CSV file holds one landmark set",
        )
    tags: dict[str, Any] = {key: value for key in _TAGS if (value := _optional(table, row, key))}
    more = _optional(table, row, "tags")
    if more:
        try:
            tags |= as_table(parse_json(more, where, "a JSON object"), where)
        except FiduciaError as error:
            raise LabelError("form", f"{where}: tags is {more[:40]!r}; expected a JSON object") from error
    return tags


def write_csv(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as CSV; :func:`read_csv` gives back equal records.

    Columns ``width`` and ``height`` are those of the photographs, and empty where one cannot be read.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or the file cannot be written.
    """
    path = Path(path)
    scheme = one_scheme(path, records, "CSV file")
    declared = relative_image(Path(scheme).expanduser(), path.parent) if scheme.endswith(".toml") else scheme
    k = len(records[0].xy)
    # A tag that is no plain text would come back as one; it goes to the JSON in the last column.
    plain = [key for key in _TAGS if any(key in r.tags for r in records)]
    plain = [key for key in plain if all(_plain(r.tags[key]) for r in records if key in r.tags)]
    rest = any(set(record.tags) - set(plain) for record in records)
    points = [f"{axis}{i}" for i in range(k) for axis in "xy"]
    header = ["image", *_SIZE, *plain, "scheme", *_BOX, *points, *(f"v{i}" for i in range(k))]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, *(["tags"] if rest else [])])
    for record in records:
        size = photo_size(record.image)
        box = ["", "", "", ""] if record.box is None else [repr(v) for v in record.box.tolist()]
        xy = ["" if v != v else repr(v) for v in record.xy.ravel().tolist()]
        more = {key: value for key, value in record.tags.items() if key not in plain}
        row = [relative_image(record.image, path.parent), *(("", "") if size is None else size.shown)]
        row += [*(record.tags.get(key, "") for key in plain), declared, *box, *xy, *record.visible.tolist()]
        writer.writerow([*row, json.dumps(more, default=str)] if rest else row)
    write_atomic(path, encoded(path, out.getvalue()))


def _plain(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value == value.strip()


datasets.register("csv")(
    DatasetSpec(
        name="csv",
        summary="own faces: a CSV table with the columns image, x0, y0, x1, y1, …",
        splits=(),
        read=read_csv,
        scan=scan_csv,
        parts=("all",),
        fetch="your own file",
    )
)
label_writers.register("csv")(write_csv)
