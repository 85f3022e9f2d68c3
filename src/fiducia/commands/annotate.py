"""``fiducia annotate SRC... --out DST``: landmarks of very many photographs, as Parquet or COCO."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..cpu import wanted_threads
from ..device import on_cpu
from ..errors import PlaceLost, UsageError
from ..plugins import loaded_plugins
from ..words import duration
from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import complain, say
from .progress import Progress

if TYPE_CHECKING:
    from ..annotate.job import Job
    from ..annotate.reports import ChunkReport
    from ..annotate.units import Chunk

__all__ = ["annotate"]

_BESIDE_GPU = 4
"""CPUs of an actor that has a GPU: it reads images and finds faces meanwhile."""
_SHOWN = 20
"""Failures that are told one by one; the summary has all."""


def annotate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC...",
            help="Directories, globs, image files, videos, tar shards (WebDataset) or Parquet files with image bytes.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output directory. The same command again continues an interrupted run.")],
    engine: Annotated[str, typer.Option(help="local (processes on this machine) or ray (Ray Data actors).")] = "local",
    address: Annotated[
        str | None,
        typer.Option(help="Ray: address of a running cluster, such as auto [default: start Ray on this machine]."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes or actors [default: one per CPU, or per GPU].")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="parquet, or coco for coco.json in addition to the Parquet files.")
    ] = "parquet",
    column: Annotated[str, typer.Option(help="Parquet input: the column with the bytes of the image files.")] = "image",
    chunk: Annotated[
        int | None,
        typer.Option(min=1, help="Images that are written together [default: 64 to 1,024, by their number]."),
    ] = None,
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")] = "fifa_tiny",
    detector: Annotated[
        str, typer.Option(help="auto, yunet, yunet_s, yunet:FILE, dlib, whole, or a JSON file of boxes.")
    ] = "auto",
    runtime: Annotated[str, typer.Option(help="auto, torch, onnx or openvino.")] = "auto",
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
    every: Annotated[int, typer.Option(min=1, help="Videos: look for new faces in every so-many-th frame.")] = 15,
    smooth: Annotated[bool, typer.Option("--smooth/--raw", help="Videos: smooth the landmarks in time.")] = True,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Annotate very many images and videos: one Parquet row per face, and a summary. Continues where it was interrupted."""
    from ..annotate.finish import finish
    from ..annotate.job import Job
    from ..annotate.run import annotate as run

    if engine not in ("local", "ray"):
        raise UsageError(f"--engine {engine}: expected local or ray")
    if format_ not in ("parquet", "coco"):
        raise UsageError(f"--format {format_}: expected parquet or coco")
    if address is not None and engine != "ray":
        raise UsageError(f"--address {address}: for --engine ray only")
    total = wanted_threads()
    # An actor asks the cluster for as many CPUs as it has threads, wherever it runs.
    each = (threads or (_BESIDE_GPU if device == "cuda" else 1)) if engine == "ray" else None
    count = workers if workers is not None else _processes(engine, device, total)
    job = Job(
        out=str(out.absolute()),
        weights=weights,
        detector=detector,
        runtime=runtime,
        device=device,
        second_pass=second_pass,
        flip=flip,
        min_face=min_face,
        min_score=min_score,
        min_quality=min_quality,
        max_pixels=max_pixels,
        every=every,
        smooth=smooth,
        column=column,
        plugins=tuple(map(str, loaded_plugins())),
        threads=each or max(1, total // count),
    )
    told = _Told()
    with interruptible(told.so_far):
        try:
            facts = run(inputs, job, partial(_engine, engine, address, workers, count), told, chunk)
            told.progress.clear()
            found = finish(job.folder, facts, weights if format_ == "coco" else None)
        except PlaceLost as error:
            raise PlaceLost(f"{error}; {told.so_far()}") from None
        finally:
            told.progress.clear()
    say(f"{out}: {found.line()}; {duration(told.progress.seconds)} -> {out / 'summary.html'}")
    if found.failed:
        complain(f"{found.failed:,} of {found.photographs:,} images failed; {out / 'summary.html'} says why")
        raise typer.Exit(1)


def _processes(engine: str, device: str, total: int) -> int:
    """Return how many processes of this machine share the work: one for its GPU, else one per CPU."""
    return total if engine != "local" or on_cpu(device) else 1


def _engine(
    name: str, address: str | None, wanted: int | None, count: int, job: Job, chunks: Sequence[Chunk]
) -> Iterator[ChunkReport]:
    if name == "ray":
        from ..annotate.on_ray import run_ray

        return run_ray(job, chunks, wanted, address, gpus=1.0 if job.device == "cuda" else 0.0)
    from ..annotate.local import run_local

    return run_local(job, chunks, count)


class _Told:
    """Tells the user how far a run is: failures on standard error."""

    def __init__(self) -> None:
        self.progress = Progress("images")
        self.done = 0
        self.total = 0
        self.failures = 0

    def planned(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self.progress = Progress("images")  # whose clock starts now, after the images were listed
        if done:
            complain(f"{done:,} images are done already; {total - done:,} are left")

    def chunk(self, report: ChunkReport) -> None:
        self.done += report.photographs
        for line in report.failed:
            self.failures += 1
            if self.failures <= _SHOWN:
                self.progress.clear()
                complain(line)
            elif self.failures == _SHOWN + 1:
                self.progress.clear()
                complain("further failures are listed in summary.html")
        self.progress(self.done, self.total)

    def so_far(self) -> str:
        """Return what is done and how to go on."""
        if not self.total:
            return "nothing was written"
        return f"{self.done:,} of {self.total:,} images are done and written; run the same command again to go on"
