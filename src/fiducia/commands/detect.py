"""``fiducia detect INPUT…``: images and videos in, landmarks out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import FiduciaError, Interrupted, PlaceLost
from ..predict.watcher import Watcher
from ..words import duration
from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import complain, say
from .progress import Progress

__all__ = ["detect"]


def detect(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, videos, cameras (0, 1, ...) or directories.")
    ],
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")] = "fifa_tiny",
    detector: Annotated[
        str, typer.Option(help="auto, yunet, yunet_s, yunet:FILE, dlib, whole, or a JSON file of boxes.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(help="auto, torch, onnx or openvino.")] = "auto",
    out: Annotated[Path, typer.Option(help="Output directory.")] = Path("out"),
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="Output formats, separated by commas: json, jsonl, png, svg, sheet, pts, csv, coco, cvat, labelstudio, "
            "aligned; mp4 for videos.",
        ),
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
    min_quality: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Skip faces whose points are less likely to be right.")
    ] = 0.0,
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Refuse larger images; pixels of 16 bits count double.")
    ] = 100_000_000,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip the images that an interrupted run into --out has finished.")
    ] = False,
    measures: Annotated[
        bool, typer.Option("--measures", help="Add head pose, eye and mouth ratios of each face to json and csv.")
    ] = False,
    every: Annotated[int, typer.Option(min=1, help="Videos: look for new faces in every so-many-th frame.")] = 15,
    smooth: Annotated[bool, typer.Option("--smooth/--raw", help="Videos: smooth the landmarks in time.")] = True,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Videos and cameras: stop after so many seconds [default: at the end]."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Say on standard error which runtime is used.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Detect faces and their landmarks in images and videos. Write JSON, pictures, videos, CSV, COCO and other label files."""
    from ..detectors.registry import fingerprint
    from ..draw.faces import LABELS, Style
    from ..errors import UsageError
    from ..predict.detect import detect_paths
    from ..predict.outputs import check_formats
    from ..predict.predictor import load
    from ..runtimes.auto import describe

    formats = tuple(part.strip() for part in format_.split(","))
    check_formats(formats)
    if labels not in LABELS:
        raise UsageError(f"--labels {labels}: expected index or name")
    settings = {
        "detector": fingerprint(detector),
        "second_pass": second_pass,
        "flip": flip,
        "min_face": min_face,
        "min_score": min_score,
        "min_quality": min_quality,
        "legend": legend,
        "labels": labels,
        "every": every,
        "smooth": smooth,
        "seconds": seconds,
    }
    told = _Told()
    with interruptible(told.so_far) as stop:
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
            min_quality=min_quality,
        )
        about, why, urgent = describe(predictor.runtime)
        if verbose or urgent:
            complain(f"computed by {about}{f': {why}' if why else ''}")
        try:
            report = detect_paths(
                predictor,
                inputs,
                out,
                formats,
                told,
                origin=predictor.origin,
                resume=resume,
                max_pixels=max_pixels,
                measures=measures,
                settings=settings,
                style=Style(labels=labels, legend=legend),
                follow=lambda: predictor.tracker(every=every, smooth=smooth),
                seconds=seconds,
                stop=stop,
            )
        except PlaceLost as error:
            raise PlaceLost(f"{error}; {told.so_far()}") from None
        except Interrupted as stopped:  # In a video. The others are not begun.
            raise Interrupted(f"{stopped}; go on with --resume, which begins this video anew", stopped.status) from None
        finally:
            told.progress.clear()
    told.sum_up()
    if report.failed:
        complain(f"{len(report.failed)} of {told.count + len(report.failed)} inputs failed")
    if report.failed or told.unheard:
        raise typer.Exit(1)


_MANY = 20
"""A run of more images than this ends with a summary; for fewer, their own lines say all."""


class _Told(Watcher):
    """Tells the user of each input: errors and remarks on standard error, results on standard output."""

    def __init__(self) -> None:
        self.progress = Progress("images")
        self.count = 0
        self.faces = 0
        self.empty = 0
        self.total = 0
        self.skipped = 0
        self.lost = 0
        self.unheard = False

    def planned(self, total: int, skipped: int) -> None:
        self.total, self.skipped = total, skipped
        self.progress = Progress("images")  # whose clock starts now, after the network was loaded
        if skipped:
            complain(f"{skipped:,} images are done already; {total:,} are left")

    def remark(self, source: str, line: str) -> None:
        self.progress.clear()
        complain(f"{source}: {line}")

    def done(self, source: str, faces: int, first: str) -> None:
        self.count += 1
        self.faces += faces
        self.empty += faces == 0
        what = f"{faces} face{'' if faces == 1 else 's'}" if faces else "no face found"
        self.progress.clear()
        self._say(f"{source}: {what}{f' -> {first}' if first else ''}")
        self.progress(self.count + self.lost, self.total)

    def failed(self, source: str, line: str) -> None:
        self.lost += 1
        self.progress.clear()
        complain(line)
        self.progress(self.count + self.lost, self.total)

    def _say(self, line: str) -> None:
        """Print a line; when nobody takes it any more, that is told once, and the files are still written."""
        try:
            if not self.unheard:
                say(line)
        except FiduciaError as error:
            self.unheard = True
            complain(f"{error}; the results are still written")

    def so_far(self) -> str:
        """Return what is done and how to go on."""
        if not self.total:
            return "nothing was written"
        done = self.count + self.skipped
        return f"{done:,} of {self.total + self.skipped:,} images are done and written; go on with --resume"

    def sum_up(self) -> None:
        """Say what was found in many images."""
        if self.count > _MANY:
            empty = f", no face in {self.empty:,}" if self.empty else ""
            complain(f"{self.faces:,} faces in {self.count:,} images{empty}; {duration(self.progress.seconds)}")
