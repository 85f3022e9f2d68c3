"""What qualities and expected errors are worth: failures that are foreseen, and errors of the size that was told."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["expected_gap", "risk_coverage", "roc_area"]

Array = npt.NDArray[np.float64]


def roc_area(quality: npt.ArrayLike, failed: npt.ArrayLike) -> float | None:
    """Return the probability that a failed face has a lower quality than one that did not fail; equal ones count half.

    Args:
        quality: ``(N,)`` numbers, higher is better.
        failed: bool ``(N,)``.

    Returns:
        in [0, 1]; None where all faces failed, or none.
    """
    q, bad = np.asarray(quality, dtype=np.float64), np.asarray(failed, dtype=bool)
    if not bad.any() or bad.all():
        return None
    # By ranks: all pairs of 26,000 looks take gigabytes.
    good = np.sort(q[~bad])
    left, right = (np.searchsorted(good, q[bad], side=side) for side in ("left", "right"))
    return float((len(good) - (left + right) / 2).mean() / len(good))


def risk_coverage(
    quality: npt.ArrayLike, failed: npt.ArrayLike, left_out: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2)
) -> list[dict[str, float]]:
    """Return the failure rate that remains when the faces of lowest quality are left out.

    Args:
        quality: ``(N,)``, N > 0.
        failed: bool ``(N,)``.
        left_out: shares of the faces, below 1.

    Returns:
        for each share ``left_out``, the number of ``faces`` that remain, and their ``failures`` in percent.
    """
    q, bad = np.asarray(quality, dtype=np.float64), np.asarray(failed, dtype=bool)
    order = np.argsort(q, kind="stable")
    rows = []
    for share in left_out:
        rest = order[round(share * len(order)) :]
        rows.append({"left_out": share, "faces": len(rest), "failures": 100 * float(bad[rest].mean())})
    return rows


def expected_gap(expected: npt.ArrayLike, actual: npt.ArrayLike, bins: int = 10) -> dict[str, Any] | None:
    """Compare expected with actual errors, in groups of equal size from the smallest expected error to the largest.

    Args:
        expected: any shape.
        actual: the same shape; what is not finite is left out.
        bins: groups.

    Returns:
        ``bins``: mean ``expected`` and mean ``actual`` error of each; ``gap``: mean over the groups of the difference, as
        a share of the actual error. None for fewer points than groups.
    """
    e, a = np.asarray(expected, dtype=np.float64).ravel(), np.asarray(actual, dtype=np.float64).ravel()
    there = np.isfinite(e) & np.isfinite(a)
    e, a = e[there], a[there]
    if len(e) < bins:
        return None
    rows = [
        {"expected": float(e[part].mean()), "actual": float(a[part].mean())}
        for part in np.array_split(np.argsort(e, kind="stable"), bins)
    ]
    gaps = [abs(row["expected"] - row["actual"]) / max(row["actual"], 1e-12) for row in rows]
    return {"bins": rows, "gap": float(np.mean(gaps)), "points": len(e)}
