"""What a drawn face looks like apart from its shape: colours, hair, light, background; and how light falls on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .brush import Colour, Image, Placing, mix, scalar, soften
from .shape import Array, Head, height

__all__ = ["Look", "background", "relief", "sample_look"]

SKIN = np.array(
    [
        (246, 218, 200),
        (241, 204, 178),
        (228, 184, 150),
        (208, 158, 120),
        (178, 126, 90),
        (142, 96, 66),
        (106, 70, 48),
        (80, 53, 38),
    ],
    dtype=np.float64,
)
HAIR = [
    (28, 24, 24),
    (44, 33, 28),
    (74, 50, 34),
    (112, 74, 44),
    (158, 116, 66),
    (206, 170, 108),
    (140, 66, 36),
    (150, 148, 146),
    (214, 212, 208),
]
IRIS = [(62, 40, 26), (84, 54, 30), (106, 78, 42), (92, 104, 62), (88, 118, 138), (104, 112, 120)]
CLOTH = [
    (52, 74, 110),
    (128, 44, 48),
    (226, 222, 212),
    (46, 48, 54),
    (70, 112, 88),
    (204, 160, 70),
    (120, 92, 134),
    (92, 132, 168),
    (196, 108, 84),
]


@dataclass(frozen=True, kw_only=True)
class Look:
    """One person's colours and trimmings, drawn at random."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    cloth: Colour
    style: str
    beard: float
    stubble: float
    cut: str
    glasses: str
    freckles: bool
    light: Array
    ambient: float
    warmth: float


def sample_look(rng: np.random.Generator) -> Look:
    """Draw colours over the whole human range, a hair style, a light."""
    tone = rng.uniform(0, len(SKIN) - 1.001)
    k = int(tone)
    skin = np.asarray(mix(SKIN[k], SKIN[k + 1], tone - k)) + rng.uniform(-7, 7) + rng.uniform(-2.5, 2.5, 3)
    # Dark hair is the most frequent everywhere, and nearly universal with dark skin.
    shade = rng.integers(0, len(HAIR)) if tone < 3 else rng.choice([0, 0, 0, 1, 1, 2, 7])
    hair = np.asarray(HAIR[shade], dtype=np.float64) + rng.uniform(-6, 6)
    style = str(rng.choice(["bald", "short", "short", "side", "long", "long", "bob", "curly", "bun", "scarf"]))
    bearded = style in ("bald", "short", "side", "curly") and rng.random() < 0.55
    azimuth, elevation = np.radians(rng.uniform(-65, 65)), np.radians(rng.uniform(-5, 50))
    light = np.array([np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    red = mix(skin, (176, 62, 66), rng.uniform(0.22, 0.5)) if not bearded else mix(skin, (160, 80, 76), 0.3)
    return Look(
        skin=mix(skin, skin, 0),
        hair=mix(hair, hair, 0),
        iris=IRIS[rng.integers(0, len(IRIS)) if tone < 3 else rng.integers(0, 3)],
        lips=red,
        cloth=CLOTH[rng.integers(0, len(CLOTH))],
        style=style,
        beard=float(rng.uniform(0.75, 0.95)) if bearded and rng.random() < 0.5 else 0.0,
        stubble=float(rng.uniform(0.15, 0.4)) if bearded else 0.0,
        cut=str(rng.choice(["full", "goatee"], p=[0.65, 0.35])),
        glasses=str(rng.choice(["", "", "", "", "", "", "round", "square", "dark"], p=[0.13] * 6 + [0.1, 0.09, 0.03])),
        freckles=bool(tone < 2.5 and rng.random() < 0.2),
        light=light,
        ambient=float(rng.uniform(0.38, 0.72)),
        warmth=float(rng.uniform(-1, 1)),
    )


def background(rng: np.random.Generator, size: int) -> Image:
    """Paint a room, a street or a meadow out of focus, at half the size and enlarged to twice the size."""
    n = max(size // 2, 16)
    ends = rng.uniform(40, 230, (2, 3))
    ends = ends.mean(axis=1, keepdims=True) + 0.35 * (ends - ends.mean(axis=1, keepdims=True))
    ramp = np.linspace(0, 1, n)[:, None, None]
    wall = ends[0] + ramp * (ends[1] - ends[0])
    image = np.ascontiguousarray(np.broadcast_to(wall, (n, n, 3)).astype(np.uint8))
    kind = rng.random()
    for _ in range(int(rng.integers(6, 22)) if kind < 0.8 else 0):
        colour = scalar(mix(rng.uniform(10, 250, 3), wall[n // 2, 0], rng.uniform(0.45, 0.9)))
        x, y = (int(v) for v in rng.integers(0, n, 2))
        w, h = (int(v) for v in rng.integers(max(n // 24, 1), max(n // 3, 2), 2))
        if kind < 0.35:
            cv2.rectangle(image, (x - w // 2, y - h), (x + w // 2, y + h), colour, -1)
        elif kind < 0.6:
            cv2.circle(image, (x, y), max(w // 3, 1), colour, -1)
        else:
            cv2.ellipse(image, (x, y), (w, max(h // 2, 1)), float(rng.integers(0, 180)), 0, 360, colour, -1)
    image = soften(image, float(rng.choice([0.006, 0.015, 0.03])) * n + 0.3)
    return cv2.resize(image, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def relief(head: Head, place: Placing, look: Look) -> tuple[Image, Array, Array]:
    """Return the light that falls on each pixel, and the place on the face that it shows.

    The face's depth is tabulated in its own frame; for a pixel, the place is found by fixed-point iteration (the head is
    turned by at most 35°, so it contracts), and the surface's slope gives the light.

    Returns:
        uint8 ``(n, n, 3)`` light, 170 = as the colour stands, and the places x and y, each ``(n, n)``, n = size / 2.
    """
    s, n, step = head.shape, place.size // 2, 0.025
    gx, gy = np.arange(-1.3, 1.3, step), np.arange(-1.55, 2.1, step)
    table = height(s, gx[None, :], gy[:, None]).astype(np.float32)
    pixel = (np.arange(n) + 0.5) * place.size / n - 0.5
    u, v = ((pixel - place.origin[i]) / place.scale for i in (0, 1))
    flat = np.linalg.inv(head.rotation[:2, :2])
    x0 = (flat[0, 0] * u[None, :] + flat[0, 1] * v[:, None]).astype(np.float32)
    y0 = (flat[1, 0] * u[None, :] + flat[1, 1] * v[:, None]).astype(np.float32)
    # Plain floats keep float32 arrays float32.
    lean_x, lean_y = (flat @ head.rotation[:2, 2]).tolist()
    left, top = float(gx[0]), float(gy[0])
    z = np.full_like(x0, 0.8)
    for _ in range(6):
        x, y = x0 - lean_x * z, y0 - lean_y * z
        there = cv2.remap(table, (x - left) / step, (y - top) / step, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        z = cv2.addWeighted(z, 0.5, there, 0.5, 0)
    far_x, far_y, far_z = head.rotation[2].tolist()
    depth = cv2.GaussianBlur(far_x * x + far_y * y + far_z * z, (0, 0), 0.02 * place.scale)
    slope = place.scale * n / place.size / 8
    dx = cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=slope)
    dy = cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=slope)
    norm = 1 / np.sqrt(1 + dx * dx + dy * dy)
    rx, ry, rz = look.light.tolist()
    lambert = np.clip(((rz - dx * rx - dy * ry) * norm + 0.22) / 1.22, 0, 1)
    # Hollows see less of the sky: beside the nose, in the eye sockets.
    level = (look.ambient + (1.03 - look.ambient) * lambert) * (0.80 + 0.20 * norm)
    half = look.light + np.array([0, 0, 1.0])
    hx, hy, hz = (half / np.linalg.norm(half)).tolist()
    gloss = np.clip((hz - dx * hx - dy * hy) * norm, 0, 1)
    for _ in range(4):
        gloss = gloss * gloss
    grey = np.clip(np.round(200 * level), 0, 255).astype(np.uint8)
    shine = np.clip(np.round(24 * gloss), 0, 255).astype(np.uint8)
    # Light through skin is red: shadows lose blue and green first.
    tint = np.array([0.90, 1.0, 1.06]) - 0.03 * look.warmth * np.array([1, 0, -1])
    curve = np.clip(np.round(170 * (np.arange(256)[:, None] / 200) ** tint), 0, 255).astype(np.uint8)
    light = cv2.add(cv2.LUT(cv2.merge([grey] * 3), curve[None]), cv2.merge([shine] * 3))
    return light, x, y  # type: ignore[return-value]
