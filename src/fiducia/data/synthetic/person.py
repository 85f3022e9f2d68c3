"""Who is drawn: one person's shape, expression and pose as numbers, and how they are drawn by lot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CHEEK_Y", "FaceShape", "sample_shape"]

CHEEK_Y = -0.08
"""Height of the contour's first and last point, beside the eyes."""


@dataclass(frozen=True, kw_only=True)
class FaceShape:
    """One person's shape, expression and pose; lengths in head units, angles in degrees. The defaults are an average."""

    width: float = 0.97
    jaw: float = 1.52
    square: float = 2.25
    taper: float = 0.12
    eye_x: float = 0.42
    eye_w: float = 0.195
    eye_h: float = 0.102
    eye_tilt: float = 0.02
    brow_y: float = -0.27
    brow_w: float = 0.30
    brow_h: float = 0.060
    brow_arch: float = 0.06
    brow_tilt: float = 0.0
    nose_y: float = 0.56
    nose_w: float = 0.19
    nose_z: float = 0.30
    mouth_y: float = 0.92
    mouth_w: float = 0.33
    lip_up: float = 0.075
    lip_low: float = 0.105
    hairline: float = -0.88
    open: float = 0.0
    smile: float = 0.0
    lids: tuple[float, float] = (1.0, 1.0)
    raised: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)
    lopsided: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0

    @property
    def chin_y(self) -> float:
        """Height of the chin; an open mouth lowers it."""
        return CHEEK_Y + self.jaw + 0.55 * self.open


def sample_shape(rng: np.random.Generator) -> FaceShape:
    """Draw a person, an expression and a pose: yaw within ±35°, pitch ±16°, roll ±22°."""

    def near(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.standard_normal(), -2, 2))

    mood = rng.random()
    opening = float(rng.uniform(0.08, 0.30)) if mood < 0.28 else float(rng.uniform(0.0, 0.02))
    smile = float(rng.uniform(0.35, 1.0)) if rng.random() < 0.5 else near(0.0, 0.18)
    lid = near(0.95, 0.15) - 0.15 * max(smile, 0)
    lids = (lid, lid)
    closing = rng.random()
    if closing < 0.07:
        lids = (0.0, 0.0)
    elif closing < 0.10:
        lids = (0.0, lid)
    return FaceShape(
        width=near(0.96, 0.045),
        jaw=near(1.51, 0.06),
        square=near(2.25, 0.14),
        taper=near(0.12, 0.04),
        eye_x=near(0.42, 0.018),
        eye_w=near(0.195, 0.012),
        eye_h=near(0.102, 0.013),
        eye_tilt=near(0.015, 0.02),
        brow_y=near(-0.27, 0.025),
        brow_w=near(0.30, 0.02),
        brow_h=near(0.060, 0.012),
        brow_arch=near(0.06, 0.022),
        brow_tilt=near(0.0, 0.025),
        nose_y=near(0.55, 0.035),
        nose_w=near(0.19, 0.022),
        nose_z=near(0.30, 0.04),
        mouth_y=near(0.92, 0.03),
        mouth_w=near(0.33, 0.022),
        lip_up=near(0.075, 0.015),
        lip_low=near(0.105, 0.018),
        hairline=near(-0.88, 0.05),
        open=opening,
        smile=smile,
        lids=lids,
        raised=float(rng.uniform(0.4, 1.0)) if rng.random() < 0.2 else near(0.0, 0.15),
        gaze=(near(0.0, 0.35), near(0.0, 0.25)),
        lopsided=near(0.0, 0.12),
        yaw=float(np.clip(rng.standard_normal() * 16, -35, 35)),
        pitch=float(np.clip(rng.standard_normal() * 7, -16, 16)),
        roll=float(np.clip(rng.standard_normal() * 9, -22, 22)),
    )
