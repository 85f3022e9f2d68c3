"""Heatmaps → points: the registry of decoders, and the one function that turns a network's final maps into a prediction.

Points are in map cells here, ``xy_map``: an integer is a cell's centre (see :mod:`fiducia.geometry`). A cell of a map of
side w covers ``size / w`` crop pixels, so points of a map lie in ``[-0.5, w - 0.5]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..registry import Registry
from ..structures import Prediction

__all__ = [
    "Decoder",
    "decode",
    "decode_maps",
    "decoders",
    "heatmap_decoders",
    "map_spread",
    "register",
    "to_crop_pixels",
]

Takes = Literal["values", "raw"]


@dataclass(frozen=True)
class Decoder:
    """One registered decoder; calling it calls :attr:`read`.

    Attributes:
        name: its name in a recipe and for ``--decode``.
        read: from maps ``(B, K, h, w)`` to points ``(B, K, 2)`` in map cells; it must be traceable by ``torch.export``.
        within: how far off it may be at most, in cells along one axis, on an ideal map of sigma 1.4 to 1.7 cells whose peak is
            six cells or more from the border; a contract test holds it to that.
        takes: ``values``: maps in [0, 1], ideally a Gaussian with peak 1, though linear maps may lie below 0 and above 1;
            ``raw``: the network's final maps before any activation, ideally the logarithm of a Gaussian.
        about: one line.
    """

    name: str
    read: Callable[[Tensor], Tensor]
    within: float
    takes: Takes = "values"
    about: str = ""

    def __call__(self, maps: Tensor) -> Tensor:
        """Return points ``(B, K, 2)`` in map cells."""
        return self.read(maps)


decoders: Registry[Decoder] = Registry("decoder", "fiducia.heatmaps")
"""Name → :class:`Decoder`.

Example:
    >>> import torch
    >>> heatmaps = torch.zeros(1, 1, 64, 64)
    >>> heatmaps[0, 0, 11, 20] = 1.0
    >>> decoders["argmax"](heatmaps).tolist()
    [[[20.0, 11.0]]]
"""


def register(
    name: str, *, within: float, takes: Takes = "values"
) -> Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]:
    """Return a decorator that registers a function as a decoder; see :class:`Decoder` for the arguments."""

    def keep(read: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        about = (read.__doc__ or "").strip().partition("\n")[0]
        decoders.add(name, Decoder(name, read, within, takes, about))
        return read

    return keep


def heatmap_decoders(first: str) -> tuple[str, ...]:
    """Return the names of all registered decoders, ``first`` (a network's published one) at the front."""
    return (first, *(name for name in decoders if name != first))


def to_crop_pixels(cells: Tensor, side: int, size: int) -> Tensor:
    """Map cells ``(..., 2)`` of maps of a side → crop pixels of a crop of a size."""
    return (cells + 0.5) * (size / side) - 0.5


def decode_maps(maps: Tensor, method: str, *, size: int, linear: bool = False, spread: bool = False) -> Prediction:
    """Read a network's final maps.

    Args:
        maps: ``(B, K, h, w)``, logits or linear; half precision is computed in float32.
        method: a registered decoder.
        size: side of the crop in pixels.
        linear: the maps are values in [0, 1] as they stand (up to the network's error), and not logits.
        spread: also give the covariance of each map's mass; it is computed when it is first read.

    Returns:
        Points in crop pixels; confidence: the largest value of each map, near 1 where the network draws the full peak that it
        was trained on; the spread where it was asked for.
    """
    maps = maps.float()
    # Linear maps are read as they stand: clamped to [0, 1] a peak above 1 would be a plateau, and the side on which it falls
    # less below 0 could not be told.
    values = maps if linear else torch.sigmoid(maps)
    decoder = decoders[method]
    cells, confidence = decoder(maps if decoder.takes == "raw" else values), values.flatten(2).amax(-1)

    def covariance() -> Tensor:
        mass = maps.flatten(2).softmax(-1).view_as(maps) if decoder.takes == "raw" else values.clamp(min=0.0)
        return map_spread(mass, size)

    return Prediction(
        points=to_crop_pixels(cells, maps.shape[-1], size),
        confidence=confidence.clamp(0.0, 1.0),
        spread=covariance if spread else None,
    )


def decode(logits: Tensor, method: str = "expectation") -> tuple[Tensor, Tensor]:
    """Read points ``(B, K, 2)`` in map cells and confidence ``(B, K)`` from logits ``(B, K, h, w)``.

    Args:
        logits: before the sigmoid.
        method: a registered decoder: expectation (FaRL), argmax (Sect. 3.1), quarter (HRNet, FAN), local_softargmax
            (SH-FAN), dark, udp, or integral (DSNT).
    """
    logits = logits.float()
    values = torch.sigmoid(logits)
    decoder = decoders[method]
    return decoder(logits if decoder.takes == "raw" else values), values.flatten(2).amax(-1)


def map_spread(values: Tensor, size: int) -> Tensor:
    """Return the covariance of each map's mass: where else on the map the point could be.

    ``cov = sum of m_c (c - mean)(c - mean)^T over cells c, divided by sum of m_c``. A network that draws a Gaussian of a
    fixed sigma has that sigma's variance at least; what is more is doubt. A map without mass has a uniform map's spread.

    Args:
        values: ``(B, K, h, w)``, 0 or more.
        size: side of the crop in pixels.

    Returns:
        ``(B, K, 2, 2)`` in squared crop pixels, x first; symmetric and positive semi-definite up to rounding.
    """
    h, w = values.shape[-2:]
    mass = values + 1e-9
    mass = mass / mass.sum((-2, -1), keepdim=True)
    columns = torch.arange(w, dtype=values.dtype, device=values.device)
    rows = torch.arange(h, dtype=values.dtype, device=values.device)
    across, down = mass.sum(-2), mass.sum(-1)
    # Distances from the mean, before they are squared: float32 would lose a small variance far from cell 0.
    dx = columns - (across @ columns)[..., None]
    dy = rows - (down @ rows)[..., None]
    xx, yy = (across * dx.square()).sum(-1), (down * dy.square()).sum(-1)
    xy = ((mass @ dx[..., None])[..., 0] * dy).sum(-1)
    covariance = torch.stack([torch.stack([xx, xy], dim=-1), torch.stack([xy, yy], dim=-1)], dim=-2)
    return covariance * (size / w) ** 2
