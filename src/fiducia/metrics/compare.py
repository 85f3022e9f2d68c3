"""Is one network better than another on the same faces, or was it luck? Bootstrap interval and permutation test, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .protocol import Protocol, comparable

__all__ = ["Comparison", "Mismatch", "bootstrap_mean", "check_comparable", "paired_bootstrap", "sign_flip_p"]

_CHUNK = 4_000_000  # resampled values at a time: 32 MB
_EXACT = 13  # up to so many faces that differ, all 2^n sign patterns are tried


class Mismatch(ValueError):
    """Two results that were not measured alike; the message names every field that differs."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two networks on the same faces; ``difference`` is b - a, so a negative one says that b has less error.

    Attributes:
        mean_a: mean error of the first, in the unit given.
        mean_b: mean error of the second.
        difference: mean of b - a.
        low: lower end of the interval of ``difference``.
        high: upper end.
        level: the interval's confidence, e.g. 0.95.
        p: of :func:`sign_flip_p`: how often chance alone makes a difference as large.
        better: share of faces on which b has the smaller error; ties count half.
        faces: pairs that were compared.
        left_out: faces that one of the two has no error for.
        draws: bootstrap samples.
        seed: of the resampling.
    """

    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    level: float
    p: float
    better: float
    faces: int
    left_out: int
    draws: int
    seed: int

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def check_comparable(
    a: Protocol | Mapping[str, Any],
    b: Protocol | Mapping[str, Any],
    ids: tuple[Sequence[str], Sequence[str]] | None = None,
) -> None:
    """Refuse two results that may not be compared.

    Args:
        a: a stamp, or the ``protocol`` object of a result's JSON.
        b: the other.
        ids: the faces' ids of both, which must be the same in the same order.

    Raises:
        Mismatch: naming every field that differs, with both values.
    """
    differs = comparable(a, b)
    if not differs and ids is not None and list(ids[0]) != list(ids[1]):
        place = next((i for i, (p, q) in enumerate(zip(*ids, strict=False)) if p != q), min(map(len, ids)))
        names = [repr(side[place]) if place < len(side) else "nothing" for side in ids]
        differs = [f"face {place + 1}: {names[0]} and {names[1]}"]
    if differs:
        raise Mismatch("; ".join(differs))


def bootstrap_mean(
    errors: npt.ArrayLike, *, draws: int = 10_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap interval of a mean over faces: the percentiles of the means of resampled faces (Efron).

    Args:
        errors: ``(N,)`` of the faces; nan = no answer for this face, which is left out.
        draws: resamples.
        level: confidence of the interval, in (0, 1).
        seed: of the resampling; equal seeds give equal intervals.

    Raises:
        ValueError: not a vector, or no face has an error.
    """
    values = np.asarray(errors, dtype=np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0 or values.ndim != 1:
        raise ValueError(f"expected the errors of one face or more, (N,); found {np.shape(errors)}")
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // n)
    means = [
        values[rng.integers(0, n, size=(min(rows, draws - start), n))].mean(axis=1) for start in range(0, draws, rows)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, *, draws: int = 10_000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two vectors of per-face errors of the same faces in the same order.

    Faces are resampled with replacement and the percentiles of the resampled mean difference are the interval
    (Efron). It covers the choice of test faces. It does not cover seed variance: train several seeds for that.

    Args:
        a: ``(N,)`` errors of the first network; nan = no answer for this face.
        b: ``(N,)`` errors of the second.
        draws: resamples, and sign patterns of the permutation test.
        level: confidence of the interval, in (0, 1).
        seed: of the resampling; equal seeds give equal intervals.

    Raises:
        ValueError: the vectors differ in length, or no face has both errors.
    """
    x, y, both = _pairs(a, b)
    n = int(both.sum())
    gain = y[both] - x[both]
    low, high = bootstrap_mean(gain, draws=draws, level=level, seed=seed)
    return Comparison(
        mean_a=float(x[both].mean()),
        mean_b=float(y[both].mean()),
        difference=float(gain.mean()),
        low=low,
        high=high,
        level=level,
        p=sign_flip_p(x, y, draws=draws, seed=seed),
        better=float(np.mean(gain < 0) + np.mean(gain == 0) / 2),
        faces=n,
        left_out=len(x) - n,
        draws=draws,
        seed=seed,
    )


def sign_flip_p(a: npt.ArrayLike, b: npt.ArrayLike, *, draws: int = 10_000, seed: int = 0) -> float:
    """Return the two-sided p value of the paired permutation test of the mean difference, in (0, 1].

    Were the two networks alike, each face's difference could as well have the other sign (Fisher). p is the share of
    sign patterns whose mean difference is at least as large as the one found. Up to 13 faces that differ, all patterns
    are counted; beyond, ``draws`` random ones and the one found: (1 + hits) / (1 + draws), never 0.

    Args:
        a: ``(N,)`` errors of the first network; nan = no answer for this face, which is left out.
        b: ``(N,)`` errors of the second.
        draws: random sign patterns.
        seed: of the patterns.

    Raises:
        ValueError: as :func:`paired_bootstrap`.
    """
    x, y, both = _pairs(a, b)
    gain = (y - x)[both]
    gain = gain[gain != 0]  # a tie is the same under either sign
    n = len(gain)
    if n == 0:
        return 1.0
    # Patterns that give the very same sum must count although floats add up in another order.
    found = abs(gain.sum()) - 1e-12 * np.abs(gain).sum()
    if n <= _EXACT:
        flips = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * flips) @ gain) >= found))
    rng = np.random.default_rng(seed)
    rows, hits = max(1, _CHUNK // n), 0
    for start in range(0, draws, rows):
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(min(rows, draws - start), n), dtype=np.int8)
        hits += int(np.sum(np.abs(signs @ gain) >= found))
    return (1 + hits) / (1 + draws)


def _pairs(
    a: npt.ArrayLike, b: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return both vectors, and which faces have an error in both."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"errors of {x.shape} and {y.shape}: both must be (N,), of the same faces in the same order")
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        raise ValueError("no face has an error in both vectors")
    return x, y, both
