"""Which faces are held out of training for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ..structures import Record

__all__ = ["held_out", "photo_keys", "photo_of", "share_of_keys"]


def photo_of(record: Record) -> str:
    """Return the name of a face's photograph: ``tags["photo"]``, else the path of its image."""
    return str(record.tags.get("photo", record.image.as_posix()))


def photo_keys(photos: Iterable[str], seed: int) -> npt.NDArray[np.uint64]:
    """Return a number for each photograph's name, drawn from the name and the seed: the first 64 bits of their SHA-256."""
    found = b"".join(hashlib.sha256(f"{seed}\n{photo}".encode()).digest()[:8] for photo in photos)
    return np.frombuffer(found, dtype=">u8").astype(np.uint64)


def share_of_keys(keys: npt.NDArray[np.uint64], fraction: float) -> npt.NDArray[np.bool_]:
    """Return which faces are held out, given the key of each face's photograph.

    Photographs are taken by rising key until the share is reached, so that the order of the faces changes nothing and a few
    faces more or fewer change little. At least one photograph stays in training.

    Args:
        keys: ``(n,)`` of :func:`photo_keys`.
        fraction: share of the faces, in [0, 1).

    Returns:
        bool ``(n,)``.
    """
    if not 0.0 <= fraction < 1.0:
        raise ValueError(f"a validation share is in [0, 1); found {fraction}")
    photos, faces = np.unique(keys, return_counts=True)
    wanted = round(fraction * len(keys))
    if wanted <= 0 or len(photos) < 2:
        return np.zeros(len(keys), dtype=bool)
    taken = int(np.searchsorted(np.cumsum(faces), wanted)) + 1
    last = photos[min(taken, len(photos) - 1) - 1]
    return np.asarray(keys <= last, dtype=bool)


def held_out(photos: Iterable[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which faces are held out, given the name of each face's photograph: bool ``(n,)``."""
    return share_of_keys(photo_keys(photos, seed), fraction)
