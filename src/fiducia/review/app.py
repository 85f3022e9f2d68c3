"""The review over HTTP: a page, and the few requests that it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import numpy.typing as npt
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from .._version import __version__
from ..data.editing.base import Change, LabelledFace
from ..data.editing.save import Changed
from ..errors import FiduciaError
from ..images import read_image
from ..schemes.sets import get_scheme
from ..serve.access import Access
from ..serve.gateway import Gateway, problem_response
from ..serve.limits import Problem
from ..serve.observe import Metrics
from .order import Doubtful
from .session import Refused, Review

__all__ = ["make_review_app"]

_PAGE = Path(__file__).parent / "page"
_SHARED = [Path(__file__).parents[1] / "serve" / "page" / name for name in ("style.css", "icon.svg")]
"""The looks of the server's page."""
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_ROOM = 0.6
"""Share of the face's size that is shown round it."""
_SIDE = 1600
"""Longest side of a picture that is sent; larger ones are shrunk."""
_FRESH = {"cache-control": "no-store"}


class _Point(BaseModel):
    """A point as the page has it; x and y are null where it is absent."""

    point: int
    x: float | None = None
    y: float | None = None
    visible: Annotated[int, Field(ge=0, le=2)] = 2

    def change(self) -> Change:
        """Return the point."""
        nan = float("nan")
        return (nan if self.x is None else self.x, nan if self.y is None else self.y, self.visible)


class _Edit(BaseModel):
    """Changed points, and what they were when the page showed them."""

    points: list[_Point]
    before: list[_Point] = []


class _Verdict(BaseModel):
    """``accept``, ``reject`` or ``reopen``."""

    event: str


def make_review_app(review: Review, access: Access) -> ASGIApp:
    """Return the ASGI application.

    Args:
        review: what is reviewed.
        access: who may ask. The token is needed for all but the page's own files.
    """
    app = FastAPI(title="fiducia review", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    for kind in (Problem, FiduciaError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _refuse)
    _add_routes(app, review)
    files = [*sorted(path for path in _PAGE.iterdir() if path.suffix in _TYPES), *_SHARED]
    for file in files:
        _add_file(app, file)
    paths = frozenset(str(getattr(route, "path", "")) for route in app.routes)
    return Gateway(app, access, Metrics(), paths)


def _add_file(app: FastAPI, file: Path) -> None:
    """Serve one of the page's files under a route of its own: no path of a request ever names a file."""

    async def answer() -> FileResponse:
        return FileResponse(file, media_type=_TYPES[file.suffix], headers={"cache-control": "no-cache"})

    address = "/" if file.name == "index.html" else f"/page/{file.name}"
    app.add_api_route(address, answer, include_in_schema=False, response_class=FileResponse)


def _add_routes(app: FastAPI, review: Review) -> None:
    scheme = get_scheme(review.faces[0].record.scheme)

    # Plain functions, so that they run in threads: they read images and write files.
    @app.get("/v1/review")
    def overview() -> Response:
        faces = [_row(review, rank, *review.face(rank)) for rank in range(len(review.order))]
        return _answer(
            {
                "source": review.source,
                "judged": review.judged,
                "remarks": list(review.remarks),
                "scheme": {
                    "name": scheme.name,
                    "names": list(scheme.names),
                    "edges": [list(edge) for edge in scheme.edges],
                },
                "counts": review.counts(),
                "rejected_file": str(review.rejected),
                "faces": faces,
            }
        )

    @app.get("/v1/faces/{rank}")
    def face(rank: int) -> Response:
        return _answer(_face(review, rank))

    @app.get("/v1/faces/{rank}/image")
    def image(rank: int) -> Response:
        one, labelled = review.face(rank)
        try:
            photo = read_image(labelled.record.image)
        except FiduciaError as error:
            raise Problem(404, str(error), "image") from None
        x1, y1, x2, y2 = _region(one, labelled, photo.shape[1], photo.shape[0])
        part = photo[y1:y2, x1:x2]
        scale = _SIDE / max(part.shape[:2])
        if scale < 1:
            # Of a strip the short side would round to nothing; the page stretches the picture over its region.
            sides = [max(1, round(side * scale)) for side in part.shape[1::-1]]
            part = np.asarray(cv2.resize(part, sides, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(part, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 95])
        region = json.dumps([x1, y1, x2, y2])
        return Response(data.tobytes(), media_type="image/jpeg", headers={**_FRESH, "x-region": region})

    @app.post("/v1/faces/{rank}/edit")
    def edit(rank: int, wanted: _Edit) -> Response:
        changes = {one.point: one.change() for one in wanted.points}
        before = {one.point: one.change() for one in wanted.before}
        review.edit(rank, changes, before)
        return _answer(_face(review, rank))

    @app.post("/v1/faces/{rank}/verdict")
    def verdict(rank: int, wanted: _Verdict) -> Response:
        review.judge(rank, wanted.event)
        return _answer(_face(review, rank))

    @app.post("/v1/undo")
    def undo() -> Response:
        rank = review.undo()
        return _answer({"rank": None} if rank is None else _face(review, rank))


def _row(review: Review, rank: int, one: Doubtful, labelled: LabelledFace) -> dict[str, Any]:
    return {
        "rank": rank,
        "id": labelled.record.id,
        "score": round(one.score, 2),
        "state": review.state(labelled),
        "edited": review.journal.edited.get(labelled.record.id, 0) > 0,
        "note": one.note,
    }


def _face(review: Review, rank: int) -> dict[str, Any]:
    one, labelled = review.face(rank)
    record = labelled.record
    return {
        **_row(review, rank, one, labelled),
        "image": record.image.name,
        "points": _rounded(record.xy),
        "visible": record.visible.tolist(),
        "found": _rounded(one.found),
        "quality": None if one.quality != one.quality else round(one.quality, 3),
        "worst": list(one.points),
        "codes": list(labelled.codes),
        "fixed": labelled.fixed,
        "box": None if record.box is None else record.box.tolist(),
        "counts": review.counts(),
    }


def _rounded(points: npt.NDArray[np.float64]) -> list[list[float | None]]:
    """Return points as plain numbers; nan becomes null. They are not rounded: the page sends back what it was given."""
    return [[None if v != v else v for v in point] for point in points.tolist()]


def _region(one: Doubtful, labelled: LabelledFace, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of an image that shows labels and prediction with room round them, in whole pixels."""
    points = np.concatenate([labelled.record.xy, one.found])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return 0, 0, width, height
    low, high = points.min(axis=0), points.max(axis=0)
    room = _ROOM * max(float((high - low).max()), 8.0)
    x1, y1 = (int(v) for v in np.clip(low - room, 0, [width - 1, height - 1]))
    x2, y2 = (int(v) for v in np.clip(np.ceil(high + room), [x1 + 1, y1 + 1], [width, height]))
    return x1, y1, x2, y2


def _answer(content: dict[str, Any]) -> Response:
    return Response(json.dumps(content), media_type="application/json", headers=_FRESH)


async def _refuse(request: Request, error: Exception) -> Response:
    """Turn what a route raised into an answer with the reason."""
    if isinstance(error, Problem):
        problem = error
    elif isinstance(error, Changed):
        problem = Problem(409, str(error), "changed")
    elif isinstance(error, Refused):
        problem = Problem(422, str(error), "refused")
    elif isinstance(error, FiduciaError):
        problem = Problem(500, str(error), "failed")
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        problem = Problem(422, f"{place or 'the request'}: {first['msg']}", "malformed")
    elif isinstance(error, HTTPException):
        status, path = error.status_code, request.url.path[:80]
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        takes = headers.get("allow", "other methods")
        messages = {404: f"there is no {path} here", 405: f"{path} does not take {request.method}; it takes {takes}"}
        message = messages.get(status) or f"{request.method} {path}: {error.detail}"
        problem = Problem(status, message, f"http_{status}", headers=headers)
    else:
        problem = Problem(500, f"an error of the server: {type(error).__name__}", "internal")
    return problem_response(problem, request.state.request_id)
