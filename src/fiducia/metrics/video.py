"""How steady, how prompt and how consistent points in a video are: flicker at rest, lag in motion, changes of identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry import box_iou

__all__ = ["Identities", "flicker", "identities", "lag"]

Array = npt.NDArray[np.float64]


def flicker(xy: npt.ArrayLike, size: npt.ArrayLike, truth: npt.ArrayLike | None = None) -> float:
    """Return the normalised flicker: how far points jump from frame to frame beyond what the face does.

    It is the root mean square, over frames and points, of the change of the error from one frame to the next, in
    percent of the face's size. A constant error does not flicker.

    Args:
        xy: ``(T, K, 2)`` points in pixels, frame by frame; nan = none, and left out.
        size: of the face in pixels, such as the square root of its box's area: a number, or ``(T,)``.
        truth: ``(T, K, 2)`` the true points; None = the face is at rest.

    Raises:
        ValueError: fewer than two frames.

    Example:
        >>> round(flicker([[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]], 100.0), 6)
        1.0
    """
    points = np.asarray(xy, dtype=np.float64)
    if points.ndim != 3 or len(points) < 2:
        raise ValueError(f"flicker takes points (T, K, 2) of at least two frames; found shape {points.shape}")
    error = points if truth is None else points - np.asarray(truth, dtype=np.float64)
    sizes = np.broadcast_to(np.asarray(size, dtype=np.float64), (len(points),))
    jumps = (np.diff(error, axis=0) ** 2).sum(axis=-1) / sizes[1:, None] ** 2
    return float(100 * np.sqrt(np.nanmean(jumps)))


def lag(xy: npt.ArrayLike, truth: npt.ArrayLike, most: float = 10.0) -> float:
    """Return by how many frames the points come late: the delay of the truth that fits them best.

    The truth is delayed by d frames (linear between frames), and the d of the least squared error of the points'
    motion is taken, to 1/100 of a frame. A constant error of a point does not count.

    Args:
        xy: ``(T, K, 2)`` points, at equal times; nan = none, and left out.
        truth: ``(T, K, 2)`` the true points of the same frames.
        most: largest delay that is tried, in frames.

    Raises:
        ValueError: shapes that differ, or too few frames.

    Example:
        >>> import numpy as np
        >>> true = np.sin(np.arange(60.0) / 5)[:, None, None] * [[[1.0, 0.5]]]
        >>> late = np.sin((np.arange(60.0) - 2) / 5)[:, None, None] * [[[1.0, 0.5]]]
        >>> round(lag(late, true), 1)
        2.0
    """
    points, real = np.asarray(xy, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if points.shape != real.shape or points.ndim != 3:
        raise ValueError(f"points {points.shape} and truth {real.shape}; expected one shape (T, K, 2)")
    start = int(np.ceil(most))
    if len(points) < start + 2:
        raise ValueError(f"{len(points)} frames; expected at least {start + 2} for delays of up to {most} frames")
    tail = points[start:]

    def misfit(delay: float) -> float:
        at = np.arange(start, len(points)) - delay
        low = np.clip(np.floor(at).astype(int), 0, len(points) - 2)
        share = (at - low)[:, None, None]
        error = tail - (real[low] * (1 - share) + real[low + 1] * share)
        return float(np.nanmean((error - np.nanmean(error, axis=0)) ** 2))

    # The error has one valley for motion that is smooth: a coarse look, then a fine one about the best.
    coarse = np.arange(0.0, most + 0.25, 0.25)
    best = coarse[int(np.argmin([misfit(d) for d in coarse]))]
    fine = np.clip(np.arange(best - 0.3, best + 0.305, 0.01), 0.0, most)
    return float(fine[int(np.argmin([misfit(d) for d in fine]))])


@dataclass(frozen=True)
class Identities:
    """How well tracks keep to faces.

    Attributes:
        switches: how often a true face went on under another number.
        missed: (true face, frame) pairs without a found face.
        false: found faces without a true one.
        seen: (true face, frame) pairs in all.
    """

    switches: int
    missed: int
    false: int
    seen: int


def identities(
    true_boxes: Sequence[npt.ArrayLike],
    true_ids: Sequence[Sequence[int]],
    boxes: Sequence[npt.ArrayLike],
    ids: Sequence[Sequence[int]],
    least: float = 0.4,
) -> Identities:
    """Count changes of identity, misses and false faces (Bernardin and Stiefelhagen: CLEAR MOT, 2008).

    In each frame a true face keeps the number that it had if that one still fits; the others are matched by the
    largest IoU. A switch is counted when a true face is matched with another number than the last time, also when it
    was not seen in between.

    Args:
        true_boxes: for each frame ``(N, 4)``; only faces that can be seen.
        true_ids: for each frame N numbers.
        boxes: for each frame ``(M, 4)``.
        ids: for each frame M numbers of tracks.
        least: least IoU of a match.

    Example:
        >>> one = [[0.0, 0.0, 10.0, 10.0]]
        >>> identities([one, one], [[7], [7]], [one, one], [[0], [1]]).switches
        1
    """
    last: dict[int, int] = {}
    switches = missed = false = seen = 0
    for real, names, found, numbers in zip(true_boxes, true_ids, boxes, ids, strict=True):
        overlap = box_iou(real, found)
        pairs: dict[int, int] = {}
        kept = {row: list(numbers).index(last[name]) for row, name in enumerate(names) if last.get(name) in numbers}
        # Two faces that crossed may have had the same number one after the other; the better fit keeps it.
        for row, column in sorted(kept.items(), key=lambda pair: -overlap[pair]):
            if overlap[row, column] >= least and column not in pairs.values():
                pairs[row] = column
        rest = overlap.copy()
        rest[list(pairs)] = -1
        rest[:, list(pairs.values())] = -1
        while rest.size and rest.max() >= least:
            row, column = (int(i) for i in np.unravel_index(int(rest.argmax()), rest.shape))
            pairs[row] = column
            rest[row], rest[:, column] = -1, -1
        for row, column in pairs.items():
            name, number = names[row], numbers[column]
            switches += last.get(name, number) != number
            last[name] = number
        seen += len(names)
        missed += len(names) - len(pairs)
        false += len(numbers) - len(pairs)
    return Identities(switches, missed, false, seen)
