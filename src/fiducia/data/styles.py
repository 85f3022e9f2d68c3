"""Every collection has its annotators: how one part of a data set places its points, and the other parts moved to that."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..structures import Record

__all__ = ["StyleFit", "part_of", "style_shifts", "to_unit"]

Array = npt.NDArray[np.float64]

_RIDGE = 300.0
"""Penalty that held the slopes back most usefully on a few hundred faces a part."""


def part_of(record: Record) -> str:
    """Return the part of its data set that a face belongs to: the first folder of its id (``lfpw``)."""
    return record.id.partition("/")[0]


def to_unit(points: Array, labels: Array) -> tuple[Array, Array]:
    """Return points ``(N, K, 2)`` with the labels' box at 0 and its longer side 1, and that side ``(N, 1, 1)`` in pixels."""
    side = np.ptp(labels, axis=1).max(-1)[:, None, None]
    return (points - labels.min(1, keepdims=True)) / side, side


class StyleFit:
    """How labels of one part differ from a network's points, as a ridge regression on the shape that the network found.

    Args:
        found: ``(N, K, 2)`` a network's points of faces of that part, in :func:`to_unit`'s frame.
        labels: ``(N, K, 2)`` their labels, in the same frame.
        ridge: penalty on the slopes of the standardised inputs; the mean difference is never penalised.
    """

    def __init__(self, found: Array, labels: Array, ridge: float = _RIDGE) -> None:
        inputs, residual = _flat(found), (labels - found).reshape(len(found), -1)
        self.mean, self.spread = inputs.mean(0), inputs.std(0) + 1e-6
        self.constant = residual.mean(0)
        inputs = (inputs - self.mean) / self.spread
        gram = inputs.T @ inputs + ridge * np.eye(inputs.shape[1])
        self.slopes: Array = np.linalg.solve(gram, inputs.T @ (residual - self.constant))

    def __call__(self, found: Array) -> Array:
        """Map found points ``(N, K, 2)`` to what the part's labels are expected to differ from them by."""
        moved = (_flat(found) - self.mean) / self.spread @ self.slopes + self.constant
        return moved.reshape(found.shape)


def style_shifts(records: Sequence[Record], found: Array, style: str, gain: float = 1.0) -> tuple[Array, Array]:
    """Return what moves labels, and a network's points, of all faces to the style of one part of them.

    The same photograph annotated for 300-W's LFPW and for its HELEN would get different points: the difference between a
    network's points and the labels, averaged over a part, is a few thousandths of the face and not the same in any two
    parts. A network trained on all of them must guess the part from the picture, and is tested against one. Parts are told
    apart by the first folder of a face's id.

    Args:
        records: N labelled faces, those that the network was trained on.
        found: ``(N, K, 2)`` the network's points, in photograph pixels; nan = not found.
        style: the part whose style is wanted, a first folder of the ids (``lfpw``).
        gain: above 1 makes up for residuals that shrank because the network learned these very labels.

    Returns:
        ``(N, K, 2)`` pixels to be added to the labels, 0 for the wanted part; and ``(N, K, 2)`` to be added to ``found``.
        0 where a face is not wholly labelled and found.

    Raises:
        UsageError: no wholly labelled face is of that part.
    """
    parts = np.array([part_of(record) for record in records])
    labels = np.stack([record.xy for record in records]).astype(np.float64)
    whole = np.isfinite(labels).all((1, 2)) & np.isfinite(found).all((1, 2))
    if not (whole & (parts == style)).any():
        known = ", ".join(sorted(set(parts)))
        raise UsageError(f"style: no wholly labelled face of {style!r}; the faces' first folders are: {known}")
    normal_labels, side = to_unit(labels, labels)
    normal_found, _ = to_unit(found, labels)
    wanted = StyleFit(normal_found[whole & (parts == style)], normal_labels[whole & (parts == style)])
    of_labels, of_found = np.zeros_like(labels), np.zeros_like(labels)
    for part in sorted(set(parts)):
        mine = whole & (parts == part)
        if not mine.any():
            continue
        target = gain * wanted(normal_found[mine])
        of_found[mine] = side[mine] * target
        if part != style:
            own = StyleFit(normal_found[mine], normal_labels[mine])
            of_labels[mine] = side[mine] * (target - gain * own(normal_found[mine]))
    return of_labels, of_found


def _flat(points: Array) -> Array:
    """Return the shape about its centre, and the centre: ``(N, 2K + 2)``."""
    centre = points.mean(1, keepdims=True)
    return np.concatenate([(points - centre).reshape(len(points), -1), centre[:, 0]], axis=1)
