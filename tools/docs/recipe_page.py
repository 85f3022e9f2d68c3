"""The reference of recipes: every key with its default, range and meaning."""

from __future__ import annotations

from itertools import groupby

from markdown_table import code, table

from fiducia.recipes.explain import Row, explained_rows
from fiducia.recipes.sections import ExtraConfig, GroupRule, LossConfig, Recipe

__all__ = ["recipe_page", "recipe_rows"]

HEAD = """# Recipe keys

Generated from the code. `fiducia recipe show RECIPE` prints the same for one recipe, after all its values are filled in.
[Training](../training.md) and [Recipes](../recipes.md) explain how to use them.

"""
_SECTIONS = {
    "": "Top level",
    "loss.NAME": "[loss.NAME]",
    "augment.extra": "[[augment.extra]]",
    "optim.rules": "[[optim.rules]]",
}


def recipe_rows() -> list[tuple[str, Row]]:
    """Return (section, row) for every key, in the order of the sections."""
    example = Recipe.model_validate({"loss": {"NAME": LossConfig()}})
    rows = [(row[0].rpartition(".")[0], row) for row in explained_rows(example)]
    for section, model in (("augment.extra", ExtraConfig(kind="NAME")), ("optim.rules", GroupRule(match="PATTERN"))):
        rows += [
            (section, (f"{section}.{name}", value, allowed, what)) for name, value, allowed, what in _inside(model)
        ]
    return rows


def _inside(model: ExtraConfig | GroupRule) -> list[Row]:
    return explained_rows(model)  # type: ignore[arg-type]


def recipe_page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for section, rows in groupby(recipe_rows(), key=lambda pair: pair[0]):
        parts.append(f"## {_SECTIONS.get(section, f'[{section}]')}\n\n")
        parts.append(table(("key", "default", "allowed", "meaning"), [_cells(row) for _, row in rows]) + "\n")
    return "".join(parts)


def _cells(row: Row) -> tuple[str, str, str, str]:
    key, value, allowed, what = row
    return code(key.rpartition(".")[2]), code(value) or "not set", allowed, what
