"""From options to a running server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import UsageError
from .access import Access, bind, find_token, is_loopback
from .app import make_app
from .engine import Engine
from .limits import Limits
from .observe import logger, set_up_logs
from .server import serve

__all__ = ["run"]


def run(
    weights: Sequence[str] = (),
    detectors: Sequence[str] = (),
    *,
    runtime: str = "auto",
    device: str = "auto",
    limits: Limits | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: Path | None = None,
    origins: Sequence[str] = (),
    log_level: str = "info",
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        weights: see :class:`fiducia.serve.engine.Engine`, as ``detectors``, ``runtime`` and ``device``.
        detectors: see there.
        runtime: see there.
        device: see there.
        limits: on requests.
        host: address to listen on.
        port: 0 takes a free one.
        token_file: holds the bearer token; None = the environment variable ``FIDUCIA_TOKEN``.
        origins: web pages that may use the API, such as ``https://example.org``.
        log_level: of the log on standard error.

    Raises:
        UsageError: an unknown name, an address that cannot be bound, or a public one without a token.
        FiduciaError: damaged weights.
    """
    for origin in origins:
        if origin != "*" and (not urlsplit(origin).netloc or urlsplit(origin).path):
            raise UsageError(f"--cors {origin}: expected an origin such as https://example.org, without a path")
    limits = limits or Limits()
    token = find_token(token_file)
    listener = bind(host, port, token)
    with listener:
        set_up_logs(log_level)
        engine = Engine(weights, detectors, runtime=runtime, device=device, limits=limits)
        engine.warm_up()
        app = make_app(engine, Access(token, any_host=not is_loopback(host), origins=tuple(origins)))
        number = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        fields = {
            "url": f"http://{name}:{number}/",
            "weights": list(engine.offers),
            "runtime": [offer.runtime for offer in engine.offers.values()],
            "token": bool(token),
        }
        serve(app, listener, limits, lambda: logger.info("listening", extra={"fields": fields}))
