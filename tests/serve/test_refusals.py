"""Every bad request gets its status, a body that says why, and the next one is answered."""

from __future__ import annotations

import ast
import base64
import json
import re
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fiducia.serve.access import Access
from fiducia.serve.app import make_app
from fiducia.serve.bodies import parse_body
from fiducia.serve.engine import Engine
from fiducia.serve.gateway import error_body
from fiducia.serve.limits import Problem

from .conftest import LIMITS, Post, call, with_limits

ROOT = Path(__file__).parents[2]
JPEG = {"content-type": "image/jpeg"}
BOUNDARY = {"content-type": "multipart/form-data; boundary=x"}


def png(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds one row of it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * (3 * min(width, 1000) + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def encoded(data: bytes, **more: Any) -> dict[str, Any]:
    return {"images": [{"data": base64.b64encode(data).decode(), **more}]}


def boxed(photograph: bytes, boxes: Any) -> dict[str, Any]:
    return {"files": {"file": ("photo.jpg", photograph)}, "data": {"boxes": json.dumps(boxes)}}


def refused(answer: Any, status: int, words: str, code: str, limit: str | None = None) -> None:
    """Check the answer's status and body, and that the message names what is wrong in one line."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["status"] == status
    assert error["code"] == code
    assert re.search(words, error["message"]), error["message"]
    assert "\n" not in error["message"]
    assert error.get("limit") == limit
    assert error["request_id"] == answer.headers["x-request-id"]
    if limit:
        assert error["maximum"] > 0


@pytest.mark.parametrize(
    ("content", "status", "words", "code", "limit"),
    [
        ({"content": b"", "headers": JPEG}, 400, "no body", "empty", None),
        ({"content": b"hello", "headers": JPEG}, 415, "a text file", "unsupported_type", None),
        (
            {"content": b"hello", "headers": {"content-type": "text/plain"}},
            415,
            "'text/plain'",
            "unsupported_type",
            None,
        ),
        ({"content": b"hello"}, 415, "is missing", "unsupported_type", None),
        ({"content": png(40_000, 40_000), "headers": JPEG}, 413, "40000 x 40000 pixels", "limit_pixels", "pixels"),
        ({"content": png(100, 100), "headers": JPEG}, 422, "image: ", "damaged", None),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not JSON", "malformed", None),
        ({"json": {"images": []}}, 400, "no photograph", "empty", None),
        ({"json": {"pictures": []}}, 422, "images", "invalid", None),
        ({"json": {"images": [{"data": "%%%"}]}}, 400, "not base64", "malformed", None),
        ({"content": b"", "headers": BOUNDARY}, 400, "no body", "empty", None),
        ({"content": b"--x--\r\n", "headers": BOUNDARY}, 400, "no photograph", "empty", None),
        ({"content": b"nonsense", "headers": BOUNDARY}, 400, "malformed", "malformed", None),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "boundary", "malformed", None),
        ({"files": [("file", b"x")] * 5}, 413, "at most 4", "limit_photographs", "photographs"),
        ({"content": b"x" * (1 << 21), "headers": JPEG}, 413, "at most 1,048,576", "limit_bytes", "bytes"),
    ],
)
def test_a_bad_body(
    post: Post, content: dict[str, Any], status: int, words: str, code: str, limit: str | None, photograph: bytes
) -> None:
    refused(post(**content), status, words, code, limit)
    assert post(content=photograph, headers=JPEG).status_code == 200


@pytest.mark.parametrize(
    ("boxes", "status", "words", "code"),
    [
        ([[float("nan"), 1, 2, 3]], 422, "box 0 is not finite", "boxes"),
        ([[0, 0, float("inf"), 3]], 422, "box 0 is not finite", "boxes"),
        ([[9000, 9000, 9100, 9100]], 422, "outside the 512 x 512", "boxes"),
        ([[5, 5, 5, 9]], 422, "inverted or empty", "boxes"),
        ([[1, 2, 3]], 422, "four numbers", "boxes"),
        ([["a", 1, 2, 3]], 422, "four numbers", "boxes"),
        ([[True, 1, 2, 3]], 422, "four numbers", "boxes"),
        (7, 422, "expected rows", "boxes"),
        ([[0, 0, 10, 10]] * 10_000, 413, "10000 boxes; at most 20", "limit_faces"),
        ([[10**400, 0, 10**401, 5]], 422, "photo.jpg: a box holds a number that is too large", "boxes"),
    ],
)
def test_bad_boxes(post: Post, photograph: bytes, boxes: Any, status: int, words: str, code: str) -> None:
    refused(post(**boxed(photograph, boxes)), status, words, code, "faces" if status == 413 else None)


def test_bad_boxes_in_json_and_in_the_address(post: Post, photograph: bytes) -> None:
    body = json.dumps(encoded(photograph, boxes=[[float("nan"), 0, 5, 5]])).encode()
    refused(post(content=body, headers={"content-type": "application/json"}), 422, "not finite", "boxes")
    refused(post("/v1/detect?boxes=[[", content=photograph, headers=JPEG), 400, "boxes is not JSON", "boxes")


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        ({"weights": "fifa_huge"}, "it offers fifa_tiny, fifa_small", "unknown_name"),
        ({"weights": "/etc/passwd"}, "it offers", "unknown_name"),
        ({"detector": "yunet:/etc/passwd"}, "it offers auto, yunet", "unknown_name"),
        ({"colour": "red"}, "no such option", "invalid"),
        ({"size": "9"}, "size: .*16", "invalid"),
    ],
)
def test_bad_options(post: Post, photograph: bytes, options: dict[str, str], words: str, code: str) -> None:
    refused(post(files={"file": photograph}, data=options), 422, words, code)
    refused(post(params=options, content=photograph, headers=JPEG), 422, words, code)


def test_a_multipart_body_that_is_cut_short_at_any_place(post: Post, photograph: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="p.jpg"\r\n\r\n'
    body = head + photograph + b"\r\n--x--\r\n"
    for end in (10, len(head), len(head) + 5000, len(body) - 12, len(body) - 5):
        answer = post(content=body[:end], headers=BOUNDARY)
        assert answer.status_code == 400, end
    assert post(content=body, headers=BOUNDARY).status_code == 200


def test_a_stream_without_a_length_is_stopped_as_soon_as_it_is_too_long(engine: Engine) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b"\0" * (1 << 16)

    answer = call(make_app(engine), "POST", "/v1/detect", content=endless(), headers=JPEG)
    refused(answer, 413, "larger than", "limit_bytes", "bytes")
    assert sent <= LIMITS.max_bytes + (1 << 17)


def test_too_many_pixels_of_aligned_faces(post: Post, photograph: bytes) -> None:
    form = boxed(photograph, [[178, 89, 271, 177]] * 17)
    form["data"]["size"] = "1024"
    refused(post("/v1/align", **form), 413, "smaller size", "limit_aligned_pixels", "aligned_pixels")


def test_a_photograph_with_more_faces_than_the_limit_gives_the_best(engine: Engine, photograph: bytes) -> None:
    image = cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR)
    both = cv2.imencode(".jpg", np.hstack([image, image]))[1].tobytes()
    answer = call(make_app(with_limits(engine, max_faces=1)), "POST", "/v1/detect", content=both, headers=JPEG)
    (row,) = answer.json()["photographs"]
    assert len(row["faces"]) == 1
    assert row["remarks"] == ["2 faces were found; the best 1 are answered"]


def test_one_bad_photograph_of_several_leaves_the_others(post: Post, photograph: bytes) -> None:
    files = [
        ("file", ("good.jpg", photograph)),
        ("file", ("cut.jpg", photograph[:5000])),
        ("file", ("b.txt", b"hello")),
    ]
    answer = post(files=files)
    assert answer.status_code == 200
    good, cut, text = answer.json()["photographs"]
    assert len(good["faces"]) == 1
    assert (cut["error"]["status"], text["error"]["status"]) == (422, 415)
    assert cut["error"]["message"].startswith("cut.jpg: ")
    answer = post(files=files[1:])
    assert answer.status_code == 422, "where none can be used, the first one's error is the answer"


def test_paths_and_methods_that_do_not_exist(engine: Engine) -> None:
    app = make_app(engine)
    refused(call(app, "GET", "/v2/detect"), 404, "there is no /v2/detect", "http_404")
    refused(call(app, "GET", "/v1/detect"), 405, "GET is not for /v1/detect", "http_405")
    refused(call(app, "GET", "/page/../engine.py"), 404, "there is no", "http_404")
    refused(call(app, "GET", "/page/%2e%2e/engine.py"), 404, "there is no", "http_404")


def test_an_error_of_the_server_tells_nothing_of_its_inside(engine: Engine, photograph: bytes) -> None:
    broken = with_limits(engine)

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    broken.landmarks = fail  # type: ignore[method-assign, assignment]
    answer = call(make_app(broken), "POST", "/v1/detect", content=photograph, headers=JPEG)
    refused(answer, 500, "its log has it", "internal")
    assert "secret" not in answer.text


def refusal_codes() -> set[str]:
    """Return every code that the source gives a Problem."""
    codes = {"malformed"}
    for path in (ROOT / "src/fiducia/serve").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            kinds = {"Problem": (node.args[2:3], ""), "Problem.over": (node.args[:1], "limit_")}
            arguments, start = kinds.get(name, ([], ""))
            parts = [part for one in arguments if not isinstance(one, ast.JoinedStr) for part in ast.walk(one)]
            codes |= {start + p.value for p in parts if isinstance(p, ast.Constant) and isinstance(p.value, str)}
    return codes


def test_every_refusal_is_in_the_table_of_the_docs() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    codes = refusal_codes()
    assert {"limit_bytes", "limit_queue", "unsupported_type", "boxes", "unknown_name", "host", "stopped"} <= codes
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_an_origin_that_is_no_address_is_foreign() -> None:
    with pytest.raises(Problem, match="may not ask here"):
        Access().check("POST", "/v1/detect", {"host": "localhost:8000", "origin": "http://["})


def test_a_page_that_may_ask_can_read_that_a_token_is_needed() -> None:
    """A browser shows an answer of another server only where it allows the page; the refusal looked like no connection."""
    access, path = Access("secret-token-1234", origins=("https://a.example",)), "/v1/detect"
    for origin, allowed in (("https://a.example", "https://a.example"), ("http://localhost", None)):
        with pytest.raises(Problem) as caught:
            access.check("POST", path, {"host": "localhost", "origin": origin})
        assert (caught.value.status, caught.value.headers.get("access-control-allow-origin")) == (401, allowed)
    with pytest.raises(Problem) as caught:
        access.check("POST", path, {"host": "localhost", "origin": "https://b.example"})
    assert (caught.value.status, caught.value.headers) == (403, {})


def test_a_name_that_utf8_cannot_hold_is_an_escape_in_the_answer() -> None:
    body = error_body(Problem(400, "a\udce9.jpg: é is missing", "image"), "1")
    assert json.loads(body)["error"]["message"] == "a\udce9.jpg: é is missing"


@pytest.mark.parametrize(
    "values",
    [b'{"images":[' + b",".join([b'{"data":""}'] * 2000) + b"]}", b'{"images":[{"data":"","boxes":[' + b"[]," * 2000],
    ids=["photographs", "boxes"],
)
def test_json_of_too_many_values_is_refused_before_it_is_parsed(values: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed, such a body takes fifty times its bytes, which the limit on bodies in memory does not see."""

    def parsed(body: bytes) -> None:
        raise AssertionError(f"{len(body)} bytes are parsed")

    monkeypatch.setattr("fiducia.serve.bodies._checked", parsed)
    with pytest.raises(Problem, match="JSON of too many values; at most 4 photographs, each with 20 boxes") as caught:
        parse_body("application/json", values, {}, LIMITS)
    assert (caught.value.status, caught.value.code) == (413, "limit_photographs")


def test_as_many_boxes_and_marks_in_names_as_the_limits_allow_are_taken(photograph: bytes) -> None:
    data, boxes = base64.b64encode(photograph).decode(), [[1.0, 2.0, 30.0, 40.0]] * LIMITS.max_faces
    images = [{"data": data, "name": "{[," * 66, "boxes": boxes}] * LIMITS.max_photographs
    order = parse_body("application/json", json.dumps({"images": images}).encode(), {}, LIMITS)
    assert [len(upload.boxes or ()) for upload in order.uploads] == [LIMITS.max_faces] * LIMITS.max_photographs


def test_a_long_header_of_a_part_is_refused_before_it_is_read() -> None:
    """A name of 64,000 semicolons took Python six seconds, and 30 MB of them may be sent."""
    body = b'--B\r\nContent-Disposition: form-data; name="' + b";" * 3500 + b"\r\n\r\nabc\r\n--B--\r\n"
    with pytest.raises(Problem, match="a header of a part is over 3,072 bytes") as caught:
        parse_body("multipart/form-data; boundary=B", body, {}, LIMITS)
    assert caught.value.status == 400
