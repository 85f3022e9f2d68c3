"""``fiducia export``: weights as an ONNX or OpenVINO file, checked against the network in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .printing import say

__all__ = ["export"]


def export(
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run directory.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Output file: *.onnx, or *.xml (a *.bin is written beside it).")
    ],
    format_: Annotated[str, typer.Option("--format", help="onnx or openvino.")] = "onnx",
    precision: Annotated[
        str,
        typer.Option(help="float32, float16 (half the file size), bfloat16 (openvino only) or int8 (onnx only)."),
    ] = "float32",
    int8: Annotated[bool, typer.Option("--int8", help="Same as --precision int8.")] = False,
    check_data: Annotated[
        str | None,
        typer.Option(metavar="NAME:ROOT", help="Data set for the check [default: synthetic faces]."),
    ] = None,
    check_split: Annotated[
        str | None, typer.Option(help="Split or part for the check [default: the test split].")
    ] = None,
    faces: Annotated[int, typer.Option(min=1, help="Maximum number of faces for the check.")] = 224,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Export weights as a graph from uint8 crops to points and confidence, and check it against torch."""
    from ..errors import UsageError

    if int8 and precision not in ("float32", "int8"):
        raise UsageError(f"--int8 and --precision {precision} contradict each other; give one")
    if check_split is not None and check_data is None:
        raise UsageError("--check-split needs --check-data")
    from ..evaluation.exporting import export as run

    with interruptible(lambda: f"{out} was not written; run the same command again"):
        done = run(
            weights,
            out,
            format=format_,
            precision="int8" if int8 else precision,
            check_data=check_data,
            check_split=check_split,
            faces=faces,
        )
    say(f"{out}: {sum(f['bytes'] for f in done['files']) / 1e6:.1f} MB, {_words(done)}")


def _words(done: dict[str, Any]) -> str:
    text = (
        f"{done['faces']} faces, {done['pixels_mean']:.5f} px from torch on average, {done['pixels_max']:.5f} at most"
    )
    if done["nme_before"] is not None:
        text += f", {done['nme_metric']} {done['nme_before']:.3f} -> {done['nme_after']:.3f} %"
    return text
