"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from markdown_table import code, one_line, table

from fiducia.cli import app

__all__ = ["cli_page", "commands", "option_names"]

HEAD = """# Command line

Generated from the commands. `fiducia COMMAND --help` prints the same.

Exit status: 0 = done; 1 = an input failed, the others are done; 2 = wrong use. Errors are one line each on standard error.

"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield the words of every command, such as ``fiducia data check``, and the command itself."""
    yield from _below("fiducia", typer.main.get_command(app))


def _below(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from _below(f"{words} {name}", one)


def option_names(command: Any) -> set[str]:
    """Return every option that a command takes, such as ``--flip`` and ``--no-flip``."""
    return {name for p in command.params if p.param_type_name == "option" for name in (*p.opts, *p.secondary_opts)}


def cli_page() -> str:
    """Return the page as Markdown."""
    return HEAD + "\n".join(_section(words, command) for words, command in commands())


def _section(words: str, command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help"]
    usage = [
        words,
        *(p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"),
        "[OPTIONS]",
    ]
    text = "\n\n".join(" ".join(part.split()) for part in (command.help or "").strip().split("\n\n"))
    return f"## {words}\n\n```sh\n{' '.join(usage)}\n```\n\n{text}\n\n{table(('', 'default', ''), rows)}"


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = "/".join((*parameter.opts, *parameter.secondary_opts))
        name += "" if parameter.is_flag else f" {parameter.metavar or parameter.name.strip('_').upper()}"
    what = one_line(parameter.help)
    return code(name), _default(parameter), f"{what} May be given several times." if parameter.multiple else what


def _default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return "required"
    if value is None or value is False or (parameter.is_flag and parameter.secondary_opts and value is None):
        return ""
    if value is True:
        return code(parameter.opts[0])
    return code(str(value))
