"""Where each equation, algorithm, figure and table of the paper is in the code; ``paper_map.toml`` holds the rows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from api_pages import entry, shown
from markdown_table import code, table

__all__ = ["PARTS_PAGE", "paper_map", "paper_map_page", "paper_parts_page", "symbol"]

PARTS_PAGE = "reference/api/paper.md"
HEAD = """# The paper in the code

Each equation, algorithm, figure and table of *Fiducial Focus Augmentation for Facial Landmark Detection* (arXiv 2402.15044),
and the code, recipe settings and commands that belong to it. Settings are shown with a value other than our default. A test
imports every name, reads every setting and checks every command.

Where the paper is silent or contradicts itself, [The paper, line by line](paper.md) gives our choice and its reason.
[Reproduce the paper's tables](reproduce.md) explains the commands of the results.

"""
PARTS_HEAD = """# Parts of the paper

The parts that [The paper in the code](../../paper_map.md) names and that have no place on another page.

"""


@cache
def paper_map() -> tuple[dict[str, Any], ...]:
    """Return the parts of the map, each a ``title`` and ``rows`` of ``item``, ``says``, ``code``, ``set`` and ``run``."""
    text = Path(__file__).with_name("paper_map.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["part"])


def symbol(path: str) -> Any:
    """Return what ``module:name`` below ``fiducia`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(f"fiducia.{module}"), name)


def paper_map_page() -> str:
    """Return the page as Markdown."""
    heads = ("", "in the paper", "code, settings, command")
    return HEAD + "\n".join(
        f"## {part['title']}\n\n{table(heads, [_cells(row) for row in part['rows']])}" for part in paper_map()
    )


def paper_parts_page() -> str:
    """Return the API page of the parts that stand on no other one."""
    entries = [entry(full, full, symbol(path), level=2) for path, full in _names() if full not in shown()]
    return PARTS_HEAD + "\n".join(entries)


def _names() -> Iterator[tuple[str, str]]:
    paths = dict.fromkeys(path for part in paper_map() for row in part["rows"] for path in row["code"])
    return ((path, f"fiducia.{path.replace(':', '.')}") for path in paths)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    names = [f"[`{path.rpartition(':')[2]}`][fiducia.{path.replace(':', '.')}]" for path in row["code"]]
    lines = [", ".join(names), ", ".join(map(code, row.get("set", ()))), code(row.get("run", ""))]
    return row["item"], row["says"], "<br>".join(filter(None, lines))
