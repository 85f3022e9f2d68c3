"""What surrounds every request: its id, access rules, security headers, errors as JSON, one log line, metrics."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access
from .limits import Problem
from .observe import Metrics, logger

__all__ = ["Gateway", "error_body", "problem_response"]

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'",
}


def error_body(problem: Problem, request_id: str) -> bytes:
    """Return the JSON body of an error; what UTF-8 cannot hold, as in a name of another encoding, is an escape of JSON."""
    return json.dumps({"error": {**problem.table(), "request_id": request_id}}, ensure_ascii=False).encode(
        errors="backslashreplace"
    )


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return the answer to a request that is refused."""
    return Response(
        error_body(problem, request_id), problem.status, dict(problem.headers), media_type="application/json"
    )


class Gateway:
    """The outermost application.

    ``scope["state"]["notes"]`` is a dictionary to which a handler adds fields of the log line: counts and times, never
    anything of a photograph.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics, paths: frozenset[str]) -> None:
        self.app = app
        self.access = access
        self.metrics = metrics
        self.paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        notes: dict[str, Any] = {}
        scope.setdefault("state", {})
        scope["state"] |= {"request_id": request_id, "notes": notes}
        status = 0
        start = time.monotonic()

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                outgoing = MutableHeaders(scope=message)
                outgoing["x-request-id"] = request_id
                for name, value in _SECURITY.items():
                    outgoing.setdefault(name, value)
            await send(message)

        self.metrics.inside.inc()
        try:
            self.access.check(scope["method"], scope["path"], headers)
            await self.app(scope, receive, tell)
        except Problem as problem:
            notes["code"] = problem.code
            await problem_response(problem, request_id)(scope, receive, tell)
        except Exception:  # the application has answered 500 by now
            logger.exception("a request failed", extra={"fields": {"request_id": request_id, "path": scope["path"]}})
        finally:
            self.metrics.inside.dec()
            self._account(scope, request_id, status or 499, time.monotonic() - start, notes)

    def _account(self, scope: Scope, request_id: str, status: int, seconds: float, notes: dict[str, Any]) -> None:
        # Paths that are not ours share one label: anyone can make up new ones.
        path = scope["path"] if scope["path"] in self.paths else "other"
        self.metrics.requests.labels(path, str(status)).inc()
        self.metrics.seconds.labels(path).observe(seconds)
        code = str(notes.get("code", ""))
        if code.startswith("limit_"):
            self.metrics.refused.labels(code.removeprefix("limit_")).inc()
        fields = {
            "request_id": request_id,
            "method": scope["method"],
            "path": path,
            "status": status,
            "ms": round(1000 * seconds, 1),
            **notes,
        }
        quiet = path in ("/healthz", "/readyz", "/metrics") and status == 200
        (logger.debug if quiet else logger.info)("request", extra={"fields": fields})
