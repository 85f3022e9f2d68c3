"""Nested tables laid over others: how recipes, stages, presets and options are put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["merge_tables"]


def merge_tables(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid on it, table by table; neither is changed.

    Args:
        base: nested tables of plain values.
        over: the same; where both have a table, its keys are merged, else the value of ``over`` stands.
    """
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge_tables(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
