"""Points by name, measures, an aligned crop and a mask of the best face: ``python examples/points.py photo.jpg [OUT]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import fiducia
from fiducia.images import write_image


def main(photo: str, out: str = "out/points") -> None:
    """Print the measures of a photograph's best face, and write its crop, its mask and its labels."""
    faces = fiducia.load("fifa_tiny")(photo)
    if not faces:
        print(f"{photo}: no face found")
        return
    face, folder = faces[0], Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    print("nose tip", face.points["nose_tip"].round(1).tolist())
    print("left eye", face["left_eye"].round(1).tolist())
    print(face.pose())
    print(json.dumps(face.measures()))
    write_image(folder / "aligned.png", face.align(112).image)
    mask = face.mask("face")
    image = faces.photo.read() if faces.photo else None
    if image is not None:
        write_image(folder / "face_only.png", image * mask[..., None])
    (folder / "coco.json").write_text(json.dumps(faces.to_coco()), encoding="utf-8")
    print(f"written to {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
