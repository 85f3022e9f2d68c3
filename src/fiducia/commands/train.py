"""``fiducia train RECIPE``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .interrupts import interruptible
from .options import PluginOption, ThreadsOption

__all__ = ["train"]


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or a name from fiducia list recipes.")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one value, e.g. train.epochs=60.")
    ] = None,
    init: Annotated[str | None, typer.Option(help="Fine-tune these weights: a name, file or run directory.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory [default: runs/RECIPE].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the last checkpoint in --out.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    threads: ThreadsOption = None,
    plugin: PluginOption = None,
) -> None:
    """Train a network. The run directory gets the recipe, versions, metrics, pictures, checkpoints and weights."""
    from ..recipes.files import load_recipe

    overrides = [*(set_ or []), *([f'train.device="{device}"'] if device is not None else [])]
    loaded = load_recipe(recipe, overrides)
    from ..training.run import train as run

    place = out if out is not None else Path("runs") / loaded.name

    def told() -> str:
        there = (place / "checkpoints" / "last.ckpt").is_file()
        return f"go on from {place} with --resume" if there else "nothing was saved yet"

    with interruptible(told) as stop:
        run(loaded, place, resume=resume, init=init, stop=stop)
