"""``fiducia serve``: a JSON API over HTTP, and a page for the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["serve"]


def serve(
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="A shipped name, a safetensors file or a run directory; the first is the default [default: all shipped]."
        ),
    ] = None,
    detector: Annotated[
        list[str] | None,
        typer.Option(help="A detector to offer; the first is the default [default: all that are installed]."),
    ] = None,
    runtime: Annotated[str, typer.Option(help="auto, torch, onnx or openvino.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    host: Annotated[str, typer.Option(help="Address to listen on; other than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the bearer token [default: the variable FIDUCIA_TOKEN]."),
    ] = None,
    cors: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="Let web pages of this origin use the API.")
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Bytes of a request.")] = 32 << 20,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Pixels of an image; pixels of 16 bits count double.")
    ] = 50_000_000,
    max_faces: Annotated[int, typer.Option(min=1, help="Faces per image.")] = 256,
    max_photographs: Annotated[int, typer.Option(min=1, help="Images per request.")] = 32,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Seconds per request.")] = 30.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Requests in work at the same time; further ones are refused.")
    ] = 64,
    log_level: Annotated[str, typer.Option(help="debug, info or warning.")] = "info",
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Serve detection over HTTP: a JSON API, and a page for the browser. Images are not stored."""
    from ..errors import UsageError

    if log_level not in ("debug", "info", "warning"):
        raise UsageError(f"--log-level {log_level}: expected debug, info or warning")
    try:
        from ..serve.run import run
    except ImportError as error:
        raise UsageError(
            f"fiducia serve needs the package {error.name}; install the extra: pip install 'fiducia[serve]'"
        ) from None
    from ..serve.limits import Limits

    limits = Limits(
        max_bytes=max_bytes,
        max_pixels=max_pixels,
        max_faces=max_faces,
        max_photographs=max_photographs,
        max_seconds=max_seconds,
        queue=queue,
        max_buffered=max(Limits.max_buffered, max_bytes),
        max_decoded=max(Limits.max_decoded, max_pixels),
    )
    run(
        weights or (),
        detector or (),
        runtime=runtime,
        device=device,
        limits=limits,
        host=host,
        port=port,
        token_file=token_file,
        origins=cors or (),
        log_level=log_level,
    )
