"""On a real socket: slow clients, clients that leave, too many at once, the end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from fiducia.cli import main
from fiducia.errors import UsageError
from fiducia.serve.access import TOKEN_VARIABLE, bind, find_token, is_loopback
from fiducia.serve.engine import Engine

from .conftest import on_socket, with_limits

JPEG = {"content-type": "image/jpeg"}


def connect(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=120)


def read_answer(connection: socket.socket) -> bytes:
    """Return one answer; its head and its body may arrive apart."""
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        head_, found, body = data.partition(b"\r\n\r\n")
        sizes = [
            int(line.split(b":")[1]) for line in head_.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        if found and len(body) >= sum(sizes):
            break
    return data


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            data += chunk
    return data


def head(length: int) -> bytes:
    return (
        f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize(
    "before", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["new", "kept alive"]
)
def test_a_client_that_sends_its_head_too_slowly_is_told_and_left(engine: Engine, before: bytes) -> None:
    with on_socket(engine, head_seconds=0.5) as url, connect(url) as silent, connect(url) as slow:
        start = time.monotonic()
        if before:
            slow.sendall(before)
            whole = b""
            while not whole.endswith(b"}"):
                whole += slow.recv(65536)
            assert whole.startswith(b"HTTP/1.1 200")
        slow.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: loc")
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    slow.sendall(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        answer = read_all(slow)
        stop.set()
        thread.join()
        assert answer.startswith(b"HTTP/1.1 408")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["limit"] == "head_seconds"
        assert read_all(silent) == b"", "nothing was asked, so nothing is answered"
        assert time.monotonic() - start < 10
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_client_that_sends_its_body_too_slowly(engine: Engine, photograph: bytes) -> None:
    with on_socket(with_limits(engine, max_seconds=0.5)) as url, connect(url) as slow:
        slow.sendall(head(len(photograph)) + photograph[:100])
        answer = read_answer(slow)
        assert answer.startswith(b"HTTP/1.1 408")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["limit"] == "seconds"


def test_slow_bodies_keep_nobody_out(engine: Engine, photograph: bytes) -> None:
    with on_socket(with_limits(engine, queue=2)) as url, contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connect(url)).sendall(head(len(photograph)) + photograph[:100])
        assert httpx.post(f"{url}/v1/detect", content=photograph, headers=JPEG).status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_upload(engine: Engine, photograph: bytes) -> None:
    with on_socket(engine) as url:
        with connect(url) as client:
            client.sendall(head(len(photograph)) + photograph[:5000])
        for _ in range(200):
            text = httpx.get(f"{url}/metrics").text
            if 'status="499"' in text:
                break
            time.sleep(0.02)
        assert 'fiducia_requests_total{path="/v1/detect",status="499"} 1.0' in text
        assert httpx.post(f"{url}/v1/detect", content=photograph, headers=JPEG).status_code == 200


def test_a_client_that_does_not_read_its_answer_is_left(engine: Engine, photograph: bytes) -> None:
    boxes = [[178 + i % 5, 89, 271, 177] for i in range(8)]
    body = json.dumps({"images": [{"data": base64.b64encode(photograph).decode(), "boxes": boxes}], "size": 1024})
    start = f"POST /v1/align HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with on_socket(engine, read_seconds=0.5) as url, connect(url) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(start.encode() + body.encode())
        for _ in range(600):
            lines = httpx.get(f"{url}/metrics").text.splitlines()
            if any(line.startswith('fiducia_requests_total{path="/v1/align"') for line in lines):
                break
            time.sleep(0.02)
        # Its connection is gone, so that the server ends at once when this block is left.
        started = time.monotonic()
    assert time.monotonic() - started < 5


def test_a_gigabyte_is_refused_by_its_announcement(live: str) -> None:
    with connect(live) as client:
        client.sendall(head(1 << 30))
        answer = read_answer(client)
        assert answer.startswith(b"HTTP/1.1 413")
        # What is still sent is dropped; the connection does not stay open for it.
        client.sendall(b"\0" * 100_000)


def test_no_http_is_answered_with_json(live: str) -> None:
    with connect(live) as client:
        client.sendall(b"\x16\x03\x01 TLS to a plain port\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "http"


class Held:
    """An engine whose network waits until it is let go, and counts what it computed."""

    def __init__(self, engine: Engine, **limits: float) -> None:
        self.engine = with_limits(engine, **limits)
        self.begun = threading.Event()
        self.free = threading.Event()
        self.computed = 0
        inner = self.engine.landmarks

        def landmarks(weights: str, found: list[object]) -> object:
            self.begun.set()
            assert self.free.wait(20)
            self.computed += len(found)
            return inner(weights, found)  # type: ignore[arg-type]

        self.engine.landmarks = landmarks  # type: ignore[method-assign, assignment]


def test_a_client_that_leaves_frees_its_place(engine: Engine, photograph: bytes) -> None:
    held = Held(engine, queue=2)
    with on_socket(held.engine) as url:
        first, second = connect(url), connect(url)
        first.sendall(head(len(photograph)) + photograph)
        assert held.begun.wait(20)
        second.sendall(head(len(photograph)) + photograph)
        for _ in range(200):
            if b"fiducia_queue 1.0" in httpx.get(f"{url}/metrics").content:
                break
            time.sleep(0.02)
        assert httpx.get(f"{url}/readyz").status_code == 429
        second.close()
        for _ in range(200):
            if httpx.get(f"{url}/readyz").status_code == 200:
                break
            time.sleep(0.02)
        held.free.set()
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        first.close()
        assert httpx.post(f"{url}/v1/detect", content=photograph, headers=JPEG).status_code == 200
        text = httpx.get(f"{url}/metrics").text
    assert 'fiducia_requests_total{path="/v1/detect",status="499"} 1.0' in text
    assert held.computed == 2, "the one that left was not computed"


def test_no_answer_in_time(engine: Engine, photograph: bytes) -> None:
    held = Held(engine, max_seconds=0.6)
    with on_socket(held.engine) as url:
        answer = httpx.post(f"{url}/v1/detect", content=photograph, headers=JPEG)
        assert (answer.status_code, answer.json()["error"]["limit"]) == (504, "seconds")
        held.free.set()
        held.engine.limits = engine.limits
    assert held.computed == 1


def test_200_uploads_at_once_are_answered_or_told_to_come_back(engine: Engine, photograph: bytes) -> None:
    held = Held(engine, queue=8)

    unbounded = httpx.Limits(max_connections=None)
    with (
        on_socket(held.engine) as url,
        ThreadPoolExecutor(200) as pool,
        httpx.Client(base_url=url, limits=unbounded, timeout=60) as client,
    ):

        def send() -> httpx.Response:
            return client.post("/v1/detect", content=photograph, headers=JPEG)

        waiting = [pool.submit(send) for _ in range(200)]
        for _ in range(3000):
            if sum(one.done() for one in waiting) >= 192:
                break
            time.sleep(0.01)
        held.free.set()
        answers = [one.result() for one in waiting]
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * 8 + [429] * 192
        refused = [answer for answer in answers if answer.status_code == 429]
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
        assert refused[0].json()["error"]["limit"] == "queue"
        assert send().status_code == 200


def test_sigterm_under_load_finishes_what_it_has(photograph: bytes) -> None:
    """No request that was sent is lost, new ones find nobody, and the exit status is 0."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop(TOKEN_VARIABLE, None)
    command = [
        sys.executable,
        "-m",
        "fiducia",
        "serve",
        "--port",
        "0",
        "--weights",
        "fifa_tiny",
        "--detector",
        "yunet",
        "--runtime",
        "torch",
    ]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        first = json.loads(process.stderr.readline())
        assert first["message"] == "listening"
        url = first["url"].rstrip("/")
        half = len(photograph) // 2
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(connect(url)) for _ in range(12)]
            for connection in connections:
                connection.sendall(head(len(photograph)) + photograph[:half])
            for _ in range(500):
                if "fiducia_requests_in_work 13.0" in httpx.get(f"{url}/metrics").text:
                    break
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            for connection in connections:
                connection.sendall(photograph[half:])
            answers = [read_all(connection) for connection in connections]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 12
        with pytest.raises(OSError, match="refused"):
            connect(url)
        assert process.wait(30) == 0
        lines = [json.loads(line) for line in process.stderr]
        assert sum(line.get("status") == 200 for line in lines) == 12
        assert lines[-1]["message"] == "stopped"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


# ---- the address and the token


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Nagle's algorithm is off: with it, an answer in two parts takes 40 ms longer."""
    off = []

    async def talk() -> None:
        def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            off.append(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = bind("127.0.0.1", 0, "")
        async with await asyncio.start_server(greet, sock=listener):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            await reader.read()
            writer.close()

    asyncio.run(talk())
    assert off == [1]


def test_a_public_address_needs_a_token(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    for host in ("0.0.0.0", "::"):
        with pytest.raises(SystemExit) as done:
            main(["serve", "--host", host, "--port", "0"])
        assert done.value.code == 2
        assert "no token is set" in capsys.readouterr().err
    bind("0.0.0.0", 0, "a" * 16).close()
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.9")


def test_wrong_options_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, message in (
        (["--log-level", "loud"], "expected debug, info or warning"),
        (["--cors", "example.org"], "expected an origin"),
        (["--weights", "fifa_huge", "--port", "0"], "fifa_huge: neither a weight file"),
        (["--weights", "fifa_tiny", "--weights", "fifa_tiny", "--port", "0"], "two of the name fifa_tiny"),
        (["--detector", "none", "--port", "0"], "no such detector"),
    ):
        with pytest.raises(SystemExit) as done:
            main(["serve", *words])
        assert done.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_wrong_addresses_and_tokens_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bind("127.0.0.1", 0, "") as taken, pytest.raises(UsageError, match="cannot be bound"):
        bind("127.0.0.1", taken.getsockname()[1], "")
    with pytest.raises(UsageError, match=r"--host no\.such\.host\.invalid"):
        bind("no.such.host.invalid", 0, "")
    with pytest.raises(UsageError, match="cannot be read"):
        find_token(tmp_path / "none")
    (tmp_path / "token").write_text("  0123456789abcdef\n")
    assert find_token(tmp_path / "token") == "0123456789abcdef"
    for text in ("short", "two words in one token", ""):
        (tmp_path / "token").write_text(text)
        with pytest.raises(UsageError, match="at least 16 ASCII"):
            find_token(tmp_path / "token")
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 20)
    assert find_token(None) == "x" * 20
