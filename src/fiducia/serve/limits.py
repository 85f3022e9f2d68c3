"""What the server accepts, and how it says no."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError

__all__ = ["Gone", "Limits", "Problem"]


@dataclass(frozen=True)
class Limits:
    """Limits on a request and on the server as a whole.

    Attributes:
        max_bytes: of a request's body; more is refused while it is still being sent (413).
        max_pixels: of a photograph, by its header; pixels of 16 bits count double (413).
        max_faces: boxes a photograph (413); of the faces that the detector finds, the best so many are computed.
        max_photographs: in one request (413).
        max_seconds: from the request's first line to its answer: 408 while it is being sent, 504 afterwards.
        queue: requests that are in work at the same time; further ones get 429 at once, with Retry-After.
        max_buffered: bytes of bodies that lie in memory at the same time, over all requests (429).
        max_decoded: pixels of photographs that lie decoded in memory at the same time; further ones wait.

    Raises:
        UsageError: a limit that is not positive and finite.
    """

    max_bytes: int = 32 << 20
    max_pixels: int = 50_000_000
    max_faces: int = 256
    max_photographs: int = 32
    max_seconds: float = 30.0
    queue: int = 64
    max_buffered: int = 256 << 20
    max_decoded: int = 100_000_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise UsageError(f"--{name.replace('_', '-')} {value}: expected a finite number above 0")


@dataclass(eq=False)
class Problem(Exception):
    """A request that cannot be answered: an HTTP status, and a JSON body that says why.

    Attributes:
        status: of HTTP.
        message: one line: what was found, what was expected.
        code: one word for programs.
        limit: the limit that was met, such as ``"bytes"``; empty = none.
        maximum: its value.
        headers: further response headers.
    """

    status: int
    message: str
    code: str = "malformed"
    limit: str = ""
    maximum: float = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def over(cls, limit: str, maximum: float, message: str, status: int = 413) -> Problem:
        """Return the problem of a limit that was met."""
        return cls(status, message, f"limit_{limit}", limit, maximum)

    def table(self) -> dict[str, Any]:
        """Return what stands under ``error`` in the body."""
        table: dict[str, Any] = {"status": self.status, "code": self.code, "message": self.message}
        if self.limit:
            table |= {"limit": self.limit, "maximum": self.maximum}
        return table

    def __str__(self) -> str:
        return self.message


class Gone(Exception):
    """The client left before it had its answer. Logs and metrics call it status 499, as nginx does."""
