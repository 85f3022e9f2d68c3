"""Draw docs/images/crops.jpg, masks and aligned crops of the astronaut: ``python tools/docs/crop_picture.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fiducia
from fiducia.draw.pictures import contact_sheet
from fiducia.geometry import box_to_crop
from fiducia.images import crop, read_image, write_image

ROOT = Path(__file__).resolve().parents[2]
SIDE = 224
TINTS = (("face", (70, 160, 220)), ("eyes", (250, 200, 60)), ("brows", (120, 220, 120)), ("lips", (235, 80, 110)))

if __name__ == "__main__":
    image = read_image(ROOT / "assets/astronaut.jpg")
    face = fiducia.load(device="cpu")(image)[0]
    tinted = image.astype(np.float32)
    for region, colour in TINTS:
        share = 0.45 * face.mask(region, antialias=True)[..., None]
        tinted = tinted * (1 - share) + np.array(colour) * share
    view = box_to_crop(face.box, SIDE, scale=0.75)
    tiles = [crop(np.rint(tinted).astype(np.uint8), view, SIDE)]
    tiles += [face.align(SIDE, points=points, image=image).image for points in ("five", "all")]
    names = ["face.mask(...)", "face.align(224)", 'points="all"']
    sheet = contact_sheet(tiles, captions=names, columns=3)
    write_image(ROOT / "docs/images/crops.jpg", sheet)
