"""``fiducia detect INPUT…``: photographs in, points out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["detect"]


def detect(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Photographs, or folders of them.")],
    weights: Annotated[
        str, typer.Option(help="A shipped name, a safetensors file or a run's directory.")
    ] = "fifa_tiny",
    detector: Annotated[
        str, typer.Option(help="auto, yunet, yunet_s, yunet:FILE, dlib, whole, or a JSON file of boxes.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(help="What computes the network.")] = "torch",
    out: Annotated[Path, typer.Option(help="Where results go.")] = Path("out"),
    format_: Annotated[str, typer.Option("--format", help="Any of json,png,pts,csv,coco.")] = "json,png",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    second_pass: Annotated[
        bool, typer.Option("--second-pass/--one-pass", help="Crop again round the first points, and look twice.")
    ] = True,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Look at every face mirrored too, and average [default: the weights' own]."
        ),
    ] = None,
    min_face: Annotated[float, typer.Option(help="Pass over faces whose box is smaller, in photograph pixels.")] = 0.0,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Find the faces in photographs, and their landmarks; write JSON, annotated pictures, .pts, CSV or COCO."""
    from ..predict.outputs import check_formats, detect_paths
    from ..predict.predictor import load

    formats = tuple(part.strip() for part in format_.split(","))
    check_formats(formats)
    predictor = load(
        weights,
        detector=detector,
        device=device,
        runtime=runtime,
        second_pass=second_pass,
        min_face=min_face,
        flip=flip,
    )
    report = detect_paths(predictor, inputs, out, formats, on_progress=_say)
    if report.failed:
        sys.stderr.write(f"fiducia: {len(report.failed)} of {len(report.failed) + len(report.done)} inputs failed\n")
        raise typer.Exit(1)


def _say(source: str, faces: int | None, message: str) -> None:
    """Tell one finished input: errors on standard error, a line each; results on standard output."""
    arrow = f" -> {message}" if message else ""
    if faces is None:
        sys.stderr.write(f"fiducia: {message}\n")
    elif faces == 0:
        typer.echo(f"{source}: no face found{arrow}")
    else:
        typer.echo(f"{source}: {faces} face{'' if faces == 1 else 's'}{arrow}")
