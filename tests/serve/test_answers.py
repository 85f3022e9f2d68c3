"""What the API answers to good requests."""

from __future__ import annotations

import base64
import json
import logging
import re

import cv2
import numpy as np
import pytest

import fiducia
from fiducia.serve.access import Access
from fiducia.serve.app import make_app
from fiducia.serve.engine import Engine
from fiducia.serve.observe import JsonLines

from .conftest import Post, call

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def expected(photograph: bytes) -> fiducia.Face:
    (face,) = fiducia.load("fifa_tiny", device="cpu", runtime="torch")(photograph)
    return face


def test_every_form_of_a_request_gives_the_same_faces(post: Post, photograph: bytes, expected: fiducia.Face) -> None:
    text = base64.b64encode(photograph).decode()
    answers = [
        post(content=photograph, headers=JPEG),
        post(content=photograph, headers={"content-type": "application/octet-stream"}),
        post(files={"file": ("photo.jpg", photograph)}),
        post(json={"images": [{"data": text}]}),
        post(json={"images": [{"data": f"data:image/jpeg;base64,{text}"}], "weights": "fifa_tiny", "detector": "auto"}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        table = answer.json()
        assert (table["weights"], table["source"]) == ("fifa_tiny", "auto")
        (row,) = table["photographs"]
        assert (row["width"], row["height"]) == (512, 512)
        (face,) = row["faces"]
        np.testing.assert_allclose(face["points"], expected.xy, atol=0.01)
        np.testing.assert_allclose(face["confidence"], expected.confidence, atol=1e-3)
        assert face["scheme"] == "ibug68"
    assert re.fullmatch(
        r"find;dur=[\d.]+, wait;dur=[\d.]+, network;dur=[\d.]+, write;dur=[\d.]+", answers[0].headers["server-timing"]
    )


def test_boxes_take_the_place_of_the_detector(post: Post, photograph: bytes, box: list[float]) -> None:
    boxes = [box, [0.0, 0.0, 90.0, 90.0]]
    (row,) = post(files={"file": photograph}, data={"boxes": json.dumps(boxes)}).json()["photographs"]
    assert [face["box"] for face in row["faces"]] == boxes
    again = post("/v1/detect", params={"boxes": json.dumps(boxes)}, content=photograph, headers=JPEG)
    assert again.json()["photographs"][0]["faces"] == row["faces"]
    tables = [[box], None]
    first, second = post(files=[("file", photograph)] * 2, data={"boxes": json.dumps(tables)}).json()["photographs"]
    assert first["faces"][0]["box"] == box
    assert second["faces"][0]["box"] != box
    assert post(files={"file": photograph}, data={"boxes": "[]"}).json()["photographs"][0]["faces"] == []


@pytest.mark.parametrize("name", ["Müller ☃.jpg", "写真.png", 'with "quotes".jpg', "a/b\\c.jpg"])
def test_names_of_files_come_back(post: Post, photograph: bytes, name: str) -> None:
    (row,) = post(files={"file": (name, photograph)}).json()["photographs"]
    assert row["image"] == name


def test_a_name_is_read_in_the_encodings_that_clients_use(post: Post, photograph: bytes) -> None:
    for given in ("filename*=UTF-8''M%C3%BCller.jpg", 'filename="Müller.jpg"'):
        head = f'--x\r\nContent-Disposition: form-data; name="file"; {given}\r\n\r\n'.encode()
        body = head + photograph + b"\r\n--x--\r\n"
        answer = post(content=body, headers={"content-type": "multipart/form-data; boundary=x"})
        assert answer.json()["photographs"][0]["image"] == "Müller.jpg"


def test_aligned_faces_are_upright_and_lead_back(post: Post, photograph: bytes) -> None:
    image = cv2.imdecode(np.frombuffer(photograph, np.uint8), cv2.IMREAD_COLOR)
    turned = cv2.imencode(".png", cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE))[1].tobytes()
    answer = post("/v1/align", files={"file": turned}, data={"size": "96", "format": "jpeg"})
    (face,) = answer.json()["photographs"][0]["faces"]
    crop = cv2.imdecode(np.frombuffer(base64.b64decode(face["aligned"]), np.uint8), cv2.IMREAD_COLOR)
    assert crop.shape == (96, 96, 3)
    to_image = np.array(face["to_image"])
    points = (np.array(face["points"]) - to_image[:, 2]) @ np.linalg.inv(to_image[:, :2]).T
    right, left = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
    assert abs(right[1] - left[1]) < 3
    assert right[0] < left[0]
    assert 0.25 < (left[0] - right[0]) / 96 < 0.4
    assert points[27:36].mean(axis=0)[1] > right[1]


def test_models_ready_health_metrics_and_the_page(engine: Engine, photograph: bytes) -> None:
    app = make_app(engine)
    call(app, "POST", "/v1/detect", content=photograph, headers=JPEG)
    call(app, "GET", "/made-up")
    models = call(app, "GET", "/v1/models").json()
    assert [row["name"] for row in models["weights"]] == ["fifa_tiny", "fifa_small"]
    assert models["detectors"] == ["auto", "yunet"]
    assert len(models["weights"][0]["scheme"]["names"]) == 68
    assert models["limits"]["max_faces"] == 20
    assert call(app, "GET", "/healthz").json() == {"status": "ok"}
    assert call(app, "GET", "/readyz").json() == {"status": "ready"}
    text = call(app, "GET", "/metrics").text
    for line in (
        'fiducia_requests_total{path="/v1/detect",status="200"} 1.0',
        'fiducia_requests_total{path="other",status="404"} 1.0',
        "fiducia_faces_total 1.0",
        'fiducia_batch_faces_bucket{le="1.0"} 1.0',
        'fiducia_stage_seconds_count{stage="network"} 1.0',
    ):
        assert line in text
    page = call(app, "GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for file in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        assert call(app, "GET", file).status_code == 200, file


def test_the_openapi_description_shows_bodies_errors_and_examples(engine: Engine, photograph: bytes) -> None:
    app = make_app(engine)
    table = call(app, "GET", "/openapi.json").json()
    detect = table["paths"]["/v1/detect"]["post"]
    content = detect["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json", "image/*", "application/octet-stream"}
    assert {"200", "400", "401", "408", "413", "415", "422", "429", "504"} <= set(detect["responses"])
    # The example is a request that the server takes, up to its boxes, which are not those of a picture of one pixel.
    example = content["application/json"]["example"]
    del example["images"][0]["boxes"]
    assert call(app, "POST", "/v1/detect", json=example).json()["photographs"][0]["faces"] == []
    text = json.dumps(table)
    assert [
        ref for ref in re.findall(r'"#/components/schemas/(\w+)"', text) if ref not in table["components"]["schemas"]
    ] == []


def test_a_request_leaves_one_line_of_json_without_its_content(
    engine: Engine, photograph: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fiducia.serve"):
        answer = call(
            make_app(engine),
            "POST",
            "/v1/detect",
            files={"file": ("secret-name.jpg", photograph)},
            headers={"x-request-id": "mine-1"},
        )
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json()["request_id"] == "mine-1"
    (record,) = [record for record in caplog.records if record.name == "fiducia.serve"]
    line = JsonLines().format(record)
    table = json.loads(line)
    assert (table["request_id"], table["status"], table["faces"], table["photographs"]) == ("mine-1", 200, 1, 1)
    assert "secret-name" not in line
    strange = call(make_app(engine), "GET", "/healthz", headers={"x-request-id": "a\tb" * 50})
    assert re.fullmatch("[0-9a-f]{16}", strange.headers["x-request-id"])


TOKEN = "0123456789abcdef0123"


def test_a_token_guards_the_api_and_not_the_page(engine: Engine) -> None:
    app = make_app(engine, Access(TOKEN))
    for path in ("/v1/models", "/metrics", "/openapi.json"):
        answer = call(app, "GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert call(app, "GET", path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert call(app, "GET", path, headers={"authorization": f"Basic {TOKEN}"}).status_code == 401
        assert call(app, "GET", path, headers={"authorization": f"bearer {TOKEN}"}).status_code == 200
    for path in ("/", "/healthz", "/readyz"):
        assert call(app, "GET", path, base="http://faces.example").status_code == 200


def test_without_a_token_only_names_of_this_machine_are_answered(engine: Engine) -> None:
    app = make_app(engine)
    for base in ("http://localhost", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert call(app, "GET", "/healthz", base=base).status_code == 200
    answer = call(app, "GET", "/v1/models", base="http://evil.example")
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "host")


def test_other_web_pages_may_ask_only_when_they_are_named(engine: Engine, photograph: bytes) -> None:
    foreign = {"origin": "https://example.org", **JPEG}
    answer = call(make_app(engine), "POST", "/v1/detect", content=photograph, headers=foreign)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin")
    assert "access-control-allow-origin" not in answer.headers
    own = {"origin": "http://localhost", **JPEG}
    assert call(make_app(engine), "POST", "/v1/detect", content=photograph, headers=own).status_code == 200
    open_app = make_app(engine, Access(TOKEN, origins=("https://example.org",)))
    before = {"origin": "https://example.org", "access-control-request-method": "POST"}
    asked = call(open_app, "OPTIONS", "/v1/detect", headers=before)
    assert asked.headers["access-control-allow-origin"] == "https://example.org"
    allowed = {**foreign, "authorization": f"Bearer {TOKEN}"}
    answer = call(open_app, "POST", "/v1/detect", content=photograph, headers=allowed)
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    other = {**allowed, "origin": "https://example.net"}
    assert call(open_app, "POST", "/v1/detect", content=photograph, headers=other).status_code == 403
