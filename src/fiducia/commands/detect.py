"""``fiducia detect INPUT…``: image files in, landmarks out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["detect"]


def detect(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Image files or directories.")],
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")] = "fifa_tiny",
    detector: Annotated[
        str, typer.Option(help="auto, yunet, yunet_s, yunet:FILE, dlib, whole, or a JSON file of boxes.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(help="auto, torch, onnx or openvino.")] = "auto",
    out: Annotated[Path, typer.Option(help="Output directory.")] = Path("out"),
    format_: Annotated[
        str,
        typer.Option("--format", help="Output formats, separated by commas: json, png, svg, sheet, pts, csv, coco."),
    ] = "json,png",
    legend: Annotated[bool, typer.Option("--legend", help="Explain the colours in annotated images.")] = False,
    labels: Annotated[str, typer.Option(help="Write the index or the name of each point beside it.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    second_pass: Annotated[
        bool | None,
        typer.Option(
            "--second-pass/--one-pass",
            help="Run a second pass on a tighter crop [default: only for boxes that are not fitted to landmarks].",
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Flip test-time augmentation, about 2x slower [default: as the model card says]."
        ),
    ] = None,
    min_face: Annotated[float, typer.Option(help="Minimum face size in pixels; smaller faces are skipped.")] = 0.0,
    min_score: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Skip faces with a lower score [default: the detector's own]."),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger images; pixels of 16 bits count double.")
    ] = 100_000_000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip the images that an interrupted run into --out has finished.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say on standard error which runtime is used.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Detect faces and their landmarks in images. Write JSON, annotated images, .pts, CSV or COCO files."""
    from ..draw.faces import LABELS, Style
    from ..errors import UsageError
    from ..predict.detect import detect_paths
    from ..predict.outputs import check_formats
    from ..predict.outputs.base import Origin
    from ..predict.predictor import load
    from ..runtimes.auto import describe

    formats = tuple(part.strip() for part in format_.split(","))
    check_formats(formats)
    if labels not in LABELS:
        raise UsageError(f"--labels {labels}: expected index or name")
    predictor = load(
        weights,
        detector=detector,
        device=device,
        runtime=runtime,
        second_pass=second_pass,
        min_face=min_face,
        flip=flip,
        min_score=min_score,
        max_pixels=max_pixels,
    )
    about, why, urgent = describe(predictor.runtime)
    if verbose or urgent:
        sys.stderr.write(f"fiducia: computed by {about}{f': {why}' if why else ''}\n")
    card = predictor.model_card
    origin = Origin(card.name, card.sha256, about) if card is not None else Origin(runtime=about)
    report = detect_paths(
        predictor,
        inputs,
        out,
        formats,
        on_progress=_say,
        origin=origin,
        resume=resume,
        style=Style(labels=labels, legend=legend),
    )
    if report.failed:
        sys.stderr.write(f"fiducia: {len(report.failed)} of {len(report.failed) + len(report.done)} inputs failed\n")
        raise typer.Exit(1)


def _say(source: str, faces: int | None, message: str) -> None:
    """Print one finished input: errors on standard error, results on standard output."""
    arrow = f" -> {message}" if message else ""
    if faces is None:
        sys.stderr.write(f"fiducia: {message}\n")
    elif faces == 0:
        typer.echo(f"{source}: no face found{arrow}")
    else:
        typer.echo(f"{source}: {faces} face{'' if faces == 1 else 's'}{arrow}")
