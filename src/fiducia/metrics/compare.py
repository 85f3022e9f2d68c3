"""Is one network better than another on the same faces, or was it luck? The paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Comparison", "paired_bootstrap"]

_CHUNK = 4_000_000  # resampled values at a time: 32 MB


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
    better: float
    faces: int
    left_out: int
    draws: int
    seed: int

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    a: npt.ArrayLike, b: npt.ArrayLike, *, draws: int = 10_000, level: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare two vectors of per-face errors of the same faces in the same order.

    Faces are resampled with replacement and the percentiles of the resampled mean difference are the interval
    (Efron). It covers the choice of test faces, not the luck of training: that takes several training seeds.

    Args:
        a: ``(N,)`` errors of the first network; nan = no answer for this face.
        b: ``(N,)`` errors of the second.
        draws: resamples.
        level: confidence of the interval, in (0, 1).
        seed: of the resampling; equal seeds give equal intervals.

    Raises:
        ValueError: the vectors differ in length, or no face has both errors.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"errors of {x.shape} and {y.shape}: both must be (N,), of the same faces in the same order")
    both = np.isfinite(x) & np.isfinite(y)
    n = int(both.sum())
    if n == 0:
        raise ValueError("no face has an error in both vectors")
    gain = y[both] - x[both]
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // n)
    means = [
        gain[rng.integers(0, n, size=(min(rows, draws - start), n))].mean(axis=1) for start in range(0, draws, rows)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Comparison(
        mean_a=float(x[both].mean()),
        mean_b=float(y[both].mean()),
        difference=float(gain.mean()),
        low=float(low),
        high=float(high),
        level=level,
        better=float(np.mean(gain < 0) + np.mean(gain == 0) / 2),
        faces=n,
        left_out=len(x) - n,
        draws=draws,
        seed=seed,
    )
