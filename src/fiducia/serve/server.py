"""The server process: the socket, slow clients, signals."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from .gateway import error_body
from .limits import Limits, Problem
from .observe import logger

__all__ = ["HEAD_SECONDS", "READ_SECONDS", "PatientProtocol", "make_server", "serve"]

HEAD_SECONDS = 10.0
"""A client has so long to send a request's head, and to stop sending a body that was refused."""

READ_SECONDS = 30.0
"""A client has so long to read what the buffers hold before more is sent."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 for which no client can hold a connection by sending or reading slowly.

    The time for a body is the application's. This limits the rest: the head of a request, what is still sent after the
    answer, and the reading of an answer that is longer than the buffers. Bytes after the answer are dropped, so that a
    client that sends first and reads later sees why it was refused.
    """

    head_seconds = HEAD_SECONDS
    read_seconds = READ_SECONDS
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what arrives; the clock runs while no request is in work."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._late is None and (self._begun() or self.conn.their_state is not h11.IDLE):
            self._wait()

    def on_response_complete(self) -> None:
        """Start the clock where the body of an answered request is still being sent."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._wait()

    def pause_writing(self) -> None:
        """Start the reader's clock: the buffer of the answer is full."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.read_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the reader's clock."""
        self._stop_reading()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop()
        self._stop_reading()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with JSON, as all errors are."""
        self._end(Problem(400, "this is no HTTP/1.1 request", "http"))

    def _begun(self) -> bool:
        """Whether a part of a request's head has arrived; a browser may open a connection that it never uses."""
        return self.conn.our_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _wait(self) -> None:
        self._stop()
        self._late = self.loop.call_later(self.head_seconds, self._too_late)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _stop_reading(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_late(self) -> None:
        self._late = None
        if self._begun():
            limit = self.head_seconds
            message = f"the head of the request took over {limit:g} s to arrive"
            self._end(Problem.over("head_seconds", limit, message, 408))
        elif not self.transport.is_closing():
            self.transport.close()

    def _end(self, problem: Problem) -> None:
        """Send an error and close the connection."""
        if self.transport.is_closing():
            return
        with contextlib.suppress(h11.LocalProtocolError):
            body = error_body(problem, secrets.token_hex(8))
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            head = h11.Response(status_code=problem.status, headers=headers)
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def make_server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    """Return a server for the application; it finishes what it has when it is told to end."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(limits.max_seconds) + 5,
        h11_max_incomplete_event_size=32 << 10,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listener: socket.socket, limits: Limits, on_start: Callable[[], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; then stop listening, finish the requests in work, and return.

    A second Ctrl-C ends it at once.
    """
    server = make_server(app, limits)
    # uvicorn raises a signal again when it has ended; here that is the ordinary end.
    before = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(_run(server, listener, on_start))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _run(server: uvicorn.Server, listener: socket.socket, on_start: Callable[[], None]) -> None:
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    if server.started:
        on_start()
    await running
    logger.info("stopped")


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the server has ended by itself."""
