"""Draw docs/images/pose.jpg, the signs of yaw, pitch and roll on a drawn face: ``python tools/docs/pose_picture.py``.

The arrow is the direction of the nose, from the pose that is measured on the face's points.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from fiducia.data.synthetic.brush import Placing
from fiducia.data.synthetic.paint import paint
from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head
from fiducia.draw.pictures import contact_sheet
from fiducia.images import Image, write_image
from fiducia.measures.pose import head_pose
from fiducia.schemes.sets import get_scheme

FILE = Path(__file__).resolve().parents[2] / "docs/images/pose.jpg"
SIDE, PERSON = 240, 18
# The drawn head counts yaw and pitch the other way round.
TURNS = (
    ("yaw +30", {"yaw": -30.0}),
    ("pitch +18", {"pitch": -18.0}),
    ("roll +20", {"roll": 20.0}),
    ("yaw -30", {"yaw": 30.0}),
    ("pitch -18", {"pitch": 18.0}),
    ("roll -20", {"roll": -20.0}),
)


def picture(turn: dict[str, float]) -> Image:
    """Return the face, turned, with an arrow along its nose."""
    head = build_head(replace(FaceShape(smile=0.3), **turn))
    place = Placing(size=SIDE, scale=0.3 * SIDE, origin=np.array([0.5, 0.42]) * SIDE)
    image, _ = paint(head, place, np.random.default_rng(PERSON))
    xy = place(head, head.points)[list(SELECTIONS["ibug68"])]
    pose = head_pose(xy, get_scheme("ibug68"))
    tip = np.array([0.0, 0.37, -0.45])
    along = pose.project([tip, tip - np.array([0, 0, 1.1])]) - pose.project([tip])
    start, end = xy[30] + along
    canvas = np.ascontiguousarray(image)
    if np.hypot(*(end - start)) > 12:
        points = [tuple(int(v) for v in p.round()) for p in (start, end)]
        cv2.arrowedLine(canvas, *points, (255, 255, 255), 6, cv2.LINE_AA, tipLength=0.25)
        cv2.arrowedLine(canvas, *points, (20, 90, 200), 3, cv2.LINE_AA, tipLength=0.25)
    return canvas


if __name__ == "__main__":
    write_image(
        FILE, contact_sheet([picture(turn) for _, turn in TURNS], captions=[name for name, _ in TURNS], columns=3)
    )
