"""What the OpenAPI description says of bodies and errors, with examples."""

from __future__ import annotations

from typing import Any

from .models import ErrorAnswer, Options, Request

__all__ = ["ERRORS", "align_body", "detect_body"]

_REASONS = {
    400: "Malformed: no body, no JSON, no base64, a multipart body that is cut short.",
    401: "A token is needed.",
    408: "The request arrived too slowly.",
    413: "A limit on bytes, pixels, faces or photographs was met.",
    415: "Not a type of body or of image that can be read.",
    422: "A value that cannot be used: a damaged image, a box that is not finite or outside, an unknown name.",
    429: "The queue is full. Retry-After says when to try again.",
    504: "No answer within the time limit.",
}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="


def _error(status: int) -> dict[str, Any]:
    example = {
        "error": {
            "status": status,
            "code": "limit_bytes" if status == 413 else "malformed",
            "message": "one line: what was found, what was expected",
            "request_id": "5f2b8c0e9a1d4473",
        }
    }
    return {
        "model": ErrorAnswer,
        "description": _REASONS[status],
        "content": {"application/json": {"example": example}},
    }


ERRORS: dict[int | str, dict[str, Any]] = {status: _error(status) for status in _REASONS}


def detect_body() -> dict[str, Any]:
    """Return the request body of /v1/detect."""
    return _body(("weights", "detector"), {"detector": "auto", "boxes": [[150, 60, 290, 236]]})


def align_body() -> dict[str, Any]:
    """Return the request body of /v1/align."""
    return _body(("weights", "detector", "size", "format"), {"size": 112})


def _body(options: tuple[str, ...], example: dict[str, Any]) -> dict[str, Any]:
    known = Options.model_json_schema()["properties"]
    boxes = {"type": "string", "description": "JSON: rows x1 y1 x2 y2, or one table of rows a photograph."}
    fields = {name: known[name] for name in options} | {"boxes": boxes}
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    request = Request.model_json_schema(ref_template="#/components/schemas/{model}")
    request["properties"]["images"]["items"] = request.pop("$defs")["Photograph"]
    for name in set(Options.model_fields) - set(options):
        del request["properties"][name]
    image = {"data": _PIXEL, "name": "photo.png"}
    given = {"images": [image | {k: v for k, v in example.items() if k == "boxes"}]}
    given |= {k: v for k, v in example.items() if k != "boxes"}
    raw = {"schema": {"type": "string", "format": "binary"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {"type": "object", "required": ["file"], "properties": {"file": files, **fields}}
                },
                "application/json": {"schema": request, "example": given},
                "image/*": raw,
                "application/octet-stream": raw,
            },
        },
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in fields.items()
        ],
    }
