"""Which face of a video moves its mouth? Prints a line for each face that was followed.

    python examples/who_talks.py clip.mp4

The mouth's opening is the distance between the inner lips, divided by the width of the mouth. A face that talks opens and
closes it; its opening varies.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np

import fiducia

UPPER, LOWER, CORNERS = 62, 66, (48, 54)  # of the 68 points


def main(path: str) -> None:
    """Follow all faces and compare how their mouths move."""
    openings: dict[int, list[float]] = defaultdict(list)
    for frame in fiducia.load("fifa_tiny").video(path):
        for face in frame.faces:
            width = np.linalg.norm(face.xy[CORNERS[0]] - face.xy[CORNERS[1]])
            openings[face.id].append(float(np.linalg.norm(face.xy[UPPER] - face.xy[LOWER]) / width))
    for number, values in sorted(openings.items(), key=lambda item: -np.std(item[1])):
        print(f"face {number}: {len(values)} frames, mouth opening {np.mean(values):.2f} +- {np.std(values):.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
