"""Recipes and keys of earlier versions: one line for each says what replaced it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["moved_key", "moved_recipe"]

_RECIPES = {"fifa_lite": "is now fifa_tiny"}

_RELABEL = "is gone: labels are changed before training, by 'fiducia data relabel'"
_MOVED: dict[str, str] = {
    "data.teacher": _RELABEL,
    "data.teacher_share": _RELABEL,
    "data.style": _RELABEL,
    "data.style_gain": _RELABEL,
    "augment.elastic": "is gone: bending faces by long waves did not help",
    "loss.coord_loss": "is now loss.coord.distance",
    "loss.similarity_weight": "is now loss.similarity.weight",
    "loss.dcca_dim": 'is now loss.similarity.dim, beside kind = "dcca"',
    "loss.dcca_shrinkage": 'is now loss.similarity.shrinkage, beside kind = "dcca"',
    "loss.dcca_eps": 'is now loss.similarity.eps, beside kind = "dcca"',
    "loss.dcca_center": 'is now loss.similarity.center, beside kind = "dcca"',
    "loss.aux_weight": 'is now a loss of its own: [loss.aux] kind = "bce", stages = "intermediate", weight = ...',
    "loss.supervise": "is now augment.supervise",
}
_SIMILARITY = {
    "none": "leave the table out, or set loss.similarity.weight = 0",
    "dcca": 'kind = "dcca"',
    "dcca_sq": 'kind = "dcca", squared = true',
    "dcca_global": 'kind = "dcca", pool = "face"',
    "corr_scalar": 'kind = "scalar_correlation"',
    **{name: f'kind = "similarity", distance = "{name}"' for name in ("l2", "l1", "smooth_l1", "wing")},
}
_WAS_A_WEIGHT = {"heatmap": 'kind = "bce"', "coord": 'kind = "coord"'}


def moved_recipe(name: str) -> str | None:
    """Return what became of a recipe of a former version, or None."""
    return _RECIPES.get(name)


def moved_key(table: Mapping[str, Any]) -> str | None:
    """Return one line about the first key of a former version in a recipe, or None.

    Args:
        table: the recipe as nested tables.
    """
    for path, what in _MOVED.items():
        section, _, key = path.partition(".")
        inside = table.get(section)
        if isinstance(inside, Mapping) and key in inside:
            return f"{path} {what}"
    losses = table.get("loss")
    if isinstance(losses, Mapping):
        for name, value in losses.items():
            if name in _WAS_A_WEIGHT and isinstance(value, int | float):
                return f"loss.{name} is now a table: [loss.{name}] {_WAS_A_WEIGHT[name]}, weight = {value}"
            if name == "similarity" and isinstance(value, str):
                return f"loss.similarity is now a table: [loss.similarity] {_SIMILARITY.get(value, 'kind = ...')}"
    return None
