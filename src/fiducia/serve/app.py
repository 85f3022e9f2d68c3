"""The application: routes over a pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from .._version import __version__
from ..faces.plain import face_table
from .access import Access
from .align import aligned_face
from .bodies import Order, Upload, parse_body
from .engine import Engine
from .gate import Gate, Place
from .gateway import Gateway, problem_response
from .limits import Gone, Problem
from .models import AlignAnswer, DetectAnswer, ModelsAnswer, StateAnswer
from .observe import CONTENT_TYPE, Metrics
from .openapi import ERRORS, align_body, detect_body
from .pipeline import Outcome, Pipeline

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FEW = 16
_ALIGNED_PIXELS = 1 << 24
"""Of all aligned faces in an answer: 256 faces of 256 x 256 pixels."""
Write = Callable[[Outcome], list[dict[str, Any]]]
"""Turns a photograph's faces into plain values."""
Writer = Callable[[Order], Write]


def make_app(engine: Engine, access: Access | None = None) -> ASGIApp:
    """Return the ASGI application.

    Args:
        engine: what computes.
        access: who may ask; None = requests that name this machine, without a token.
    """
    metrics = Metrics()
    service = _Service(engine, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.pipeline.close)

    app = FastAPI(
        title="fiducia",
        version=__version__,
        description="Faces and their landmarks in photographs. Nothing that is sent is kept.",
        docs_url=None,  # its page would load scripts from a network
        redoc_url=None,
        lifespan=lifespan,
        responses=ERRORS,
    )
    for kind in (Problem, Gone, HTTPException, Exception):
        app.add_exception_handler(kind, _refuse)
    _add_api(app, service)
    _add_page(app)
    paths = frozenset(str(getattr(route, "path", "")) for route in app.routes) | {"/openapi.json"}
    inner: ASGIApp = app
    rules = access or Access()
    if rules.origins:
        inner = CORSMiddleware(
            app,
            allow_origins=list(rules.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "retry-after", "server-timing"],
        )
    return Gateway(inner, rules, metrics, paths)


class _Service:
    """What the routes share."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self.engine = engine
        self.metrics = metrics
        self.gate = Gate(engine.limits)
        self.pipeline = Pipeline(engine, metrics)

    async def answer(self, request: Request, writer: Writer) -> Response:
        """Read a request, compute it within its time, and stop when the client leaves."""
        start = time.monotonic()
        limit = self.engine.limits.max_seconds
        with self.gate.arrive() as place:
            try:
                async with asyncio.timeout(limit):
                    body = await _read(request, place)
            except TimeoutError:
                raise Problem.over("seconds", limit, f"the request took over {limit:g} s to arrive", 408) from None
            with place.work():
                return await self._in_time(request, body, writer, start + limit)

    async def _in_time(self, request: Request, body: bytes, writer: Writer, end: float) -> Response:
        limit = self.engine.limits.max_seconds
        work = asyncio.ensure_future(self._compute(request, body, writer))
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait({work, gone}, timeout=end - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            if gone.done():
                raise Gone
            raise Problem.over("seconds", limit, f"no answer within {limit:g} s; send less at once", 504)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _compute(self, request: Request, body: bytes, writer: Writer) -> Response:
        kind, query = request.headers.get("content-type", ""), dict(request.query_params)
        order = await self.pipeline.run(lambda: parse_body(kind, body, query, self.engine.limits), len(body))
        weights, detector = self.engine.choose(order.options)
        write = writer(order)
        rows = await asyncio.gather(*(self._row(upload, weights, detector, write) for upload in order.uploads))
        failed = [problem for _, _, problem in rows if problem is not None]
        if len(failed) == len(rows):
            raise failed[0]
        stages = [stage for _, stage, _ in rows]
        total = {name: sum(one.get(name, 0.0) for one in stages) for name in ("find", "wait", "network", "write")}
        notes = request.state.notes
        notes |= {
            "bytes": len(body),
            "photographs": len(rows),
            "faces": sum(len(row.get("faces", ())) for row, _, _ in rows),
            **{f"{name}_ms": round(1000 * seconds, 1) for name, seconds in total.items()},
        }
        content = {
            "weights": weights,
            "weights_sha256": self.engine.offers[weights].card.sha256,
            "detector": detector,
            "source": "auto",
            "request_id": request.state.request_id,
            "photographs": [row for row, _, _ in rows],
        }
        timing = ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in total.items())
        return JSONResponse(content, headers={"server-timing": timing, "cache-control": "no-store"})

    async def _row(
        self, upload: Upload, weights: str, detector: str, write: Write
    ) -> tuple[dict[str, Any], dict[str, float], Problem | None]:
        """Return a photograph's part of the answer; one of several that cannot be used does not stop the others."""
        try:
            outcome = await self.pipeline.photograph(upload, weights, detector)
            start = time.monotonic()
            # An answer of many faces, or with pictures, takes long enough to hold up the event loop.
            few = write is _plain and len(outcome.faces) <= _FEW
            faces = write(outcome) if few else await self.pipeline.run(lambda: write(outcome))
        except Problem as problem:
            return {"image": upload.name, "error": problem.table()}, {}, problem
        height, width = outcome.photo.image.shape[:2]
        row = {
            "image": upload.name,
            "width": width,
            "height": height,
            "remarks": list(outcome.remarks),
            "faces": faces,
        }
        return row, {**outcome.stages, "write": time.monotonic() - start}, None


def _add_api(app: FastAPI, service: _Service) -> None:
    engine = service.engine

    def check_alive() -> None:
        if not service.pipeline.batcher.alive:
            raise Problem(503, "the network's thread has ended; restart the server", "stopped")

    @app.post("/v1/detect", response_model=DetectAnswer, openapi_extra=detect_body(), tags=["faces"])
    async def detect(request: Request) -> Response:
        """Find faces and their landmarks in one or several photographs."""
        return await service.answer(request, lambda order: _plain)

    @app.post("/v1/align", response_model=AlignAnswer, openapi_extra=align_body(), tags=["faces"])
    async def align(request: Request) -> Response:
        """Find faces, and return each upright and centred as an image file too."""

        return await service.answer(request, _aligner)

    @app.get("/v1/models", response_model=ModelsAnswer, tags=["server"])
    async def models() -> ModelsAnswer:
        """Return weights with their landmark sets, detectors and limits."""
        return engine.description

    @app.get("/healthz", response_model=StateAnswer, tags=["server"])
    async def healthz() -> dict[str, str]:
        """Tell that the server lives: this answer comes, and the network's thread runs."""
        check_alive()
        return {"status": "ok"}

    @app.get("/readyz", response_model=StateAnswer, tags=["server"])
    async def readyz() -> dict[str, str]:
        """Tell whether requests are taken: the server lives, and the queue has room."""
        check_alive()
        service.gate.check()
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, tags=["server"])
    async def metrics() -> Response:
        """Return metrics in Prometheus' text form."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)


def _add_page(app: FastAPI) -> None:
    """Serve the page's files, each under a route of its own: no path of a request ever names a file."""
    files: Sequence[Path] = sorted(path for path in _PAGE.iterdir() if path.suffix in _TYPES)
    for file in files:
        address = "/" if file.name == "index.html" else f"/page/{file.name}"

        async def answer(file: Path = file) -> FileResponse:
            return FileResponse(file, media_type=_TYPES[file.suffix], headers={"cache-control": "no-cache"})

        app.add_api_route(address, answer, include_in_schema=False, response_class=FileResponse)


def _plain(outcome: Outcome) -> list[dict[str, Any]]:
    return [face_table(face) for face in outcome.faces]


def _aligner(order: Order) -> Write:
    """Return what writes faces with their crops, for one request."""
    size, form = order.options.size, order.options.format
    left = _ALIGNED_PIXELS

    def write(outcome: Outcome) -> list[dict[str, Any]]:
        nonlocal left
        left -= size * size * len(outcome.faces)
        if left < 0:
            message = f"the aligned faces have over {_ALIGNED_PIXELS:,} pixels together; ask for a smaller size"
            raise Problem.over("aligned_pixels", _ALIGNED_PIXELS, message)
        image = outcome.photo.image
        return [face_table(face) | aligned_face(image, face, size, form) for face in outcome.faces]

    return write


async def _refuse(request: Request, error: Exception) -> Response:
    """Turn what a handler raised into an answer; :class:`Gone` into one that nobody reads."""
    if isinstance(error, Gone):
        return Response(status_code=499)
    request_id = request.state.request_id
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, HTTPException):
        messages = {
            404: f"there is no {request.url.path[:80]}; expected /, /v1/detect, /v1/align, /v1/models or /openapi.json",
            405: f"{request.method} is not for {request.url.path[:80]}",
        }
        status = error.status_code
        message = messages.get(status, str(error.detail))
        problem = Problem(status, message, f"http_{status}", headers=dict(error.headers or {}))
    else:
        problem = Problem(500, f"an error of the server; its log has it under {request_id}", "internal")
    request.state.notes["code"] = problem.code
    return problem_response(problem, request_id)


async def _read(request: Request, place: Place) -> bytes:
    """Return the body; too much is refused by its declared length, or as soon as it has arrived."""
    most = place.limits.max_bytes
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise Problem.over("bytes", most, f"{int(declared):,} bytes; at most {most:,} are taken; send less at once")
    body = bytearray()
    try:
        async for chunk in request.stream():
            place.hold(len(chunk))
            body += chunk
    except ClientDisconnect:
        raise Gone from None
    return bytes(body)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
