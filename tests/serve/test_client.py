"""The client gives what :func:`fiducia.load` gives, and passes on what the server says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image

import fiducia
from fiducia.images import read_image
from fiducia.serve.access import Access
from fiducia.serve.client_values import boxes_text, wait_of
from fiducia.serve.engine import Engine
from fiducia.structures import Detection

from .conftest import on_socket


def test_every_kind_of_image_gives_the_faces_of_the_predictor(live: str, photograph: bytes, tmp_path: Path) -> None:
    (expected,) = fiducia.load("fifa_tiny", device="cpu", runtime="torch")(photograph)
    path = tmp_path / "Müller.jpg"
    path.write_bytes(photograph)
    pixels = read_image(photograph)
    with fiducia.Client(live) as client:
        assert client.ready()
        for image in (path, str(path), photograph, pixels, Image.fromarray(pixels)):
            (face,) = client.detect(image)
            assert isinstance(face, fiducia.Face)
            np.testing.assert_allclose(face.xy, expected.xy, atol=0.01)
            assert face.scheme == expected.scheme
            assert face.quality == pytest.approx(expected.quality, abs=1e-3)
            assert face.region("left_eye").shape == (6, 2)
        first, second = client.detect([path, pixels], [None, [[0, 0, 99, 99], [178, 89, 271, 177]]])
        assert (len(first), len(second)) == (1, 2)
        assert client.detect([]) == []
        faces = client.detect(path)
        assert (
            faces.to_dict()["faces"]
            == fiducia.load("fifa_tiny", device="cpu", runtime="torch")(path).to_dict()["faces"]
        )
        assert faces[0].align(64).image.shape == (64, 64, 3)
        (small,) = client.detect(path, weights="fifa_small", detector="yunet")
        assert small.xy.tolist() != face.xy.tolist()
        ((face, crop, to_image),) = client.align(path, size=80)
        assert (crop.shape, crop.dtype, to_image.shape) == ((80, 80, 3), np.uint8, (2, 3))
        middle = to_image[:, :2] @ [39.5, 39.5] + to_image[:, 2]
        assert np.linalg.norm(middle - face.xy.mean(axis=0)) < 30


def test_the_async_client_asks_for_many_at_once(live: str, photograph: bytes) -> None:
    async def run() -> list[int]:
        async with fiducia.AsyncClient(live) as client:
            assert await client.ready()
            assert (await client.models())["detectors"] == ["auto", "yunet"]
            faces = await asyncio.gather(*(client.detect(photograph) for _ in range(6)))
            assert len(await client.align(photograph, size=32)) == 1
            return [len(one) for one in faces]

    assert asyncio.run(run()) == [1] * 6


def test_what_the_server_refuses_is_an_error_with_its_words(live: str, photograph: bytes) -> None:
    with fiducia.Client(live) as client:
        with pytest.raises(fiducia.FiduciaError, match=r"415: image_0: is no image .*a text file"):
            client.detect(b"hello")
        with pytest.raises(fiducia.FiduciaError, match=r"image_1: is no image"):
            client.detect([photograph, b"hello"])
        with pytest.raises(fiducia.FiduciaError, match="422: weights: this server has no 'huge'"):
            client.detect(photograph, weights="huge")
        with pytest.raises(fiducia.FiduciaError, match=r"none\.jpg: cannot be read"):
            client.detect("none.jpg")
        with pytest.raises(fiducia.UsageError, match="2 photographs, but boxes for 1"):
            client.detect([photograph, photograph], [[[0, 0, 9, 9]]])
    with fiducia.Client("http://127.0.0.1:9", timeout=5) as client:
        assert not client.ready()
        with pytest.raises(fiducia.FiduciaError, match=r"no answer .* does fiducia serve run there"):
            client.models()


def test_the_token(engine: Engine, photograph: bytes) -> None:
    with on_socket(engine, Access("secret-token-1234")) as url:
        with fiducia.Client(url) as client, pytest.raises(fiducia.FiduciaError, match="401: a token is needed"):
            client.detect(photograph)
        with fiducia.Client(url, token="secret-token-1234") as client:
            assert len(client.detect(photograph)) == 1


def test_a_busy_server_is_asked_again_after_the_time_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [429, 429, 200]
    slept: list[float] = []
    monkeypatch.setattr("fiducia.serve.client.time.sleep", slept.append)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(answers.pop(0), headers={"retry-after": "3"}, json={"error": {"message": "busy"}})

    with fiducia.Client(transport=httpx.MockTransport(answer), retries=2) as client:
        client.models()
    assert slept == [3.0, 3.0]
    answers += [429] * 3
    with (
        fiducia.Client(transport=httpx.MockTransport(answer), retries=2) as client,
        pytest.raises(fiducia.FiduciaError, match="429: busy"),
    ):
        client.models()


def test_boxes_are_those_that_a_predictor_takes() -> None:
    """Rows of six numbers were cut anew into rows of four: three boxes of two faces, without a word."""
    found = SimpleNamespace(xyxy=np.array([[1.0, 2.0, 30.0, 40.0]]))
    detection = Detection(box=np.array([5.0, 6.0, 50.0, 60.0]))
    sent = json.loads(boxes_text([found, [detection], None, []], list("abcd")))
    assert sent == [[[1, 2, 30, 40]], [[5, 6, 50, 60]], None, []]
    for wrong in ([[1, 2, 30, 40, 0.9, 0]] * 2, [1, 2, 30, 40], [[30, 40, 1, 2]]):
        with pytest.raises(fiducia.FiduciaError, match=r"photo\.jpg: box"):
            boxes_text([wrong], ["photo.jpg"])


@pytest.mark.parametrize(
    ("said", "waits"), [("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("nan", 1), ("-5", 0), ("86400", 60)]
)
def test_a_proxy_may_say_anything_of_the_time_to_wait(said: str, waits: float) -> None:
    assert wait_of(httpx.Response(429, headers={"retry-after": said})) == waits


@pytest.mark.parametrize("answer", ["<html>hello</html>", "[]", "{}"])
def test_an_answer_of_another_program_is_one_line(answer: str) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text=answer))
    with (
        fiducia.Client("http://there", transport=transport) as client,
        pytest.raises(fiducia.FiduciaError, match="http://there: 200, but no answer of fiducia serve"),
    ):
        client.detect(b"bytes")


def test_the_client_needs_no_torch_and_says_what_it_needs() -> None:
    code = (
        "import sys; sys.modules['httpx'] = None; import fiducia\n"
        "try:\n    fiducia.Client()\nexcept fiducia.UsageError as error: print(error)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "install the extra" in done.stdout, done.stderr
    assert done.returncode == 0, done.stderr
