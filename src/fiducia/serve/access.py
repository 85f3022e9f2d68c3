"""Who may ask: the bearer token, the hosts that the server answers to, and whether an address may be bound."""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import UsageError
from .limits import Problem

__all__ = ["TOKEN_VARIABLE", "Access", "bind", "find_token", "is_loopback"]

TOKEN_VARIABLE = "FIDUCIA_TOKEN"
_GUARDED = ("/v1/", "/metrics", "/openapi")
"""Paths that need the token. The page and the health checks tell nothing of anyone's work."""
_LEAST_TOKEN = 16
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Access:
    """The rules for one request.

    Attributes:
        token: what ``Authorization: Bearer`` must hold; empty = none is needed.
        any_host: answer to any Host header. A server without a token answers to loopback names alone, so that a web page
            cannot reach it by a name that it lets point here (DNS rebinding).
        origins: other web pages that may ask (CORS); ``"*"`` = all.
    """

    token: str = ""
    any_host: bool = False
    origins: tuple[str, ...] = ()

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that may not be answered.

        Raises:
            Problem: 401, 403 or 421.
        """
        host = headers.get("host", "")
        if not (self.token or self.any_host) and _host_name(host) not in _LOOPBACK_NAMES:
            raise Problem(421, f"this server answers to localhost; the request names the host {host[:60]!r}", "host")
        origin = headers.get("origin")
        foreign = origin is not None and _netloc(origin) != host
        if foreign and origin not in self.origins and "*" not in self.origins:
            raise Problem(403, f"the web page {(origin or '')[:60]!r} may not ask here; start with --cors", "origin")
        if not self.token or method == "OPTIONS" or not path.startswith(_GUARDED):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self.token.encode()):
            # Without this a browser keeps the refusal from the other page, which could not ask for the token.
            told = {"access-control-allow-origin": origin, "vary": "Origin"} if foreign and origin else {}
            raise Problem(
                401,
                "a token is needed: send Authorization: Bearer TOKEN",
                "token",
                headers={"www-authenticate": 'Bearer realm="fiducia"', **told},
            )


def _netloc(origin: str) -> str | None:
    """Return the host and port of an origin; None where it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host


def is_loopback(host: str) -> bool:
    """Tell whether every address of a name is reached from this machine alone.

    Raises:
        UsageError: the name has no address.
    """
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: {getattr(error, 'strerror', None) or 'no such host'}") from None
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def find_token(file: Path | None) -> str:
    """Return the token of a file, or of the environment variable; empty = none.

    Raises:
        UsageError: the file cannot be read, or the token is short or holds white space.
    """
    where = f"--token-file {file}" if file else TOKEN_VARIABLE
    try:
        token = (file.read_text(encoding="ascii") if file else os.environ.get(TOKEN_VARIABLE, "")).strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not token and not file:
        return ""
    if len(token) < _LEAST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise UsageError(
            f"{where}: a token is at least {_LEAST_TOKEN} ASCII characters without spaces; "
            "make one with: openssl rand -hex 24"
        )
    return token


def bind(host: str, port: int, token: str) -> socket.socket:
    """Open the listening socket.

    Raises:
        UsageError: an address beyond this machine without a token, or one that cannot be bound.
    """
    if not token and not is_loopback(host):
        raise UsageError(
            f"--host {host} can be reached from other machines, and no token is set; set {TOKEN_VARIABLE} or "
            "--token-file, or use --host 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that it may turn off Nagle's algorithm. Otherwise each answer, whose head and body are sent
    # one after the other, waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"--host {host} --port {port}: cannot be bound ({reason}); choose another port") from None
    listener.setblocking(False)
    return listener
