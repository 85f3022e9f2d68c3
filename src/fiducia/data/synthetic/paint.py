"""Paints a head from its curves: skin, eyes, brows, nose, lips, hair, beard, glasses, clothes, before a background."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .brush import Brush, Image, Placing, mix, slim, soften
from .hair import ROUND, curls, curtain, fringe, hairline, shaded, skull, strands
from .look import Look, background, relief, sample_look
from .shape import Array, Head, height, rim, rotation, spline

__all__ = ["paint"]


def paint(head: Head, place: Placing, rng: np.random.Generator) -> tuple[Image, npt.NDArray[np.bool_]]:
    """Paint a head with a look drawn from ``rng``.

    Returns:
        The picture uint8 ``(size, size, 3)`` RGB, and bool ``(size, size)`` where something lies before the face.
    """
    look, size = sample_look(rng), place.size
    canvas = background(rng, size)
    light, x, y = relief(head, place, look)
    behind(Brush(canvas), head, place, look, rng)
    face, border = front(head, place, look, light, x, y, rng)
    whole = Brush(canvas)
    whole.within(slim(border), lambda part: part.paste(face))
    if look.style not in ("bald", "scarf"):
        hairline(whole, border[len(head.curves["contour"]) :], place, look, rng)
    hidden = np.zeros(canvas.shape[:2], np.uint8)
    before(whole, Brush(hidden), head, place, look, rng)
    picture: Image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return develop(picture, rng), cv2.resize(hidden, (size, size), interpolation=cv2.INTER_AREA) > 127


def develop(picture: Image, rng: np.random.Generator) -> Image:
    """Give the picture a camera: exposure, contrast, a cast, blur, grain."""
    gain = rng.uniform(0.85, 1.06) * (1 + rng.uniform(-0.025, 0.025, 3))
    levels = np.arange(256)[:, None] * gain + rng.uniform(-10, 10)
    picture = cv2.LUT(picture, np.clip(np.round(levels), 0, 255).astype(np.uint8)[None])  # type: ignore[assignment]
    if rng.random() < 0.15:
        picture = soften(picture, float(rng.uniform(0.5, 1.1)) * picture.shape[0] / 256)
    if rng.random() < 0.07:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)  # type: ignore[assignment]
    strength = int(rng.integers(1, 6))
    grain = rng.integers(-strength, strength + 1, (*picture.shape[:2], 1), dtype=np.int16)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def behind(brush: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Paint what lies behind the face: hair, shoulders, neck, ears."""
    s = head.shape
    if look.style in ("long", "bob"):
        length = 2.3 if look.style == "long" else float(rng.uniform(1.15, 1.45))
        curtain(brush, head, place, look, length, rng)
    body = Head(shape=s, curves={}, points=head.points, rotation=rotation(0.35 * s.yaw, 0, 0.3 * s.roll))
    root = place(head, [0, 0.95, -0.25])
    stand = Placing(size=place.size, scale=place.scale, origin=root - place.scale * body.view([0, 0.95, -0.25]))
    half = np.array([[2.6, 3.6], [2.25, 2.75], [1.75, 2.38], [1.1, 2.18], [0.66, 2.02]])
    shoulders = np.concatenate([half * [-1, 1], half[::-1]])
    cloth = shaded(look.cloth, look)
    solid = np.column_stack([shoulders, np.full(len(shoulders), -0.3)])
    neck_skin = mix(shaded(mix(look.skin, (150, 60, 40), 0.10), look), (24, 6, 0), 0.16)
    neck = np.array([[0.40, 0.15], [0.58, 0.75], [0.56, 1.3], [0.60, 1.75], [0.76, 2.06], [0.45, 2.3], [0, 2.42]])
    throat = np.concatenate([neck * [-1, 1], neck[::-1]])
    throat = stand(body, np.column_stack([spline(throat, 4), np.full(4 * len(throat) - 3, -0.25)]))
    brush.fill(stand(body, spline(solid, 6)), cloth)
    brush.line(stand(body, spline(solid, 6)), mix(cloth, (0, 0, 0), 0.25), 0.02 * place.scale)
    jaw = place(head, head.curves["contour"])

    def shadow(inner: Brush) -> None:
        inner.fill(throat, neck_skin)
        drop = place.scale * np.array([-0.16 * look.light[0], 0.20])
        for k in range(6):
            inner.fill(jaw + drop * (1.5 - 0.22 * k), mix(neck_skin, mix(neck_skin, (30, 6, 0), 0.42), (k + 1) / 6))

    brush.within(throat, shadow)
    brush.line(throat[12:-12], mix(cloth, (0, 0, 0), 0.4), 0.018 * place.scale)
    if look.style == "scarf":
        high = np.array([[1.11, -0.5, -0.1], [1.13, 0.0, -0.1], [1.08, 0.6, 0.0]]) * [s.width, 1, 1]
        low = np.array([[0.84, 1.5, -0.1], [1.05, 2.0, -0.1], [1.5, 2.6, -0.1]])
        flip = np.array([-1, 1, 1])
        sides = [np.concatenate([place(head, high * f), stand(body, low * f)]) for f in (flip, np.ones(3))]
        brush.fill(spline(np.concatenate([sides[0], sides[1][::-1]]), 6), shaded(look.cloth, look))
        brush.fill(skull(head, place, 1.13), shaded(look.cloth, look))
        return
    if look.style == "curly":
        brush.fill(skull(head, place, 1.19, -0.05), shaded(look.hair, look, -0.6))
    elif look.style == "bun":
        brush.blob(place(head, [0, -1.5, -0.5]), 0.42 * place.scale, shaded(look.hair, look))
    ears(brush, head, place, look)
    top = {"bald": 1.0, "short": 1.09, "side": 1.13, "bun": 1.07, "long": 1.13, "bob": 1.16, "curly": 1.1}[look.style]
    crown = skull(head, place, top, -0.03 if look.style != "bald" else 0.0)
    scalp = look.skin if look.style == "bald" else look.hair

    def cap(inner: Brush) -> None:
        inner.fill(crown, shaded(scalp, look, -1))
        middle = crown.mean(axis=0)
        for k in range(1, 9):
            reach = np.array([0.42 * look.light[0], 0.35 * look.light[1]]) * place.scale * k / 8
            inner.fill(middle + (crown - middle) * (1 - 0.085 * k) + reach, shaded(scalp, look, -1 + 0.25 * k))
        if look.style != "bald":
            strands(inner, head, place, look, rng)

    brush.within(crown, cap)
    if look.style == "curly":
        curls(brush, head, place, look, rng)


def ears(brush: Brush, head: Head, place: Placing, look: Look) -> None:
    """Draw both ears; the face covers the one that is turned away."""
    t = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 13)
    for side in (-1, 1):
        lobe = 0.10 * np.clip(np.sin(t), 0, 1)
        out = 0.16 * np.cos(t) ** 0.8 * (1 - lobe)
        x = side * (0.95 * head.shape.width + 0.9 * out)
        shell = np.column_stack([x, 0.16 + 0.29 * np.sin(t) - 0.03 * np.cos(t), -0.10 - 0.9 * out])
        skin = shaded(mix(look.skin, (190, 60, 50), 0.14), look, side)
        brush.fill(place(head, shell), skin)
        inner = np.column_stack(
            [side * 0.95 * head.shape.width + 0.62 * (x - side * 0.95 * head.shape.width), *shell.T[1:]]
        )
        inner[:, 1] = 0.16 + 0.68 * (inner[:, 1] - 0.16)
        brush.line(place(head, inner), mix(skin, (60, 14, 6), 0.45), 0.03 * place.scale)


def front(
    head: Head, place: Placing, look: Look, light: Image, x: Array, y: Array, rng: np.random.Generator
) -> tuple[Image, Array]:
    """Paint the face and its features under the light; return the canvas and the face's outline ``(N, 2)``."""
    size = place.size
    face = cv2.resize(complexion(head, look, x, y, rng), (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)
    brush = Brush(face)  # type: ignore[arg-type]
    nose(brush, head, place, look)
    lips(brush, head, place, look)
    for name in ("right", "left"):
        eye(brush, head, place, look, name)
        brow(brush, head, place, look, name, rng)
    big = cv2.resize(light, (2 * size, 2 * size), interpolation=cv2.INTER_LINEAR)
    face = cv2.multiply(face, big, scale=1 / 170)
    return face, place(head, outline(head, look, rng))  # type: ignore[return-value]


def outline(head: Head, look: Look, rng: np.random.Generator) -> Array:
    """Return the edge of the visible face ``(N, 3)``: the contour, and the hairline over the forehead."""
    s = head.shape
    if look.style == "bald":
        top = -0.1 - 1.37 * np.sin(np.linspace(0.05, np.pi / 2, 24))
        sides = [rim(s, top, side) for side in (-1, 1)]
        return np.concatenate([head.curves["contour"], sides[1], sides[0][::-1]])
    y = np.array([-0.10, -0.34, -0.56, 0.86 * s.hairline, 0.97 * s.hairline, s.hairline])
    inset = np.array([0.985, 0.93, 0.86, 0.66, 0.36, 0.06])
    if look.style == "scarf":
        y, inset = y * [1, 1, 1, 0.92, 0.9, 0.9], np.array([0.97, 0.92, 0.84, 0.64, 0.36, 0.06])
    ragged = 0.0 if look.style == "scarf" else 0.012
    sides = []
    for side in (-1, 1):
        curve = spline(np.column_stack([inset, y]), 6)
        curve[6:, 1] += rng.uniform(-ragged, ragged, len(curve) - 6)
        edge = rim(s, curve[:, 1], side)
        half = np.arcsin(np.clip(np.abs(edge[:, 0]) / np.maximum(s.width, 1e-6), 0, 1))
        place_x = side * s.width * np.sin(half * curve[:, 0])
        flat = np.column_stack([place_x, curve[:, 1]])
        sides.append(np.column_stack([flat, height(s, flat[:, 0], flat[:, 1])]))
    return np.concatenate([head.curves["contour"], sides[1], sides[0][::-1]])


def complexion(head: Head, look: Look, x: Array, y: Array, rng: np.random.Generator) -> Image:
    """Return the skin's own colour at the places ``x y (n, n)``: red cheeks, hollow eyes, freckles, a beard."""
    s = head.shape
    a = np.abs(x)

    def spot(cx: float, cy: float, rx: float, ry: float) -> Array:
        return np.exp(-(((a - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)

    red = (
        0.16 * spot(0.56, 0.42, 0.26, 0.2)
        + 0.12 * spot(0, s.nose_y - 0.02, 0.17, 0.13)
        + 0.06 * spot(0, s.chin_y - 0.2, 0.25, 0.15)
    )
    dark = 0.22 * spot(s.eye_x - 0.02, -0.02, 0.24, 0.12) + 0.10 * spot(0, s.nose_y + 0.12, 0.16, 0.06)
    dark += 0.16 * spot(0, s.mouth_y + s.lip_low + 0.5 * s.open + 0.06, 0.2, 0.05)
    if s.smile > 0.2:
        fold = 0.24 + 0.42 * np.clip(y - s.nose_y, 0, 1) ** 0.8
        dark += 0.20 * s.smile * np.exp(-(((a - fold) / 0.03) ** 2)) * np.exp(-(((y - s.nose_y - 0.14) / 0.15) ** 2))
    skin = np.empty((*x.shape, 3), np.float32)
    rosy = mix(look.skin, (205, 62, 62), 0.75)
    deep = mix(look.skin, (52, 16, 14), 0.75)
    for c in range(3):
        skin[..., c] = look.skin[c] + red * (rosy[c] - look.skin[c]) + np.clip(dark, 0, 1) * (deep[c] - look.skin[c])
    pores = rng.integers(-5, 6, x.shape).astype(np.float32)
    skin += cv2.GaussianBlur(pores, (0, 0), 0.8)[..., None]
    if look.freckles:
        grain = cv2.GaussianBlur((rng.random(x.shape) < 0.05).astype(np.float32), (0, 0), 0.6)
        skin -= (np.clip(grain - 0.12, 0, 0.3) * spot(0.3, 0.3, 0.4, 0.22) * 150)[..., None] * np.array(
            [0.6, 1, 1], np.float32
        )
    growth = max(look.beard, look.stubble)
    if growth:
        along = np.array([0, 0.1, 0.25, 0.40, 0.55, 0.75, 0.90, 1.2])
        jump = np.array([0.17, 0.13, 0.17, s.mouth_y - 0.06 - s.nose_y, s.mouth_y - s.nose_y, 0.14, -0.45, -0.6])
        low = np.clip((y - s.nose_y - np.interp(a, along, jump)) / 0.10, 0, 1)
        if look.cut == "goatee":
            low = low * np.clip((0.48 - a) / 0.18, 0, 1)
        bare = 0.6 * spot(0.17, s.mouth_y + s.lip_low + 0.5 * s.open + 0.05, 0.08, 0.05)
        rough = 0.85 + 0.03 * cv2.GaussianBlur(rng.integers(-12, 13, x.shape).astype(np.float32), (0, 0), 0.6)
        share = np.clip(growth * low * rough * (1 - bare), 0, 0.97)[..., None]
        skin += share * (np.asarray(look.hair, np.float32) * (1.0 if look.beard else 1.1) - skin)
    return np.clip(np.round(skin), 0, 255).astype(np.uint8)


def nose(brush: Brush, head: Head, place: Placing, look: Look) -> None:
    """Draw the nostrils, the wings and the edge of the base."""
    c, unit = head.curves, place.scale
    shade, dark = mix(look.skin, (70, 22, 14), 0.38), mix(look.skin, (28, 8, 6), 0.78)
    base = place(head, c["nose_base"])
    for name in ("right", "left"):
        wing = place(head, c[f"{name}_nostril"])[10:]
        brush.line(wing, shade, 0.022 * unit)
    brush.line(base, shade, 0.02 * unit)
    for k in (56, 58):
        middle = head.points[k] * 0.85 + head.points[57] * 0.15
        t = ROUND[::4]
        wide = head.shape.nose_w
        hole = middle + np.column_stack([0.30 * wide * np.cos(t), -0.022 + 0.024 * np.sin(t), 0 * t])
        brush.fill(place(head, hole), dark)


def lips(brush: Brush, head: Head, place: Placing, look: Look) -> None:
    """Draw the mouth: upper lip darker than the lower, teeth and tongue where it is open."""
    unit = place.scale
    top, bottom, roof, floor = (
        place(head, head.curves[n]) for n in ("lip_top", "lip_bottom", "mouth_top", "mouth_bottom")
    )
    upper, lower = mix(look.lips, (60, 10, 14), 0.16), mix(look.lips, (255, 190, 180), 0.10)
    brush.fill(slim(np.concatenate([top, bottom[::-1]])), lower)
    brush.fill(slim(np.concatenate([top, roof[::-1]])), upper)
    gleam = 0.5 * (floor + bottom[np.linspace(0, len(bottom) - 1, len(floor)).round().astype(int)])
    brush.line(gleam[11:22], mix(lower, (255, 225, 215), 0.30), 0.035 * unit)
    hole = slim(np.concatenate([roof, floor[::-1]]))

    def inside(inner: Brush) -> None:
        inner.fill(hole, (58, 16, 18))
        sink = head.rotation[:2, 1] * unit
        inner.fill(np.concatenate([floor, (floor - 0.11 * sink)[::-1]]), (168, 78, 76))
        inner.fill(
            np.concatenate([roof, (roof + 0.085 * min(1.0, head.shape.open / 0.2) * sink)[::-1]]), (236, 230, 218)
        )
        inner.line(roof, (120, 60, 60), 0.02 * unit)

    if head.shape.open > 0.05:
        brush.within(hole, inside)
    line = roof
    if head.shape.open <= 0.05:
        first, last = (0.6 * top[k] + 0.4 * roof[k] for k in (0, -1))
        line = np.concatenate([[first], 0.5 * (roof + floor), [last]])
    brush.line(line, mix(look.lips, (40, 4, 8), 0.68), 0.018 * unit)


def eye(brush: Brush, head: Head, place: Placing, look: Look, name: str) -> None:
    """Draw an eye between its lids: white, iris with a dark rim, pupil, gleam, lashes, the fold above."""
    unit = place.scale
    top, bottom = place(head, head.curves[f"{name}_lid_top"]), place(head, head.curves[f"{name}_lid_bottom"])
    pupil = place(head, head.points[96 if name == "right" else 97])
    ring = slim(np.concatenate([top, bottom[::-1]]))
    lash = mix(mix(look.hair, (20, 12, 10), 0.8), look.skin, 0.05)
    lid = np.column_stack([np.zeros(41), -0.055 * np.sin(np.linspace(0.15, np.pi - 0.1, 41))]) @ np.array(
        [[1, 0], head.rotation[:2, 1]]
    )
    brush.line((top + unit * lid)[3:-2], mix(look.skin, (60, 20, 14), 0.42), 0.02 * unit)
    brush.line(bottom[4:-4] + 0.03 * unit * head.rotation[:2, 1], mix(look.skin, (90, 30, 30), 0.20), 0.02 * unit)

    def inside(inner: Brush) -> None:
        inner.fill(ring, (232, 226, 220))
        inner.blob(ring[40], 0.035 * unit, (206, 140, 130))
        inner.blob(pupil, 0.100 * unit, mix(look.iris, (8, 6, 6), 0.72))
        inner.blob(pupil, 0.086 * unit, look.iris)
        inner.blob(pupil + np.array([0, 0.025 * unit]), 0.055 * unit, mix(look.iris, (255, 230, 190), 0.22))
        inner.blob(pupil, 0.044 * unit, (10, 8, 8))
        inner.line(top + 0.012 * unit * head.rotation[:2, 1], mix((120, 104, 98), look.iris, 0.2), 0.03 * unit)
        inner.blob(
            pupil + unit * np.array([0.034 * np.sign(look.light[0] + 1e-9), -0.034]), 0.019 * unit, (255, 255, 255)
        )

    brush.within(ring, inside)
    brush.line(bottom, mix(look.skin, (110, 44, 40), 0.50), 0.010 * unit)
    # Lines have round ends: they stop short of the corners so as to end at them.
    first, last = 0.7 * top[0] + 0.3 * top[1], 0.7 * top[-1] + 0.3 * top[-2]
    brush.line(np.concatenate([[first], top[1:-1], [last]]), lash, 0.012 * unit)
    brush.line(top[1:-1], lash, 0.022 * unit)
    brush.line(top[2:14], lash, 0.030 * unit)


def brow(brush: Brush, head: Head, place: Placing, look: Look, name: str, rng: np.random.Generator) -> None:
    """Draw a brow: its shape in a soft tone, and hairs across it."""
    top, bottom = place(head, head.curves[f"{name}_brow_top"]), place(head, head.curves[f"{name}_brow_bottom"])
    dark = mix(mix(look.hair, (30, 22, 18), 0.45), look.skin, 0.12)
    brush.fill(slim(np.concatenate([top, bottom[::-1]])), mix(dark, look.skin, 0.28))
    k = rng.integers(1, 31, 40)
    low = rng.uniform(0.0, 0.5, (40, 1))
    start = bottom[k] + low * (top[k] - bottom[k])
    end = start + 0.6 * (top[k] - bottom[k]) + 0.6 * (top[np.maximum(k - 2, 0)] - top[k])
    brush.line(np.stack([start, end], axis=1), dark, 0.008 * place.scale)


def before(brush: Brush, hidden: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Paint what lies before the face, and mark in ``hidden`` what cannot be seen for it."""
    if look.style in ("side", "bob") and rng.random() < 0.6:
        fringe(brush, hidden, head, place, look, rng)
    if look.glasses:
        spectacles(brush, hidden, head, place, look, rng)


def spectacles(brush: Brush, hidden: Brush, head: Head, place: Placing, look: Look, rng: np.random.Generator) -> None:
    """Put on glasses: two rims on a level before the eyes, a bridge, the arms; dark ones hide the eyes."""
    s = head.shape
    frame = mix((20, 18, 18), rng.choice([[20, 18, 18], [110, 70, 30], [150, 140, 120], [60, 20, 24]]), 0.8)
    power = 2.0 if look.glasses == "round" else 3.4
    level = 0.02
    for side in (-1, 1):
        cosine, sine = np.cos(ROUND), np.sin(ROUND)
        flat = np.column_stack(
            [np.sign(cosine) * np.abs(cosine) ** (2 / power), np.sign(sine) * np.abs(sine) ** (2 / power)]
        )
        x = side * s.eye_x * 1.03 + 0.305 * flat[:, 0]
        z = 1.02 - 0.32 * (np.abs(x) / 0.75) ** 2
        rim_ = place(head, np.column_stack([x, level + (0.25 if power < 3 else 0.215) * flat[:, 1], z]))
        if look.glasses == "dark":
            brush.fill(rim_, (26, 24, 28))
            hidden.fill(rim_, 255)
            brush.line(rim_[40:52] * 0.8 + rim_.mean(axis=0) * 0.2, (84, 84, 92), 0.03 * place.scale)
        brush.line(rim_, frame, 0.034 * place.scale, closed=True)
        arm = np.array(
            [[side * (s.eye_x * 1.03 + 0.30), level - 0.06, 0.68], [side * 0.99 * s.width, level - 0.02, -0.1]]
        )
        if side * s.yaw <= 6:
            brush.line(place(head, arm), frame, 0.034 * place.scale)
    t = np.linspace(-1, 1, 9)
    bridge = np.column_stack([0.13 * t, level - 0.05 + 0.03 * t**2, 1.03 + 0.03 * (1 - t**2)])
    brush.line(place(head, bridge), frame, 0.034 * place.scale)
