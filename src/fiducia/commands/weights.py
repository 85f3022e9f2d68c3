"""``fiducia weights info|pack|average|join|convert``: show, pack, combine and convert weight files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..errors import FiduciaError, UsageError
from .interrupts import interruptible
from .options import PluginOption, ThreadsOption
from .progress import Progress

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show, pack, combine and convert weight files.")


@app.command()
def info(
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print only the model card as JSON.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Print the model card of weights: scheme, input, training data, licence, protocol, figures.

    The file may be a stranger's: only its header is read, nothing in it is executed, and what does not print is spelled out.
    Exit status 1 means that it cannot be used; the last line says why.
    """
    from ..files import is_plain_file
    from ..weights.info import look_at
    from ..words import fit_for_terminal, one_line

    path = Path(weights)
    if path.suffix.lower() in (".onnx", ".xml") and is_plain_file(path):
        from ..exporting.sealed import read_sealed

        card = read_sealed(path).card.model_dump(mode="json")
    else:
        found = look_at(weights)
        if found.card is None:
            for line in found.tensors if not as_json else ():
                typer.echo(line)
            raise FiduciaError(found.wrong)
        card = found.card.model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    card.pop("scheme_table")
    for key, value in card.items():
        if value not in (None, "", [], {}):
            shown = fit_for_terminal(value) if isinstance(value, str) else json.dumps(value)
            typer.echo(f"{one_line(key, 40):>16}  {shown}")


@app.command()
def pack(
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run directory.")],
    out: Annotated[Path, typer.Option(help="Output file, *.safetensors, in half precision.")],
    name: Annotated[str, typer.Option(help="Name in the model card.")],
    result: Annotated[
        list[Path] | None, typer.Option(help="JSON result of fiducia evaluate; its figures go into the model card.")
    ] = None,
    notes: Annotated[str, typer.Option(help="Notes for the model card.")] = "",
    command: Annotated[str, typer.Option(help="Training command for the model card [default: the run's own].")] = "",
    flip: Annotated[bool, typer.Option("--flip", help="Use flip test-time augmentation by default.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Write weights in half precision, with figures in their model card, to share them."""
    from ..text import read_text
    from ..weights.transfer import pack_weights

    rows: list[dict[str, object]] = []
    measured: dict[Path, str | None] = {}
    for path in result or []:
        try:
            found = json.loads(read_text(path, "a result of fiducia evaluate --json"))
            stamp = found["protocol"]
            measured[path] = stamp.get("weights_sha256")
            rows += [
                {
                    "data": stamp["data"],
                    "split": stamp["split"],
                    "faces": found["faces"],
                    "metric": key,
                    "value": found[key],
                }
                for key in ("nme_ic", "nme_box", "fr10_ic", "auc10_ic")
                if found.get(key) is not None
            ]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FiduciaError(f"{path}: not a result of fiducia evaluate --json ({error})") from error
    if measured:
        _require_results_of(weights, measured)
    card = pack_weights(weights, out, name=name, numbers=rows, notes=notes, command=command, flip=flip)
    typer.echo(f"{out}: {card.params:,} numbers, {out.stat().st_size / 1e6:.1f} MB")


def _require_results_of(weights: str, measured: Mapping[Path, str | None]) -> None:
    """Refuse results of other weights: their figures would stand in these weights' card.

    A result may be of the weights themselves, or of what ``pack`` makes of them; one that does not say is let through.

    Raises:
        UsageError: naming the first result of others.
    """
    from ..weights.store import read_card
    from ..weights.transfer import pack_weights

    own = read_card(weights).sha256
    if all(sha256 in (None, own) for sha256 in measured.values()):
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = pack_weights(weights, Path(folder) / "packed.safetensors", name="packed", numbers=[]).sha256
    for path, sha256 in measured.items():
        if sha256 not in (None, own, packed):
            raise UsageError(
                f"--result {path}: of other weights (sha256 {str(sha256)[:12]}; these have {own[:12]}, packed {packed[:12]}); "
                f"measure these: fiducia evaluate --weights {weights}"
            )


@app.command()
def average(
    sources: Annotated[
        list[str], typer.Argument(metavar="WEIGHTS...", help="Two or more weights of the same network.")
    ],
    out: Annotated[Path, typer.Option(help="Output file, *.safetensors.")],
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Average the weights of runs of one network that share their start."""
    from ..weights.transfer import average_weights

    card = average_weights(sources, out)
    typer.echo(f"{out}: the mean of {len(sources)} weights, {card.params:,} numbers")


@app.command()
def join(
    sources: Annotated[
        list[str], typer.Argument(metavar="WEIGHTS...", help="Two or more weights of one scheme and crop.")
    ],
    out: Annotated[Path, typer.Option(help="Output file, *.safetensors.")],
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Join weights of any networks into an ensemble that averages their landmarks."""
    from ..weights.ensembles import join_weights

    card = join_weights(sources, out)
    typer.echo(f"{out}: an ensemble of {len(sources)}, {card.params:,} numbers")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="Published checkpoint: .pth of tensors, or .safetensors.")],
    target: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="Output file, *.safetensors.")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--from", metavar="KIND", help="Kind of checkpoint: hrnet, adnet, fan, farl, ..., or vit for an encoder."
        ),
    ] = "vit",
    out: Annotated[Path | None, typer.Option(help="Output file, as an option.")] = None,
    mean_face: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Text file of a mean face, x y of each landmark as fractions of the crop: for pipnet and slpt, whose projects "
            "keep it beside the checkpoint.",
        ),
    ] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Convert a published checkpoint to a weight file with a model card. No code in the checkpoint is executed."""
    from ..weights.convert import convert_checkpoint

    if (target is None) == (out is None):
        raise UsageError("name the file to write once: fiducia weights convert --from KIND FILE OUT")
    place = target or out
    assert place is not None
    card, count = convert_checkpoint(kind, source, place, mean_face=mean_face)
    what = (
        f"{card.model}, {card.num_points} points ({card.scheme}), {card.size} px" if card is not None else "an encoder"
    )
    typer.echo(f"{place}: {what}, {count} tensors")


@app.command()
def calibrate(
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run directory.")],
    out: Annotated[Path, typer.Option(help="Output file, *.safetensors.")],
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:ROOT", help="Faces that the weights were not trained on."),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of --data.")] = "train",
    recipe: Annotated[
        str | None, typer.Option(help="Use the validation faces of this recipe too: a file or a shipped name.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value of --recipe.")
    ] = None,
    held_out: Annotated[
        float, typer.Option(min=0.05, max=0.95, help="Share of the photographs kept for the printed figures.")
    ] = 0.5,
    limit: Annotated[int | None, typer.Option(min=1, help="Use so many faces of each data set.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 0,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Measure what the confidence of weights is worth, and store it in their model card: quality, expected errors, visibility."""
    from ..evaluation.calibrating.calibrate import calibrate_weights
    from ..evaluation.calibrating.faces import calibration_faces
    from ..evaluation.calibrating.words import check_lines

    if not data and recipe is None:
        raise UsageError("name the faces to calibrate by: --data NAME:ROOT or --recipe NAME")
    progress = Progress("faces")
    with interruptible(lambda: f"{progress.done:,} of {progress.total:,} faces were looked at; {out} was not written"):
        groups = calibration_faces(weights, data or [], recipe, set_ or [], split=split, limit=limit)
        try:
            done = calibrate_weights(weights, out, groups, held_out=held_out, seed=seed, on_progress=progress)
        finally:
            progress.clear()
    for line in check_lines(done.check):
        typer.echo(line)
    typer.echo(f"{out}: calibrated by {done.calibration.fitted.faces:,} faces")
