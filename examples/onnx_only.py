"""A face's landmarks from an exported ONNX file, with numpy and onnxruntime alone.

Usage: python onnx_only.py fifa_tiny.onnx photo.ppm X1 Y1 X2 Y2
The photograph is a binary PPM (convert photo.jpg photo.ppm); the box is as tight round the landmarks as you have it.
"""

import json
import re
import sys

import numpy as np
import onnxruntime


def landmarks(model: str, photo: np.ndarray, box: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return points (K, 2) in the photograph's pixels, and confidence (K,), for one box in an RGB photograph (H, W, 3)."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["fiducia"])["card"]
    size, side = card["size"], max(box[2] - box[0], box[3] - box[1]) / card["scale"]
    corner = (np.array(box[:2]) + box[2:]) / 2 - side / 2
    # Several samples a crop pixel, averaged: of a large face one alone would turn fine detail into noise.
    fine = size * max(1, round(side / size))
    photo = np.pad(photo, ((1, 1), (1, 1), (0, 0)))  # outside the photograph the network expects black
    last = np.array(photo.shape[1::-1])[:, None] - 1.001
    x, y = (corner[:, None] + 1 + (np.arange(fine) + 0.5) / fine * side).clip(0, last)
    i, j = x.astype(int), y.astype(int)[:, None]
    u, v = (x - i)[:, None], (y[:, None] - j)[..., None]
    top, bottom = ((1 - u) * photo[row, i] + u * photo[row, i + 1] for row in (j, j + 1))
    crop = ((1 - v) * top + v * bottom).reshape(size, fine // size, size, fine // size, 3).mean((1, 3))
    crops = crop.round().astype(np.uint8).transpose(2, 0, 1)[None]
    points, confidence = session.run(["points", "confidence"], {"crops": crops})
    return corner + (points[0] + 0.5) / size * side, confidence[0]


if __name__ == "__main__":
    raw = np.fromfile(sys.argv[2], np.uint8).tobytes()
    head = re.match(rb"P6\s+(?:#.*\s+)*(\d+)\s+(\d+)\s+255\s", raw)
    image = np.frombuffer(raw, np.uint8, offset=head.end()).reshape(int(head[2]), int(head[1]), 3)
    xy, sure = landmarks(sys.argv[1], image, [float(value) for value in sys.argv[3:7]])
    print(json.dumps({"points": xy.round(2).tolist(), "confidence": sure.round(3).tolist()}))
