"""Figures that benchmarks have stored beside themselves, for the pages that show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["stored"]

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def stored(name: str) -> dict[str, Any]:
    """Return the figures of ``benchmarks/NAME.json``."""
    found: dict[str, Any] = json.loads((_BENCHMARKS / f"{name}.json").read_text(encoding="utf-8"))
    return found
