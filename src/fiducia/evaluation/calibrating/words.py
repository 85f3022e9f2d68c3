"""The check of a calibration in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["check_lines"]


def check_lines(check: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines for a reader: how well failures are foreseen, and how near expected errors are to actual ones.

    Args:
        check: as :func:`fiducia.evaluation.calibrating.calibrate.check_calibration` returns it.
    """
    for name, row in check["quality"].items():
        area = "none or all failed" if row["roc_area"] is None else f"ROC area {row['roc_area']:.3f}"
        risk = ", ".join(
            f"{r['failures']:.1f} % without the worst {100 * r['left_out']:.0f} %" for r in row["risk"][1:]
        )
        yield f"quality, {name}: {row['looks']:,} looks, {row['failed']:.1f} % failed; {area}; {risk}"
    for name, row in check["sigma"].items():
        pairs = ", ".join(f"{r['expected']:.1f}/{r['actual']:.1f}" for r in row["bins"])
        yield f"expected/actual error in %, {name}: mean gap {100 * row['gap']:.1f} % of the error; {pairs}"
