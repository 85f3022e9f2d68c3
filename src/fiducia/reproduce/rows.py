"""The rows of the paper's tables as recipes: what each is trained as at each scale, declared in ``recipes/tables/*.toml``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ..errors import UsageError
from ..metrics.published import PublishedTable, published_table, system
from ..models.registry import models
from ..recipes.files import load_recipe, table_file
from ..recipes.merge import merge_tables
from ..recipes.sections import Recipe
from ..registry import did_you_mean

__all__ = ["BUDGETS", "SCALES", "TABLES", "Row", "Table", "load_table", "row_recipe"]

_PAPER = tuple(f"table{n}" for n in range(1, 8))
TABLES = (*_PAPER, "comparison")
"""The paper's seven tables, and the comparison of networks that the field lacks."""
SCALES = ("smoke", "small", "paper")
BUDGETS = ("epochs", "views")
"""Rows are compared after equal epochs, and after as many image views as the rows with two views have seen."""

Training = Literal["plain", "fifa", "two_views", "dcca"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Part):
    """One row of a table, in the words of its TOML file."""

    name: str
    label: str
    kind: Literal["paper", "control", "extra"] = "paper"
    """``paper``: published; ``control``: the fair control of Siamese training; ``extra``: fiducia's own."""
    net: str = "fifa"
    """``fifa``, ``vanilla``, or a registered network."""
    training: Training
    set: tuple[str, ...] = ()
    """``key=value``, over all that the scale, the network and the training say."""
    against: str | None = None
    """The row that it is compared with; None = the row above, empty = none."""
    scales: tuple[str, ...] = SCALES
    published: str | None = None
    """Its row in ``metrics/published.toml``; None = its own name."""
    note: str = ""
    budgets: tuple[str, ...] = BUDGETS
    """The budgets that it is compared at."""

    @property
    def views(self) -> int:
        """Views of every face in a step."""
        return 2 if self.training in ("two_views", "dcca") else 1

    @property
    def has_model(self) -> bool:
        """Whether its network is one that fiducia has."""
        return self.net in ("fifa", "vanilla") or self.net in models


class Table(_Part):
    """One of the paper's tables with the rows that fiducia adds, or a table of fiducia's own."""

    name: str
    title: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """Return a row.

        Raises:
            UsageError: there is none of that name; the nearest is told.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise UsageError(f"{self.name}: no row is called {name!r}{did_you_mean(name, [row.name for row in self.rows])}")

    @property
    def heading(self) -> str:
        """Its title, after its number in the paper where it has one."""
        return f"Table {self.name.removeprefix('table')}: {self.title}" if self.name in _PAPER else self.title

    @property
    def published(self) -> PublishedTable:
        """What the paper printed; a table of fiducia's own has no columns, rows or figures."""
        if self.name in _PAPER:
            return published_table(self.name)
        return PublishedTable(name=self.name, title=self.title, columns=(), rows=(), figures={})

    @property
    def views(self) -> int:
        """The most views that a row of it trains on."""
        return max(row.views for row in self.rows)

    @property
    def mixed(self) -> bool:
        """Whether it has rows of one view and rows of two, so that equal epochs are not equal image views."""
        systems = self.name in ("table1", "table2")  # whole systems, each trained as it is
        return not systems and len({row.views for row in self.rows if "views" in row.budgets}) > 1

    def at(self, scale: str) -> list[Row]:
        """Return the rows that a scale has."""
        return [row for row in self.rows if scale in row.scales]

    def run_of(self, row: Row, budget: str) -> str | None:
        """Return the budget under which a row's run for a budget is kept; None where the row is not compared at it.

        A row of as many views as any other has seen them in its epochs. One of fewer views needs a longer run.
        """
        if budget not in row.budgets:
            return None
        return "views" if budget == "views" and self.mixed and row.views < self.views else "epochs"


@cache
def load_table(name: str) -> Table:
    """Read a table.

    Raises:
        UsageError: it is none of :data:`TABLES`.
    """
    if name not in TABLES:
        raise UsageError(f"{name}: no such table{did_you_mean(name, list(TABLES))}")
    raw = _read(f"{name}.toml")
    readings = raw.get("readings", [{"prefix": "", "label": "", "set": []}])
    rows = [row for reading in readings for row in _reading(raw["rows"], reading)]
    for above, row in zip([None, *rows], rows, strict=False):
        row["label"] = row.get("label") or system(row["name"])
        row.setdefault("against", above["name"] if above is not None else "")
    return Table(name=name, title=raw["title"], rows=tuple(Row.model_validate(row) for row in rows))


def row_recipe(
    table: Table, row: Row, *, scale: str, source: str, seed: int, budget: str = "epochs", sets: Sequence[str] = ()
) -> Recipe | None:
    """Return the recipe of one run, or None where the row's network is not registered.

    Args:
        table: the row's.
        row: one that the scale has.
        scale: one of :data:`SCALES`.
        source: ``NAME:ROOT``.
        seed: of the run.
        budget: ``epochs``, or ``views`` for twice the epochs of a row of one view.
        sets: ``key=value`` of the user's, after all others; none may set the seed.

    Raises:
        UsageError: a setting that is not one.
    """
    parts = _read("scales.toml")
    nets: dict[str, list[str]] = parts["nets"][scale]
    if not row.has_model:
        return None
    overrides = [
        *nets.get(row.net, [f"model.name={row.net}"]),
        *parts["training"][row.training],
        *parts["data"].get(source.partition(":")[0], []),
        *row.set,
        *sets,
        # Quoted, as a path may hold anything.
        f"data.source={json.dumps(source)}",
        f"train.seed={seed}",
        f"name={table.name}_{row.name}",
    ]
    recipe = load_recipe(table_file(f"{scale}.toml"), overrides)
    if scale == "smoke" and row.net not in nets:
        # A toy of the same kind, as its registration has one; the row's own options are laid over it.
        options = merge_tables(models[row.net].test_options, recipe.model.options)
        recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"options": options})})
    if budget == "views":
        longer = recipe.train.epochs * table.views // row.views
        recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": longer})})
    return recipe


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(table_file(name).read_text(encoding="utf-8"))


def _reading(rows: Sequence[dict[str, Any]], reading: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of one reading of a table; Table 5 has two."""
    prefix, label = reading["prefix"], reading["label"]
    return [
        {
            **row,
            "name": prefix + row["name"],
            "published": row.get("published", row["name"]),
            "set": (*reading["set"], *row.get("set", ())),
            **({"label": f"{row['label']} ({label})"} if label else {}),
            **({"against": prefix + row["against"]} if row.get("against") else {}),
        }
        for row in rows
    ]
