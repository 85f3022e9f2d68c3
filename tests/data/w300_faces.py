"""Small faces on disk in the layout of 300-W."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fiducia.data.formats.pts import write_pts


def add_face(root: Path, name: str, suffix: str = ".jpg", *, points: str | None = None) -> None:
    """Write a grey photograph and its points; ``points`` is the .pts file's own spelling of the name."""
    path = root / f"{name}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(".jpg" if suffix.lower().startswith(".jp") else ".png", np.full((40, 50, 3), 90, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())
    write_pts(root / f"{points or name}.pts", np.stack([np.arange(68.0) % 50, np.arange(68.0) % 40], axis=1))
