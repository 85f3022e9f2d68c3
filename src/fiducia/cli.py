"""``fiducia``: the command line. Exit status 0 = done, 1 = an input failed (the others are done), 2 = wrong use."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from ._version import __version__
from .commands import annotate, data, detect, evaluate, export, listing, recipe, reproduce, serve, train, weights
from .cpu import prepare_process
from .errors import FiduciaError, Interrupted, UsageError
from .files import printable
from .words import fit_for_terminal

__all__ = ["app", "main"]

_LONGEST = 2000
"""Characters of an error's line."""
_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EPIPE)
"""What writing to a standard output ends in whose disk is full or whose reader is gone."""

app = typer.Typer(
    name="fiducia",
    help="Facial landmarks: train, evaluate, detect and export.",
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
app.command("annotate")(annotate.annotate)
app.command("serve")(serve.serve)
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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a known error is one line on standard error, never a traceback."""
    prepare_process()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files in no encoding are printed with their bytes spelled out.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            app(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in _LOST:
            raise
        _drop_stdout()
        _end(f"standard output: cannot be written ({error.strerror})", 1)
    except UsageError as error:
        _end(error, 2)
    except Interrupted as error:
        _end(error, error.status)
    except FiduciaError as error:
        _end(error, 1)
    except KeyboardInterrupt:
        _end("stopped", 130)


def _drop_stdout() -> None:
    """Send what still waits for standard output nowhere: Python would try to write it again at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _end(why: object, status: int) -> NoReturn:
    """Say why in one line that prints, whatever files and values it quotes, and end."""
    line = fit_for_terminal(
        printable(" ".join(str(why).splitlines()), getattr(sys.stderr, "encoding", None) or "utf-8")
    )
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST - 3]}..."
    sys.stderr.write(f"fiducia: {line}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
