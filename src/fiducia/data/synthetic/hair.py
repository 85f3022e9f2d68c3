"""Hair: combed over the skull, falling behind the cheeks, curled, growing from the hairline, cut in a fringe."""

from __future__ import annotations

import numpy as np

from .brush import Brush, Colour, Placing, mix
from .look import Look
from .shape import Array, Head, height, spline

__all__ = ["ROUND", "curls", "curtain", "fringe", "hairline", "shaded", "skull", "strands"]

SKULL = (np.array([0.0, -0.32, -0.12]), np.array([1.0, 1.16, 1.06]))
"""Centre and radii of the head without the face."""
ROUND = np.linspace(0, 2 * np.pi, 72, endpoint=False)


def skull(head: Head, place: Placing, grow: float = 1.0, sink: float = 0.0) -> Array:
    """Return the outline ``(72, 2)`` of the head without the face, enlarged: a turned ellipsoid's shadow is an ellipse."""
    centre, radii = SKULL
    half = np.linalg.cholesky(
        (head.rotation[:2] * (radii * np.array([head.shape.width, 1, 1]) * grow) ** 2) @ head.rotation[:2].T
    )
    middle = place(head, centre + np.array([0, sink, 0]))
    return middle + place.scale * np.column_stack([np.cos(ROUND), np.sin(ROUND)]) @ half.T


def shaded(colour: Colour, look: Look, side: float = 0.0) -> Colour:
    """Return a colour under the picture's light; ``side`` -1 to 1 is how far right the surface looks."""
    level = look.ambient + (1.1 - look.ambient) * np.clip(
        0.25 + 0.55 * look.light[2] + 0.5 * side * look.light[0], 0, 1
    )
    return mix((0, 0, 0), colour, float(level))


def strands(brush: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Draw combed hair from a parting over the crown to the sides and the nape."""
    part = rng.uniform(-0.5, 0.5) if look.style in ("side", "bob", "long") else 0.0
    angle = rng.uniform(-np.pi, np.pi, (3, 26))
    for colour, a in zip((0.28, -0.30, 0.14), angle, strict=True):
        target = (255, 240, 220) if colour > 0 else (0, 0, 0)
        tone = shaded(mix(look.hair, target, abs(colour) * 0.7), look, 0.4 if colour > 0 else -0.4)
        end = np.column_stack([1.02 * np.sin(a), -0.30 - 1.1 * np.cos(a) * 0.9, 0.1 * np.cos(3 * a)])
        start = np.array([part, -1.42, 0.35]) + rng.uniform(-0.06, 0.06, (26, 3))
        middle = 0.5 * (start + end) + np.column_stack(
            [0.22 * np.sign(np.sin(a)), -0.18 * np.ones(26), 0.25 * np.ones(26)]
        )
        t = np.linspace(0, 1, 9)[:, None, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        brush.line(place(head, curve).transpose(1, 0, 2), tone, 0.016 * place.scale)


def curtain(brush: Brush, head: Head, place: Placing, look: Look, length: float, rng: np.random.Generator) -> None:
    """Draw long hair that falls behind the cheeks."""
    wave = rng.uniform(-0.06, 0.06, 5)
    y = np.linspace(-0.5, length, 5)
    x = np.array([1.03, 1.12, 1.16, 1.16, 1.02 if length < 2 else 1.12]) + wave
    side = np.column_stack([x, y])
    z = np.full(10, -0.2)
    fall = spline(np.column_stack([np.concatenate([side * [-1, 1], side[::-1]]), z]), 6)
    outline = place(head, fall)

    def draw(inner: Brush) -> None:
        inner.fill(outline, shaded(mix(look.hair, (0, 0, 0), 0.25), look))
        for k, tone in enumerate((0.2, -0.35, 0.1, -0.2)):
            colour = shaded(mix(look.hair, (255, 235, 210) if tone > 0 else (0, 0, 0), abs(tone)), look)
            across = rng.uniform(-1.15, 1.15, 18)
            drop = np.stack([np.linspace(-0.9, length, 7)] * 18)
            bend = across[:, None] * (1 + 0.06 * np.sin(2.2 * drop + k))
            inner.line(
                place(head, np.stack([bend, drop, np.full_like(drop, -0.2)], axis=-1)), colour, 0.02 * place.scale
            )

    brush.within(outline, draw)


def curls(brush: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Draw a cloud of curls round the skull."""
    volume = rng.uniform(1.14, 1.32)
    ring = skull(head, place, volume, -0.06)
    middle = ring.mean(axis=0)
    for tone in (-0.35, 0.0, 0.16):
        colour = shaded(mix(look.hair, (255, 235, 210) if tone > 0 else (0, 0, 0), abs(tone)), look)
        for share, k in zip(rng.uniform(0.72, 1.0, 70), rng.integers(0, len(ring), 70), strict=True):
            spot = middle + share * (ring[k] - middle)
            if (spot - middle) @ head.rotation[:2, 1] > 0.35 * place.scale:
                continue
            brush.blob(spot, float(rng.uniform(0.04, 0.09)) * place.scale, colour)


def hairline(brush: Brush, edge: Array, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Let hairs grow over the hairline ``edge (N, 2)``, away from the face."""
    unit = place.scale
    away = edge - (edge[0] + edge[-1]) / 2
    away = unit * away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
    for tone in (-0.25, 0.0, 0.18):
        k = rng.integers(5, len(edge) - 5, 40)
        start = edge[k] - rng.uniform(0.0, 0.03, (40, 1)) * away[k]
        end = edge[k] + rng.uniform(0.04, 0.13, (40, 1)) * away[k] + rng.uniform(-0.03, 0.03, (40, 2)) * unit
        colour = shaded(mix(look.hair, (255, 235, 210) if tone > 0 else (0, 0, 0), abs(tone)), look)
        brush.line(np.stack([start, end], axis=1), colour, 0.008 * unit)


def fringe(brush: Brush, hidden: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Comb hair over the forehead, at times over a brow."""
    s = head.shape
    side = int(rng.choice([-1, 1]))
    low = rng.uniform(-0.56, -0.30)
    f = np.array([-0.90, -0.72, -0.3, 0.15, 0.5, 0.62])
    edge = np.column_stack(
        [side * f * s.width, [low + 0.26, low, low - 0.05, low - 0.16, low - 0.36, s.hairline - 0.12]]
    )
    back = np.column_stack([side * f[::-1] * s.width * 0.98, [s.hairline - 0.12, -1.18, -1.22, -1.18, -0.9, -0.5]])
    lock = spline(np.concatenate([edge, back]), 6)
    solid = place(head, np.column_stack([lock, height(s, lock[:, 0], lock[:, 1]) + 0.05]))
    hidden.fill(solid, 255)

    def draw(inner: Brush) -> None:
        inner.fill(solid, shaded(look.hair, look))
        n = len(edge) - 1
        ends = spline(edge, 6)
        root = np.array([side * 0.5 * s.width, s.hairline - 0.25])
        for tone in (0.22, -0.3, 0.1):
            colour = shaded(mix(look.hair, (255, 235, 210) if tone > 0 else (0, 0, 0), abs(tone)), look)
            k = rng.integers(0, 6 * n, 16)
            t = np.linspace(0, 1, 7)[None, :, None]
            bow = 0.5 * (root + ends[k]) + np.array([-side * 0.15, -0.12])
            path = (1 - t) ** 2 * root + 2 * t * (1 - t) * bow[:, None] + t**2 * ends[k][:, None]
            depth = height(s, path[..., 0], path[..., 1])[..., None] + 0.05
            inner.line(place(head, np.concatenate([path, depth], axis=-1)), colour, 0.016 * place.scale)

    brush.within(solid, draw)
