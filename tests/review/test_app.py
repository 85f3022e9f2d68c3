"""What the review answers over HTTP: the right words for each status, and pictures of any shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fiducia.data.source import load_records
from fiducia.images import write_image
from fiducia.review.session import open_review
from fiducia.structures import Record

from .conftest import guess, serving, written

pytest.importorskip("fastapi", reason="needs the extra serve")
httpx = pytest.importorskip("httpx", reason="needs the dev extra")

MINE = {"authorization": "Bearer token-of-this-test"}
JSON = {**MINE, "content-type": "application/json"}


def test_each_refusal_says_what_is_wrong(tmp_path: Path, drawn: list[Record]) -> None:
    review = open_review(f"csv:{written(tmp_path, 'csv', drawn)}", guess(drawn))
    with serving(review) as url, httpx.Client(base_url=url.partition("#")[0], headers=MINE) as client:

        def told(status: int, answer: Any) -> str:
            assert answer.status_code == status, answer.text
            error = answer.json()["error"]
            assert error["status"] == status
            assert "\n" not in error["message"]
            return f"{error['code']}: {error['message']}"

        edit = "v1/faces/0/edit"
        # Bytes that are no text, and brackets too deep, are no JSON for a parser that is asked for either.
        for body in (b"\xff\xfe{", b"[" * 100_000):
            line = told(400, client.post(edit, content=body, headers=JSON))
            assert line.startswith("http_400: POST /v1/faces/0/edit: ")
            assert "there is no" not in line
            assert "parsing the body" in line
        assert told(404, client.get("v1/nothing")) == "http_404: there is no /v1/nothing here"
        assert told(404, client.post("v1/nothing")) == "http_404: there is no /v1/nothing here"
        wrong = client.get(edit)
        assert told(405, wrong) == "http_405: /v1/faces/0/edit does not take GET; it takes POST"
        assert wrong.headers["allow"] == "POST"
        assert told(422, client.post(edit, content=b"{", headers=JSON)).startswith("malformed: ")
        assert told(422, client.get("v1/faces/99")).startswith("refused: there is no face 99")
    review.close()


@pytest.mark.parametrize(("width", "height"), [(20_000, 3), (3, 20_000), (4_001, 1)])
def test_the_picture_of_a_strip_has_a_pixel_at_least_and_shows_its_region(
    tmp_path: Path, width: int, height: int
) -> None:
    longest = max(width, height)
    shade = np.linspace(0, 250, longest)[None, :] * np.ones((min(width, height), 1))
    strip = np.repeat(np.rint(shade).astype(np.uint8)[..., None], 3, axis=2)
    write_image(tmp_path / "a.png", np.ascontiguousarray(strip if width > height else strip.swapaxes(0, 1)))
    along = [0.0, 0.25, 0.5, 0.75, 1.0]
    cells = ",".join(f"{a * (width - 1)},{a * (height - 1)}" for a in along)
    head = ",".join(f"x{k},y{k}" for k in range(5))
    (tmp_path / "f.csv").write_text(f"image,{head}\na.png,{cells}\n")
    review = open_review(f"csv:{tmp_path / 'f.csv'}", lambda records: (None, {}))
    with serving(review) as url, httpx.Client(base_url=url.partition("#")[0], headers=MINE) as client:
        answer = client.get("v1/faces/0/image")
        assert answer.status_code == 200, answer.text
        x1, y1, x2, y2 = json.loads(answer.headers["x-region"])
        face = client.get("v1/faces/0").json()
    review.close()
    assert (x1, y1, x2, y2) == (0, 0, width, height)
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    assert max(picture.shape) == 1600
    assert min(picture.shape) == 1
    # The page stretches the picture over the region; a point lies on its own shade.
    for a, (x, y) in zip(along, face["points"], strict=True):
        column = min(int((x + 0.5 - x1) / (x2 - x1) * picture.shape[1]), picture.shape[1] - 1)
        row = min(int((y + 0.5 - y1) / (y2 - y1) * picture.shape[0]), picture.shape[0] - 1)
        assert picture[row, column] == pytest.approx(250 * a, abs=3)
    assert len(load_records(review.source, "all")) == 1
