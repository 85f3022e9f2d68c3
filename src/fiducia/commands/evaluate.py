"""``fiducia evaluate``: NME, failure rates and AUC of trained weights, with their protocol."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import complain, say
from .progress import Progress

__all__ = ["evaluate"]

_WIDEST = 1000
"""Columns that a table may ask for."""


def evaluate(
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")],
    data: Annotated[str, typer.Option(metavar="NAME:ROOT", help="Data set with annotations, e.g. 300w:/data/300w.")],
    split: Annotated[str | None, typer.Option(help="Split or part [default: the test split; full for 300w].")] = None,
    detector: Annotated[
        str | None,
        typer.Option(help="Crop by this detector's boxes, not by the annotation; faces that it misses are failures."),
    ] = None,
    second_pass: Annotated[
        bool, typer.Option("--second-pass/--one-pass", help="With a detector: run a second pass on a tighter crop.")
    ] = True,
    flip: Annotated[
        bool | None,
        typer.Option(
            "--flip/--no-flip", help="Flip test-time augmentation, about 2x slower [default: as the model card says]."
        ),
    ] = None,
    runtime: Annotated[str, typer.Option(help="auto, torch, onnx or openvino.")] = "torch",
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per batch; it changes no figure.")] = 32,
    decode: Annotated[str | None, typer.Option(help="Heatmap decoder [default: as the model card says].")] = None,
    scheme: Annotated[str | None, typer.Option(help="Landmark scheme of the data: a name or TOML file.")] = None,
    box: Annotated[str, typer.Option(help="Box for nme_box and nme_diag: auto, landmarks or dataset.")] = "auto",
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Exclude faces whose id matches.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    json_: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE|-", help="Write the result as JSON; - prints only the JSON."),
    ] = None,
    faces: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a CSV file with one row per face.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an HTML report with charts and faces."),
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="RESULT|WEIGHTS", help="Compare with a report directory, a JSON result or weights."),
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also evaluate with shifted and scaled boxes (about 30x slower).")
    ] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Evaluate weights on annotated faces: NME, failure rates, AUC."""
    from ..errors import UsageError
    from ..evaluation.evaluate import Settings
    from ..evaluation.report import evaluate_against, unmeasured, verdict, write_report
    from ..files import require_writable, write_atomic

    if box not in ("auto", "landmarks", "dataset"):
        raise UsageError(f"--box {box}: expected auto, landmarks or dataset")
    for path, folder in ((faces, False), (report, True), (None if json_ in (None, "-") else Path(json_), False)):
        if path is None:
            continue
        if folder and path.is_file():
            raise UsageError(f"{path}: is a file; give a folder")
        # A folder may be there: a report that is written again takes the place of the old one.
        require_writable(path / "report.html" if folder else path)
    settings = Settings(
        weights=weights,
        detector=detector,
        runtime=runtime,
        decode=decode,
        batch_size=batch_size,
        second_pass=second_pass,
        flip=flip,
        device=device,
        devices=devices,
    )
    progress = Progress("images")

    def told() -> str:
        seen = f"{progress.done:,} of {progress.total:,} images were evaluated and " if progress.total else ""
        return f"{seen}no result is written; run the same command again"

    with interruptible(told):
        try:
            done, compared = evaluate_against(
                compare or [],
                settings,
                source=data,
                split=split,
                scheme=scheme,
                leave_out=exclude or (),
                box=box,
                robustness=robustness,
                on_progress=progress,
            )
        finally:
            progress.clear()
    if not done.lead:
        return
    for line in done.remarks:
        complain(line)
    text = json.dumps(done.result, indent=2)
    if faces is not None:
        write_atomic(faces, done.faces_csv())
    if json_ not in (None, "-"):
        write_atomic(json_, (text + "\n").encode())
    if report is not None:
        with interruptible(lambda: f"the report {report} is not complete; run the same command again"):
            write_report(report, done, compared, command=shlex.join(["fiducia", *sys.argv[1:]]))
    if json_ == "-":
        say(text)
        return
    _show(done.result, [*unmeasured(done.result), *done.protocol.words()])
    if compared:
        from rich.console import Console
    for one in compared:
        Console(highlight=False).print(verdict(done, one), soft_wrap=True, markup=False)


def _show(result: dict[str, Any], protocol: list[str]) -> None:
    """Print the figures, the subsets and the protocol."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("%", no_wrap=True)
    for head in (
        "faces",
        "NME ic",
        "NME ip",
        "NME box",
        "NME diag",
        "FR 10",
        "FR 8",
        "FR 5",
        "AUC 10",
        "AUC 5",
        "AUC box 7",
    ):
        # Heads take two lines, so that the figures fit a usual terminal.
        table.add_column(head.replace(" ", "\n", 1), justify="right", no_wrap=True)
    rows = {"all": result, **result["subsets"]}
    for name, row in rows.items():
        table.add_row(
            name,
            str(row["faces"]),
            *(_figure(row[f"nme_{kind}"], 3) for kind in ("ic", "ip", "box", "diag")),
            *(_figure(row[key], 2) for key in ("fr10_ic", "fr8_ic", "fr5_ic", "auc10_ic", "auc5_ic", "auc7_box")),
        )
    console = Console(highlight=False)
    # A figure is never cut off: a table wider than the terminal, or than the 80 columns of a pipe, has longer lines.
    needed = console.measure(table, options=console.options.update(max_width=_WIDEST)).maximum
    console.width = max(console.width, needed)
    console.print(table)
    missed = result["faces"] - result["detected"]
    if missed:
        console.print(
            f"{missed} of {result['faces']} faces not found: failures, and no part of the NME", style="yellow"
        )
    for line in protocol:
        console.print(line, style="dim", soft_wrap=True, markup=False)


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
