"""Options that all commands share. They act while the command line is parsed, before torch is imported."""

from __future__ import annotations

from typing import Annotated

import typer

from ..cpu import use_threads
from ..plugins import load_plugins

__all__ = ["PluginOption", "ThreadsOption"]


def _threads(value: int | None) -> int | None:
    if value is not None:
        use_threads(value)
    return value


def _plugins(value: list[str] | None) -> list[str] | None:
    load_plugins(tuple(value or ()))
    return value


ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        callback=_threads,
        is_eager=True,
        help="CPU threads [default: the CPUs available to this process].",
    ),
]
PluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE.py",
        callback=_plugins,
        is_eager=True,
        help="Import a Python file that registers your own networks, losses, data sets or detectors.",
    ),
]
