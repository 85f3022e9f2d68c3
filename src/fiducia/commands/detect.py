"""``fiducia detect INPUT…``: images and videos in, landmarks out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["detect"]


def detect(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, videos, cameras (0, 1, ...) or directories.")
    ],
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")] = "fifa_tiny",
    detector: Annotated[
        str, typer.Option(help="auto, yunet, yunet_s, yunet:FILE, dlib, whole, or a JSON file of boxes.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(help="torch, onnx or openvino.")] = "torch",
    out: Annotated[Path, typer.Option(help="Output directory.")] = Path("out"),
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="Output formats, separated by commas: json, png, pts, csv, coco; for videos also jsonl, mp4.",
        ),
    ] = "json,png",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    second_pass: Annotated[
        bool, typer.Option("--second-pass/--one-pass", help="Run a second pass on a tighter crop.")
    ] = True,
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
    every: Annotated[int, typer.Option(min=1, help="Videos: look for new faces in every so-many-th frame.")] = 15,
    smooth: Annotated[bool, typer.Option("--smooth/--raw", help="Videos: smooth the landmarks in time.")] = True,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Videos and cameras: stop after so many seconds [default: at the end]."),
    ] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Detect faces and their landmarks in images and videos. Write JSON, annotated images and videos, .pts, CSV or COCO files."""
    from ..predict.detect import detect_paths
    from ..predict.outputs import check_formats
    from ..predict.outputs.base import Origin
    from ..predict.predictor import load
    from ..runtimes.opening import read_card

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
        min_score=min_score,
        max_pixels=max_pixels,
    )
    card = read_card(weights)
    origin = Origin(card.name, card.sha256)
    report = detect_paths(
        predictor,
        inputs,
        out,
        formats,
        on_progress=_say,
        origin=origin,
        resume=resume,
        follow=lambda: predictor.tracker(every=every, smooth=smooth),
        seconds=seconds,
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
