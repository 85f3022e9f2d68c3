"""A CSV table of faces, read (``csv:FILE.csv``) and written: one row a face.

Columns: ``image`` (below the file's folder), ``x0,y0,x1,y1,…`` in photograph pixels, 0-based (or ``NAME_x,NAME_y`` by the
scheme's names); an empty cell is an unlabelled point. Where wanted: ``v0,v1,…`` (0 unlabelled, 1 occluded, 2 visible),
``box_x1,box_y1,box_x2,box_y2``, ``id``, ``photo``, ``split``, ``part``, ``scheme``, and ``tags`` as JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...files import write_atomic
from ...schemes.sets import get_scheme
from ...structures import Record
from ..source import DatasetSpec, Fault, datasets, existing_root
from .own import Placed, choose_scheme, choose_split, face_tags, relative_image, scan_list, whole_list

__all__ = ["read_csv", "scan_csv", "write_csv"]

_WHAT = "a CSV file with the columns image, x0, y0, …"

_BOX = ("box_x1", "box_y1", "box_x2", "box_y2")
_TAGS = ("id", "photo", "split", "part")


def read_csv(root: str, split: str = "all", scheme: str | None = None) -> list[Record]:
    """Read the faces of a CSV table, in its order; commas, or semicolons, between the cells.

    Args:
        root: the file; photographs lie below its folder.
        split: ``all``, or one that the column ``split`` names.
        scheme: the landmark set, by name or TOML file.

    Raises:
        FiduciaError: unreadable file, a column that is missing, or a cell that is no number (named by line and column).
        UsageError: an unknown landmark set or split.
    """
    path = existing_root("csv", root, _WHAT)
    return choose_split(str(path), whole_list(_faces(path, scheme)), split)


def scan_csv(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of a CSV table, and a fault for each line that gives none."""
    path = existing_root("csv", root, _WHAT)
    yield from scan_list(str(path), _faces(path, scheme))


def _faces(path: Path, scheme: str | None) -> Iterator[Placed]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FiduciaError(f"{path}: cannot be read as text ({error}); save it as UTF-8 CSV") from error
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first and "," not in first else ",")
    reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
    header = list(reader.fieldnames)
    rows = [(reader.line_num, row) for row in reader if any(isinstance(v, str) and v.strip() for v in row.values())]
    if "image" not in header:
        raise FiduciaError(f"{path}: no column image found in {', '.join(header[:8]) or 'an empty file'}; add one")
    if not rows:
        raise FiduciaError(f"{path}: holds no face; expected one row a face below the header")
    columns = _point_columns(path, header, scheme)
    declared = rows[0][1].get("scheme") or None
    own = choose_scheme(str(path), len(columns), scheme, declared)
    given: list[dict[str, Any]] = []
    faults: dict[int, FiduciaError] = {}
    for line, row in rows:
        try:
            given.append(_tags(path, line, row))
        except FiduciaError as error:
            given.append({})
            faults[line] = error
    tags = face_tags([(row["image"] or "").strip() for _, row in rows], given)
    for (line, row), tag in zip(rows, tags, strict=True):
        place = f"line {line}"
        said = (row.get("scheme") or "").strip()
        if said and declared and said != declared:
            faults.setdefault(
                line,
                FiduciaError(
                    f"{path}: line {line}: says {said!r}, but line {rows[0][0]} {declared!r}; a CSV file holds one landmark set"
                ),
            )
        try:
            yield place, faults.get(line) or _record(path, line, row, columns, own, tag)
        except FiduciaError as error:
            yield place, error


def write_csv(path: str | Path, records: Sequence[Record]) -> None:
    """Write faces of one landmark set as CSV; :func:`read_csv` gives back equal records.

    Raises:
        FiduciaError: no face, faces of several landmark sets, or the file cannot be written.
    """
    path = Path(path)
    names = sorted({record.scheme for record in records})
    if len(names) != 1:
        raise FiduciaError(f"{path}: a CSV file holds one landmark set; found {', '.join(names) or 'no face'}")
    k = len(records[0].xy)
    tags = [key for key in _TAGS if any(key in record.tags for record in records)]
    points = [f"{axis}{i}" for i in range(k) for axis in "xy"]
    rest = any(set(record.tags) - set(_TAGS) for record in records)
    header = ["image", *tags, "scheme", *_BOX, *points, *(f"v{i}" for i in range(k)), *(["tags"] if rest else [])]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    for record in records:
        box = ["", "", "", ""] if record.box is None else [repr(v) for v in record.box.tolist()]
        xy = ["" if v != v else repr(v) for v in record.xy.ravel().tolist()]
        more = {key: value for key, value in record.tags.items() if key not in _TAGS}
        row = [relative_image(record.image, path.parent), *(record.tags.get(key, "") for key in tags), record.scheme]
        row += [*box, *xy, *record.visible.tolist()]
        writer.writerow([*row, json.dumps(more, default=str)] if rest else row)
    write_atomic(path, out.getvalue().encode())


def _point_columns(path: Path, header: Sequence[str], scheme: str | None) -> list[tuple[str, str, str]]:
    """Return the columns x, y and v of each point, by number or by the scheme's names."""
    numbered = [(f"x{i}", f"y{i}", f"v{i}") for i in range(len(header)) if f"x{i}" in header or f"y{i}" in header]
    by_name = [(f"{n}_x", f"{n}_y", f"{n}_v") for n in get_scheme(scheme).names] if scheme is not None else []
    if not numbered and not any(x in header for x, _, _ in by_name):
        raise FiduciaError(f"{path}: no columns x0, y0, … found; expected them, or NAME_x, NAME_y of a scheme you name")
    columns = numbered or by_name
    wanted = [(f"x{i}", f"y{i}") for i in range(len(columns))] if numbered else [(x, y) for x, y, _ in by_name]
    for name in (name for pair in wanted for name in pair):
        if name not in header:
            raise FiduciaError(
                f"{path}: the column {name} is missing of {len(columns)} points; columns count from x0, y0"
            )
    return columns


def _record(
    path: Path,
    line: int,
    row: Mapping[str, Any],
    columns: list[tuple[str, str, str]],
    scheme: str,
    tags: dict[str, Any],
) -> Record:
    xy = np.array([[_number(path, line, row, name) for name in (x, y)] for x, y, _ in columns])
    half = np.isnan(xy).any(axis=1) & ~np.isnan(xy).all(axis=1)
    if half.any():
        raise FiduciaError(
            f"{path}: line {line}: point {int(half.argmax())} has only one of x and y; give both or none"
        )
    labelled = ~np.isnan(xy).any(axis=1)
    visible = np.where(labelled, 2, 0).astype(np.int8)
    for i, (_, _, name) in enumerate(columns):
        value = _number(path, line, row, name) if name in row else np.nan
        if value == value:
            if value not in (0, 1, 2):
                raise FiduciaError(f"{path}: line {line}: {name} is {row[name]!r}; expected 0, 1 or 2")
            visible[i] = int(value)
    if (visible[~labelled] > 0).any():
        raise FiduciaError(f"{path}: line {line}: a point without x and y is not 1 or 2 (v); fill it in, or write 0")
    xy[visible == 0] = np.nan
    return Record(
        image=path.parent / str(row["image"]).strip(),
        xy=xy,
        visible=visible,
        scheme=scheme,
        box=_box(path, line, row),
        tags=tags,
    )


def _box(path: Path, line: int, row: Mapping[str, Any]) -> npt.NDArray[np.float64] | None:
    box = np.array([_number(path, line, row, name) if name in row else np.nan for name in _BOX])
    if np.isnan(box).all():
        return None
    if np.isnan(box).any():
        raise FiduciaError(f"{path}: line {line}: a box is four numbers, {', '.join(_BOX)}; found {box.tolist()}")
    return box


def _number(path: Path, line: int, row: Mapping[str, Any], name: str) -> float:
    """Return a cell's number; nan where it is empty."""
    word = row.get(name)
    if word is None:
        raise FiduciaError(f"{path}: line {line}: is cut short before column {name}; expected a cell for each column")
    if not word.strip():
        return float("nan")
    try:
        value = float(word)
    except ValueError:
        value = float("inf")
    if not np.isfinite(value):
        raise FiduciaError(f"{path}: line {line}: {name} is {word!r}; expected a finite number, or nothing")
    return value


def _tags(path: Path, line: int, row: Mapping[Any, Any]) -> dict[str, Any]:
    if None in row:
        count = sum(key is not None for key in row)
        raise FiduciaError(f"{path}: line {line}: more cells than the {count} columns; is a comma unquoted?")
    if not (row["image"] or "").strip():
        raise FiduciaError(f"{path}: line {line}: names no image; fill in its path below the file's folder")
    tags = {key: row[key] for key in _TAGS if row.get(key)}
    if row.get("tags"):
        try:
            tags |= json.loads(row["tags"])
        except (TypeError, ValueError) as error:
            raise FiduciaError(f"{path}: line {line}: tags is {row['tags'][:40]!r}; expected a JSON object") from error
    return tags


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
