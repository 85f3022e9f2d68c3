"""Curves through landmarks as maps: the edge maps of ADNet and STAR, and the boundary map of AWing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ..schemes.curves import Curve
from .spline import spline

__all__ = ["FINE", "complete", "draw_boundary", "draw_edges", "draw_edges_published"]

FINE = 4
"""Edge maps are drawn on a canvas of this many times their side, in pixels of the crop where the stride is 4."""
WIDTH = 1.3
"""Mean width of the published lines on that canvas; it depends on their direction, by the rounding of thick lines."""


def complete(xy: Tensor, curves: Sequence[Curve]) -> Tensor:
    """Return bool ``(N, E)``: all points of a curve are labelled, for points ``(N, K, 2)`` with nan for unlabelled ones."""
    known = torch.isfinite(xy).all(-1)
    return torch.stack([known[:, list(curve.points)].all(-1) for curve in curves], dim=1)


@torch.no_grad()
def draw_edges(xy_fine: Tensor, curves: Sequence[Curve], side: int) -> Tensor:
    """Draw one map a curve: a line about a pixel wide on a canvas of four times the side, then brought to the map.

    A cell is the mean of the four middle pixels of its 4x4 pixels, which is what bilinear reduction of the canvas gives. So a
    line that runs between the cells is faint, as in the published targets; see :func:`draw_edges_published`.

    Args:
        xy_fine: points ``(N, K, 2)`` in pixels of the canvas; nan = not labelled.
        curves: of the landmark set.
        side: of the maps in cells.

    Returns:
        ``(N, E, side, side)`` in [0, 1]; a curve with an unlabelled point has an empty map.
    """
    maps = []
    for places in _places(xy_fine, curves, FINE * side):
        # Only the middle pixels of a cell are looked at: two a cell along each axis.
        pixel = torch.floor(places)[..., None, :] + _offsets(places, 1)
        place, cell = pixel - FINE * torch.floor(pixel / FINE), torch.floor(pixel / FINE)
        index = torch.where((place == 1) | (place == 2), 2 * cell + place - 1, torch.full_like(cell, -1))
        square = (pixel - places[..., None, :]).square().sum(-1)
        value = ((WIDTH + 1) / 2 - square.sqrt()).clamp(0.0, 1.0)
        drawn = _largest(index, value, 2 * side)
        maps.append(drawn.view(-1, side, 2, side, 2).mean((2, 4)))
    return torch.stack(maps, dim=1) if maps else xy_fine.new_zeros(len(xy_fine), 0, side, side)


@torch.no_grad()
def draw_boundary(xy_map: Tensor, curves: Sequence[Curve], side: int, sigma: float = 1.0) -> Tensor:
    """Draw all curves on one map: ``exp(-d^2 / (2 sigma^2))`` of the distance d to the nearest curve, 0 from 3 sigma on.

    The published code measures the distance to the nearest cell of the rasterised curve; this one to the curve itself.

    Args:
        xy_map: points ``(N, K, 2)`` in map cells; nan = not labelled. A curve with such a point is left out.
        curves: of the landmark set.
        side: of the map in cells.
        sigma: in cells.

    Returns:
        ``(N, 1, side, side)`` in [0, 1].
    """
    reach = math.ceil(3 * sigma)
    maps = [xy_map.new_zeros(len(xy_map), side, side)]
    for places in _places(xy_map, curves, side):
        cell = torch.floor(places)[..., None, :] + _offsets(places, reach)
        square = (cell - places[..., None, :]).square().sum(-1)
        bell = torch.exp(-0.5 * square / sigma**2)
        maps.append(_largest(cell, torch.where(square < (3 * sigma) ** 2, bell, torch.zeros_like(bell)), side))
    return torch.stack(maps).amax(0)[:, None]


@torch.no_grad()
def draw_edges_published(xy_fine: Tensor, curves: Sequence[Curve], side: int) -> Tensor:
    """Draw the edge maps exactly as ADNet and STAR do, with OpenCV on the CPU; arguments as :func:`draw_edges`.

    The spline's five places a segment are rounded to a canvas of sixteen times the side, joined by lines of four pixels, and
    the canvas is reduced by the mean of 4x4 pixels first and bilinearly then.
    """
    done = complete(xy_fine, curves)
    maps = np.zeros((len(xy_fine), len(curves), side, side), dtype=np.float32)
    for e, curve in enumerate(curves):
        for n in range(len(xy_fine)):
            if not bool(done[n, e]):
                continue
            places = spline(xy_fine[n, list(curve.points)].double().cpu(), curve.closed)
            canvas = np.zeros((16 * side, 16 * side), dtype=np.uint8)
            cv2.polylines(canvas, [np.round(places.numpy() * 4).astype(np.int32)], False, 1, 4, cv2.LINE_8)
            blocks = canvas.reshape(side, 4, 4, side, 4, 4)[:, 1:3, :, :, 1:3]
            maps[n, e] = blocks.mean((1, 2, 4, 5), dtype=np.float32)
    return torch.from_numpy(maps).to(xy_fine)


def _places(xy: Tensor, curves: Sequence[Curve], side: int) -> list[Tensor]:
    """Return, for every curve, places on it ``(N, P, 2)``, less than about half a cell apart; far outside where it is unknown."""
    found = []
    for curve, done in zip(curves, complete(xy, curves).unbind(1) if curves else (), strict=True):
        points = torch.where(
            done[:, None, None], xy[:, list(curve.points)], torch.zeros_like(xy[:, list(curve.points)])
        )
        segments = len(curve.points) - (0 if curve.closed else 1)
        places = spline(points, curve.closed, steps=max(5, math.ceil(4 * side / segments)))
        found.append(torch.where(done[:, None, None], places, torch.full_like(places, -1e4)))
    return found


def _offsets(like: Tensor, reach: int) -> Tensor:
    """Return the steps ``(S, 2)`` from a place's floor to the cells within ``reach`` of the place."""
    steps = torch.arange(-reach, reach + 2, dtype=like.dtype, device=like.device)
    return torch.cartesian_prod(steps, steps)


def _largest(cell: Tensor, value: Tensor, side: int) -> Tensor:
    """Return maps ``(N, side, side)`` of the largest ``value (N, P, S)`` that falls on each ``cell (N, P, S, 2)``."""
    inside = ((cell >= 0) & (cell < side)).all(-1)
    index = torch.where(inside, cell[..., 1] * side + cell[..., 0], torch.full_like(value, side * side)).long()
    maps = value.new_zeros(len(value), side * side + 1)
    maps.scatter_reduce_(1, index.flatten(1), value.flatten(1), reduce="amax")
    return maps[:, :-1].view(-1, side, side)
