"""The map from the paper to the code: each item of the paper has a row; names, settings and commands of the rows exist."""

from __future__ import annotations

import re
import shlex
from itertools import chain
from typing import Any

import pytest

from fiducia.metrics.published import published_table
from fiducia.models.build import option_groups
from fiducia.models.registry import find_preset
from fiducia.recipes.files import load_recipe

from .pages import DOCS

ITEMS = {
    *(f"Eq. {number}" for number in range(1, 9)),
    "Algorithm 1",
    *(f"Figure {number}" for number in range(1, 4)),
    *(f"Table {number}" for number in range(1, 8)),
}
"""All that the paper numbers."""


def rows() -> list[dict[str, Any]]:
    from paper_map_page import paper_map

    return [row for part in paper_map() for row in part["rows"]]


def test_every_equation_algorithm_figure_and_table_has_one_row() -> None:
    items = [row["item"] for row in rows()]
    assert len(items) == len(set(items))
    assert set(items) >= ITEMS
    assert all(row["says"] and row["code"] for row in rows())


@pytest.mark.parametrize("path", sorted({path for row in rows() for path in row["code"]}))
def test_a_symbol_of_the_map_exists_where_it_is_defined(path: str) -> None:
    from paper_map_page import symbol

    found = symbol(path)
    # A registry is an object of its module; all else says where it was written, and that is what a reader opens.
    assert getattr(found, "__module__", "") in (f"fiducia.{path.partition(':')[0]}", "fiducia.registry")
    assert found.__doc__


@pytest.mark.parametrize("setting", sorted({setting for row in rows() for setting in row.get("set", ())}))
def test_a_setting_of_the_map_is_a_key_and_changes_the_recipe(setting: str) -> None:
    plain, changed = load_recipe("300w"), load_recipe("300w", [setting])
    assert changed != plain, "the map shows values that are not our default"
    groups = option_groups(find_preset("fifa_base"))
    for name, options in changed.model.options.items():
        assert groups[name].model_validate(options) != groups[name]()


@pytest.mark.parametrize("line", sorted({row["run"] for row in rows() if "run" in row}))
def test_a_command_of_the_map_exists_with_its_options(line: str) -> None:
    from cli_page import commands, option_names

    words = shlex.split(line)
    known = dict(commands())
    name = next((c for c in known if words[: len(c.split())] == c.split()), None)
    assert name is not None
    assert {word for word in words if word.startswith("--")} <= option_names(known[name])
    if words[1] == "reproduce":
        assert published_table(words[2]).figures


def test_the_code_of_an_equation_cites_it() -> None:
    from paper_map_page import symbol

    for row in rows():
        number = re.fullmatch(r"Eq\. (\d)|Algorithm (1)", row["item"])
        if number is None:
            continue
        texts = chain.from_iterable((symbol(p).__doc__, _module_text(p)) for p in row["code"])
        cited = set(chain.from_iterable(map(_numbers, texts)))
        assert (int(number[1]) if number[1] else "Alg. 1") in cited, row["item"]


def _module_text(path: str) -> str:
    from importlib import import_module

    return import_module(f"fiducia.{path.partition(':')[0]}").__doc__ or ""


def _numbers(text: str) -> set[int | str]:
    """Return the numbers of the equations that a docstring cites, such as ``eqs 7-8`` and ``eq. 1``, and ``Alg. 1``."""
    found: set[int | str] = {"Alg. 1"} if "Alg. 1" in text else set()
    for first, last in re.findall(r"\beqs?\.? (\d)(?:-(\d))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_the_page_of_the_map_links_every_symbol_and_is_linked() -> None:
    from api_pages import shown
    from paper_map_page import paper_map_page, paper_parts_page

    documented = shown() | set(re.findall(r"^::: (\S+)$", paper_parts_page(), re.MULTILINE))
    linked = set(re.findall(r"\]\[(\S+?)\]", paper_map_page()))
    assert linked == {f"fiducia.{path.replace(':', '.')}" for row in rows() for path in row["code"]}
    assert linked <= documented
    assert "paper_map.md" in (DOCS / "paper.md").read_text(encoding="utf-8")
