"""``fiducia``: the command line. Exit status 0 = done, 1 = an input failed (the others are done), 2 = wrong use."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ._version import __version__
from .commands import data, detect, evaluate, export, listing, recipe, reproduce, train, weights
from .errors import FiduciaError, Interrupted, UsageError
from .plugins import load_plugins

__all__ = ["app", "main"]

app = typer.Typer(
    name="fiducia",
    help="Facial landmarks: train, evaluate, detect and export.",
    epilog="--plugin FILE.py, with any command: import a Python file that registers networks, losses, data sets or detectors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("detect")(detect.detect)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("reproduce")(reproduce.reproduce)
app.command("export")(export.export)
app.add_typer(data.app, name="data")
app.add_typer(listing.app, name="list")
app.add_typer(weights.app, name="weights")
app.add_typer(recipe.app, name="recipe")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fiducia {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Facial landmarks: train, evaluate, detect and export."""


def _take_plugins(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part the command line into everything else, and the files after ``--plugin``."""
    rest: list[str] = []
    plugins: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--plugin":
            file = next(words, None)
            if file is None:
                raise UsageError("--plugin: expected a Python file after it")
            plugins.append(file)
        elif word.startswith("--plugin="):
            plugins.append(word.removeprefix("--plugin="))
        else:
            rest.append(word)
    return rest, plugins


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a known error is one line on standard error, never a traceback.

    ``--plugin FILE.py`` may stand anywhere: it imports a file that registers parts of your own, before the command runs.
    """
    try:
        rest, plugins = _take_plugins(list(sys.argv[1:] if arguments is None else arguments))
        load_plugins(plugins)
        app(rest)
    except UsageError as error:
        sys.stderr.write(f"fiducia: {error}\n")
        sys.exit(2)
    except Interrupted as error:
        sys.stderr.write(f"fiducia: {error}\n")
        sys.exit(error.status)
    except FiduciaError as error:
        sys.stderr.write(f"fiducia: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("fiducia: stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
