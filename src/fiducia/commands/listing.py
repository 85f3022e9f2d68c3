"""``fiducia list models|weights|datasets|schemes|losses|detectors|recipes``: as a table or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from .options import PluginOption, ThreadsOption
from .printing import say

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List the names for the command line and for recipes.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print only a JSON array.")]


def _show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for key in rows[0] if rows else ("nothing here",):
        number = bool(rows) and isinstance(rows[0][key], (int, float)) and not isinstance(rows[0][key], bool)
        table.add_column(key, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console(highlight=False, markup=False).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def _model_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a network's row for the terminal; a family of networks has no counts."""
    measured = row["params"] is not None
    return {
        "name": row["name"] if measured else f"{row['name']}NAME",
        "params": f"{row['params'] / 1e6:.2f} M" if measured else "",
        "gmac": f"{row['gmac']:.3g}" if measured else "",
        "input": row["input"],
        "about": row["about"],
    }


@app.command()
def models(
    as_json: JsonOption = False,
    points: Annotated[int, typer.Option(help="Number of landmarks of the head.")] = 68,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """List networks: parameters, multiply-adds, input size."""
    from ..models.count import describe_models

    rows = describe_models(points)
    if not as_json:
        rows = [_model_row(row) for row in rows]
    _show(rows, as_json)


@app.command()
def weights(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List shipped weights: scheme, input size, licence."""
    from ..weights.store import describe_weights

    _show(describe_weights(), as_json)


@app.command()
def datasets(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List data sets for --data NAME:ROOT, and their splits."""
    from ..data.source import describe_datasets

    rows = describe_datasets()
    if not as_json:
        # Counts, addresses and licences need a wide page: they stand in the JSON, and in what `data check` prints.
        rows = [{key: row[key] for key in ("name", "schemes", "splits", "what")} for row in rows]
    _show(rows, as_json)


@app.command()
def schemes(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List landmark schemes: points, regions, normaliser, conversions. With --json also the name of every point."""
    from ..schemes.sets import conversions_from, get_scheme, scheme_names

    rows: list[dict[str, Any]] = []
    for name in scheme_names():
        scheme = get_scheme(name)
        rows.append(
            {
                "name": name,
                "points": scheme.num_points,
                "normaliser": "inter-ocular" if scheme.inter_ocular is not None else "box",
                "regions": ", ".join(scheme.regions),
                "converts_to": ", ".join(conversions_from(name)),
            }
        )
        if as_json:
            rows[-1]["names"] = list(scheme.names)
    _show(rows, as_json)


@app.command()
def losses(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List losses for [loss.NAME] in a recipe: what they need, and their options."""
    from ..losses.registry import losses as registry

    rows = []
    for name in registry:
        kind = registry[name]
        rows.append(
            {
                "name": name,
                "needs": ", ".join(kind.needs).replace("|", " or "),
                "views": kind.views,
                "options": ", ".join(kind.options()),
                "what": kind.about,
            }
        )
    _show(rows, as_json)


@app.command()
def detectors(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List face detectors for --detector."""
    from ..detectors.registry import describe_detectors

    _show(describe_detectors(), as_json)


@app.command()
def recipes(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List shipped recipes; of one in stages, all epochs, and the last stage's size and views."""
    from ..recipes.files import load_recipe, recipe_names
    from ..recipes.stages import stage_recipes

    rows = []
    for name in recipe_names():
        legs = stage_recipes(load_recipe(name))
        rows.append(
            {
                "name": name,
                "model": legs[-1].model.name,
                "size": legs[-1].data.size,
                "views": legs[-1].augment.views,
                "epochs": sum(leg.train.epochs for leg in legs),
            }
        )
    _show(rows, as_json)


@app.command()
def augmentations(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List augmentations for a recipe's [[augment.extra]] tables."""
    from ..augment.registry import augmentations as registry

    _show([{"name": name, "what": _first_line(registry[name])} for name in registry], as_json)


@app.command()
def decoders(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List heatmap decoders for heatmap.decode and --decode."""
    from ..models.decoding import describe_decoders

    _show(describe_decoders(), as_json)


@app.command()
def schedules(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List learning-rate schedules for optim.schedule."""
    from ..training.optim import schedules as registry

    _show([{"name": name, "what": _first_line(registry[name])} for name in registry], as_json)


@app.command()
def runtimes(as_json: JsonOption = False, plugin: PluginOption = None) -> None:
    """List runtimes for --runtime."""
    from ..runtimes.registry import runtimes as registry

    rows = [{"name": name, "installed": registry[name].installed, "what": registry[name].about} for name in registry]
    _show(rows, as_json)


def _first_line(part: Any) -> str:
    return (part.__doc__ or "").strip().partition("\n")[0]
