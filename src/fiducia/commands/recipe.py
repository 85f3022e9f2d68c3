"""``fiducia recipe show RECIPE``: every setting of a recipe, explained."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from .options import PluginOption, ThreadsOption
from .printing import say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Show recipes.")


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or a name from fiducia list recipes.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, e.g. train.epochs=60.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only a JSON array of keys.")] = False,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Print every setting of a recipe after all defaults, with its meaning and range."""
    from ..recipes.explain import explain, explained_rows
    from ..recipes.files import load_recipe
    from ..training.setup import completed

    loaded = completed(load_recipe(recipe, set_ or []))
    if as_json:
        keys = ("key", "value", "allowed", "what")
        say(json.dumps([dict(zip(keys, row, strict=True)) for row in explained_rows(loaded)], indent=2))
    else:
        say(explain(loaded).removesuffix("\n"))
