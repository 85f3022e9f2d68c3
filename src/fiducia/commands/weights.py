"""``fiducia weights info|pack|average|join|convert``: what a weight file is, one to hand on, and foreign state dicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..errors import FiduciaError
from .options import PluginOption, ThreadsOption

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look into weight files, and convert foreign ones.")


@app.command()
def info(
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run's directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON and nothing else.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Print a weight file's card: scheme, input, training data, licence, protocol and numbers.

    The file may be a stranger's: only its header is read, nothing in it is executed, and what does not print is spelled out.
    Exit status 1 means that it cannot be used; the last line says why.
    """
    from ..weights.info import look_at
    from ..words import fit_for_terminal, one_line

    info = look_at(weights)
    if info.card is None:
        for line in info.tensors if not as_json else ():
            typer.echo(line)
        raise FiduciaError(info.wrong)
    card = info.card.model_dump(mode="json")
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
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run's directory.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write, in half precision.")],
    name: Annotated[str, typer.Option(help="What its card calls it.")],
    result: Annotated[
        list[Path] | None, typer.Option(help="A JSON file of fiducia evaluate; its figures go into the card.")
    ] = None,
    notes: Annotated[str, typer.Option(help="What else a user should know.")] = "",
    command: Annotated[
        str, typer.Option(help="How a stranger trains them, if not as this machine's folders say.")
    ] = "",
    flip: Annotated[bool, typer.Option("--flip", help="They are meant to be run with the flip test.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Write weights in half precision with measured figures in their card: a file to hand on."""
    from ..weights.transfer import pack_weights

    rows: list[dict[str, object]] = []
    for path in result or []:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            stamp = found["protocol"]
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
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FiduciaError(f"{path}: not a result of fiducia evaluate --json ({error})") from error
    card = pack_weights(weights, out, name=name, numbers=rows, notes=notes, command=command, flip=flip)
    typer.echo(f"{out}: {card.params:,} numbers, {out.stat().st_size / 1e6:.1f} MB")


@app.command()
def average(
    sources: Annotated[list[str], typer.Argument(metavar="WEIGHTS...", help="Two or more, of the same network.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.")],
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Average the weights of runs that share their beginnings: often a little better than each, at the cost of one."""
    from ..weights.transfer import average_weights

    card = average_weights(sources, out)
    typer.echo(f"{out}: the mean of {len(sources)} weights, {card.params:,} numbers")


@app.command()
def join(
    sources: Annotated[
        list[str], typer.Argument(metavar="WEIGHTS...", help="Two or more, of one landmark set and crop.")
    ],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.")],
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Join weights of any networks into an ensemble that averages their points, at the cost of all of them."""
    from ..weights.ensembles import join_weights

    card = join_weights(sources, out)
    typer.echo(f"{out}: an ensemble of {len(sources)}, {card.params:,} numbers")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A published checkpoint: .pth of tensors, or .safetensors.")],
    target: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="The safetensors file to write.")] = None,
    kind: Annotated[
        str,
        typer.Option("--from", metavar="KIND", help="What it is: hrnet, adnet, fan, farl, ..., or vit for an encoder."),
    ] = "vit",
    out: Annotated[Path | None, typer.Option(help="The safetensors file to write, as an option.")] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Convert a published checkpoint to a weight file with a model card. Nothing in the checkpoint is executed."""
    from ..errors import UsageError
    from ..weights.convert import convert_checkpoint

    if (target is None) == (out is None):
        raise UsageError("name the file to write once: fiducia weights convert --from KIND FILE OUT")
    place = target or out
    assert place is not None
    card, count = convert_checkpoint(kind, source, place)
    what = (
        f"{card.model}, {card.num_points} points ({card.scheme}), {card.size} px" if card is not None else "an encoder"
    )
    typer.echo(f"{place}: {what}, {count} tensors")
