"""``fiducia recipe show RECIPE``: the complete recipe, each key explained."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Look into recipes.")


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped one.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, e.g. train.epochs=60.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of keys as JSON and nothing else.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Print the complete recipe after all defaults, with the meaning and the range of every key."""
    from ..recipes.explain import explain, explained_rows
    from ..recipes.files import load_recipe
    from ..training.setup import completed

    loaded = completed(load_recipe(recipe, set_ or []))
    if as_json:
        keys = ("key", "value", "allowed", "what")
        typer.echo(json.dumps([dict(zip(keys, row, strict=True)) for row in explained_rows(loaded)], indent=2))
    else:
        typer.echo(explain(loaded), nl=False)
