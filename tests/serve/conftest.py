"""A server for the tests: called directly, or on a socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fiducia.data.synthetic.source import synthetic_face
from fiducia.images import write_image

pytest.importorskip("fastapi", reason="needs the extra serve")

import httpx

from fiducia.serve.access import Access, bind
from fiducia.serve.app import make_app
from fiducia.serve.engine import Engine
from fiducia.serve.limits import Limits
from fiducia.serve.server import PatientProtocol, make_server

LIMITS = Limits(max_bytes=1 << 20, max_pixels=2_000_000, max_faces=20, max_photographs=4, max_seconds=20)
Post = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(["fifa_tiny", "fifa_small"], ["auto", "yunet"], runtime="torch", device="cpu", limits=LIMITS)


def with_limits(engine: Engine, **changes: float) -> Engine:
    """Return the engine with other limits; its networks are shared."""
    other = object.__new__(Engine)
    other.__dict__ = {k: v for k, v in engine.__dict__.items() if k != "description"}
    other.limits = replace(engine.limits, **changes)  # type: ignore[arg-type]
    return other


def call(app: object, method: str, path: str, **content: object) -> httpx.Response:
    """Send one request straight into an application."""

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        base = str(content.pop("base", "http://localhost"))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **content)  # type: ignore[arg-type]

    return asyncio.run(run())


@pytest.fixture
def post(engine: Engine) -> Post:
    app = make_app(engine)
    return lambda path="/v1/detect", **content: call(app, "POST", path, **content)


@contextmanager
def on_socket(
    engine: Engine, access: Access | None = None, head_seconds: float = 10.0, read_seconds: float = 30.0
) -> Iterator[str]:
    """Run a server in a thread, and give its address."""

    class Protocol(PatientProtocol):
        pass

    Protocol.head_seconds, Protocol.read_seconds = head_seconds, read_seconds
    listener = bind("127.0.0.1", 0, "")
    server = make_server(make_app(engine, access), engine.limits)
    server.config.http = Protocol
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    for _ in range(500):
        if server.started:
            break
        time.sleep(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def live(engine: Engine) -> Iterator[str]:
    with on_socket(engine) as url:
        yield url


@pytest.fixture(scope="session")
def face_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "face.png"
    write_image(path, synthetic_face(7)[0])
    return path


@pytest.fixture(scope="session")
def photograph() -> bytes:
    return (Path(__file__).parents[2] / "assets" / "astronaut.jpg").read_bytes()


@pytest.fixture(scope="session")
def box() -> list[float]:
    """Round the face of the photograph."""
    return np.array([178.0, 89.0, 271.0, 177.0]).tolist()
