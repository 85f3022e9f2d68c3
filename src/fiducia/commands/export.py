"""``fiducia export``: weights as an ONNX or OpenVINO file, with a certificate that it gives the same points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["export"]


def export(
    weights: Annotated[str, typer.Option(help="A shipped name, a safetensors file or a run's directory.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file: *.onnx, or *.xml with a *.bin beside it.")],
    format_: Annotated[str, typer.Option("--format", help="onnx or openvino.")] = "onnx",
    precision: Annotated[
        str,
        typer.Option(
            help="float32, float16 (stored so: half the file), bfloat16 (openvino: computed so) or int8 (onnx)."
        ),
    ] = "float32",
    int8: Annotated[bool, typer.Option("--int8", help="Short for --precision int8.")] = False,
    check_data: Annotated[
        str | None,
        typer.Option(metavar="NAME:ROOT", help="Annotated faces for the certificate [default: drawn ones]."),
    ] = None,
    check_split: Annotated[str | None, typer.Option(help="Their split or part [default: the test split].")] = None,
    faces: Annotated[int, typer.Option(min=1, help="Faces for the certificate, at most.")] = 224,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Write weights as a graph: uint8 crops in, points and confidence out; and a certificate beside it."""
    from ..errors import UsageError

    if int8 and precision not in ("float32", "int8"):
        raise UsageError(f"--int8 and --precision {precision} contradict each other; give one")
    if check_split is not None and check_data is None:
        raise UsageError("--check-split needs --check-data")
    from ..evaluation.exporting import export as run

    done = run(
        weights,
        out,
        format=format_,
        precision="int8" if int8 else precision,
        check_data=check_data,
        check_split=check_split,
        faces=faces,
    )
    typer.echo(f"{out}: {sum(f['bytes'] for f in done['files']) / 1e6:.1f} MB, {_words(done)}")


def _words(done: dict[str, Any]) -> str:
    text = (
        f"{done['faces']} faces, {done['pixels_mean']:.5f} px from torch on average, {done['pixels_max']:.5f} at most"
    )
    if done["nme_before"] is not None:
        text += f", {done['nme_metric']} {done['nme_before']:.3f} -> {done['nme_after']:.3f} %"
    return text
