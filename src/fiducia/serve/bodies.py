"""A request's body → photographs and options: raw bytes, multipart or JSON. Nothing is written to disk."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from pydantic import ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..detectors.boxes import given_boxes
from ..errors import FiduciaError
from ..structures import Detection
from ..words import one_line
from .limits import Limits, Problem
from .models import Options, Request

__all__ = ["Order", "Upload", "parse_body"]

_FIELD_BYTES = 4 << 20
"""Of a multipart field that is no file: 10,000 boxes are below 1 MB."""
_HEADER_BYTES = 3 << 10
"""Of a header of a part: Python reads one in a time that grows with the square of its length."""
_NAME = 216
"""Marks of JSON that the name and the other fields of a photograph may hold."""


@dataclass(frozen=True, eq=False)
class Upload:
    """One photograph as it was sent: its name, its file's bytes, and boxes in its pixels where they were given."""

    name: str
    data: bytes
    boxes: tuple[Detection, ...] | None = None


@dataclass(frozen=True, eq=False)
class Order:
    """What a request asks for."""

    uploads: tuple[Upload, ...]
    options: Options


@dataclass(eq=False)
class _Part:
    name: str = ""
    file_name: str | None = None
    data: bytearray = field(default_factory=bytearray)


def parse_body(content_type: str, body: bytes, query: Mapping[str, str], limits: Limits) -> Order:
    """Read a body as its content type says.

    Args:
        content_type: ``multipart/form-data``, ``application/json``, ``image/*`` or ``application/octet-stream``.
        body: all of it.
        query: options of the address; those in the body come first.
        limits: for the numbers of photographs and boxes.

    Raises:
        Problem: 400 malformed, 413 too many, 415 another type, 422 a value that cannot be.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        raise Problem(400, "the request has no body; send a photograph", "empty")
    if kind == "application/json":
        _check_marks(body, limits)
        request = _checked(body)
        return _order(
            [(item.name or f"image_{i}", _base64(item.data, i), item.boxes) for i, item in enumerate(request.images)],
            _options({**query, **request.options()}),
            limits,
        )
    if kind == "multipart/form-data":
        return _from_parts(_parts(content_type, body, limits), query, limits)
    if kind.startswith("image/") or kind == "application/octet-stream":
        table = dict(query)
        boxes = _json_boxes(table.pop("boxes", None))
        return _order([("image", body, _tables(boxes, 1)[0])], _options(table), limits)
    raise Problem(
        415,
        f"the content type {one_line(kind, 60) or 'is missing and'!r} cannot be read; expected multipart/form-data, "
        "application/json, image/* or application/octet-stream",
        "unsupported_type",
    )


def _order(rows: list[tuple[str, bytes, Any]], options: Options, limits: Limits) -> Order:
    if not rows:
        raise Problem(400, "the request holds no photograph", "empty")
    if len(rows) > limits.max_photographs:
        raise Problem.over(
            "photographs",
            limits.max_photographs,
            f"{len(rows)} photographs in one request; at most {limits.max_photographs} are taken; send several requests",
        )
    return Order(tuple(Upload(name, data, _boxes(boxes, name, limits)) for name, data, boxes in rows), options)


def _boxes(boxes: Any, name: str, limits: Limits) -> tuple[Detection, ...] | None:
    if boxes is None:
        return None
    if not isinstance(boxes, list):
        raise Problem(422, f"{name}: boxes is {one_line(boxes, 60)}; expected rows x1 y1 x2 y2", "boxes")
    if len(boxes) > limits.max_faces:
        raise Problem.over(
            "faces", limits.max_faces, f"{name}: {len(boxes)} boxes; at most {limits.max_faces} a photograph are taken"
        )
    numbers = (v for row in boxes if isinstance(row, list) for v in row)
    if not all(isinstance(row, list) for row in boxes) or any(type(v) not in (int, float) for v in numbers):
        raise Problem(422, f"{name}: boxes holds {one_line(boxes, 60)}; expected rows of four numbers", "boxes")
    try:
        return tuple(given_boxes(boxes, name))
    except FiduciaError as error:
        raise Problem(422, one_line(error, 300), "boxes") from None
    except OverflowError:
        raise Problem(422, f"{name}: a box holds a number that is too large; expected pixels", "boxes") from None


def _check_marks(text: bytes, limits: Limits) -> None:
    """Refuse JSON of more values than the limits allow before it is parsed: small ones take fifty times their bytes.

    Raises:
        Problem: 413.
    """
    most = limits.max_photographs * (_NAME + 6 * limits.max_faces) + 1000
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > most:
        message = (
            f"JSON of too many values; at most {limits.max_photographs} photographs, each with {limits.max_faces} boxes, "
            "are taken"
        )
        raise Problem.over("photographs", limits.max_photographs, message)


def _checked(body: bytes) -> Request:
    try:
        return Request.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"{where + ': ' if where else ''}{first['msg']}"
        if first["type"] == "json_invalid":
            raise Problem(400, f"the body is not JSON: {one_line(first['msg'], 200)}") from None
        raise Problem(422, one_line(message, 300), "invalid") from None


def _base64(text: str, number: int) -> bytes:
    head, comma, rest = text.partition(",")
    try:
        return base64.b64decode(rest if comma and head.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(400, f"images.{number}.data is not base64") from None


def _options(table: Mapping[str, Any]) -> Options:
    try:
        return Options.model_validate(dict(table))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(one_line(part, 40) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(Options.model_fields)
            raise Problem(422, f"{where}: there is no such option; expected {known}, boxes", "invalid") from None
        raise Problem(422, f"{where}: {one_line(first['msg'], 200)}", "invalid") from None


def _json_boxes(text: str | None) -> Any:
    if text is None or not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Problem(400, f"boxes is not JSON: {one_line(text, 60)}", "boxes") from None


def _tables(boxes: Any, count: int) -> list[Any]:
    """Return the boxes of each photograph: one table each, or for a single photograph the table itself."""
    if boxes is None:
        return [None] * count
    if not isinstance(boxes, list):
        raise Problem(422, f"boxes is {one_line(boxes, 60)}; expected rows x1 y1 x2 y2", "boxes")
    nested = bool(boxes) and all(
        table is None or (isinstance(table, list) and all(isinstance(row, list) for row in table)) for table in boxes
    )
    if count == 1 and not (nested and len(boxes) == 1):
        return [boxes]
    if len(boxes) != count or not nested:
        raise Problem(422, f"{count} photographs, but boxes for {len(boxes)}; give one table of rows each", "boxes")
    return boxes


def _from_parts(parts: list[_Part], query: Mapping[str, str], limits: Limits) -> Order:
    files = [part for part in parts if part.file_name is not None or part.name in ("file", "image")]
    texts: dict[str, str] = dict(query)
    for part in parts:
        if part not in files:
            try:
                texts[part.name] = part.data.decode("utf-8")
            except UnicodeDecodeError:
                raise Problem(400, f"the field {one_line(part.name, 40)!r} is not UTF-8") from None
    boxes = _json_boxes(texts.pop("boxes", None))
    if len(files) > limits.max_photographs:
        return _order([("", b"", None)] * len(files), Options(), limits)
    tables = _tables(boxes, len(files)) if files else []
    rows = [
        (part.file_name or f"image_{i}", bytes(part.data), table)
        for i, (part, table) in enumerate(zip(files, tables, strict=True))
    ]
    return _order(rows, _options(texts), limits)


def _parts(content_type: str, body: bytes, limits: Limits) -> list[_Part]:
    """Split a multipart body.

    Raises:
        Problem: 400 for a body that is malformed or cut short, 413 for too many parts.
    """
    _, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise Problem(400, "multipart/form-data without a boundary in the content type")
    parts: list[_Part] = []
    header, value = bytearray(), bytearray()
    ended = False

    def begin() -> None:
        if len(parts) > limits.max_photographs + 16:
            raise Problem.over("photographs", limits.max_photographs, f"more than {len(parts)} parts in one request")
        parts.append(_Part())

    def header_value(chunk: bytes, start: int, end: int) -> None:
        if len(value) + end - start > _HEADER_BYTES:
            raise Problem(400, f"the multipart body is malformed: a header of a part is over {_HEADER_BYTES:,} bytes")
        value.extend(chunk[start:end])

    def header_end() -> None:
        if header.lower() == b"content-disposition":
            parts[-1].name, parts[-1].file_name = _disposition(bytes(value))
        header.clear()
        value.clear()

    def data(chunk: bytes, start: int, end: int) -> None:
        part = parts[-1]
        part.data += memoryview(chunk)[start:end]
        if part.file_name is None and part.name not in ("file", "image") and len(part.data) > _FIELD_BYTES:
            raise Problem.over("bytes", _FIELD_BYTES, f"the field {one_line(part.name, 40)!r} is too long")

    def finish() -> None:
        nonlocal ended
        ended = True

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": lambda chunk, start, end: header.extend(chunk[start:end]),
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_part_data": data,
            "on_end": finish,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, f"the multipart body is malformed: {one_line(error, 200)}") from None
    if not ended:
        raise Problem(400, "the multipart body is cut short: its last boundary is missing", "truncated")
    return parts


def _disposition(value: bytes) -> tuple[str, str | None]:
    """Return the field's name and the file's name of a Content-Disposition header, in any of the usual encodings."""
    message = Message()
    message["content-disposition"] = value.decode("utf-8", "replace")
    name = message.get_param("name", header="content-disposition")
    file_name = message.get_filename()
    if file_name is not None:
        # Browsers write a quotation mark so (WHATWG HTML, multipart/form-data encoding).
        file_name = one_line(file_name.replace("%22", '"'), 200)
    return one_line(name if isinstance(name, str) else "", 100), file_name
