"""``fiducia weights info|convert``: what a weight file is, and foreign state dicts as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look into weight files, and convert foreign ones.")


@app.command()
def info(
    weights: Annotated[str, typer.Argument(help="A shipped name, a safetensors file or a run's directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON and nothing else.")] = False,
) -> None:
    """Print a weight file's card: scheme, input, training data, licence, protocol and numbers."""
    from ..models.weights import load_card

    card = load_card(weights).model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(card, indent=2))
        return
    for key, value in card.items():
        if value not in (None, "", [], {}):
            shown = value if isinstance(value, str) else json.dumps(value)
            typer.echo(f"{key:>16}  {shown}")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A ViT state dict: CLIP, FaRL or timm keys, .safetensors or .pth.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write, with timm's parameter names.")],
) -> None:
    """Convert a backbone's state dict to timm's names in safetensors; nothing in it is executed."""
    from ..models.backbone import convert_backbone

    count = convert_backbone(source, out)
    typer.echo(f"{out}: {count} tensors")
