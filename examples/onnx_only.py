"""A face's landmarks from an exported ONNX file, with numpy, onnxruntime and OpenCV alone.

Usage: python onnx_only.py fifa_tiny.onnx photo.jpg X1 Y1 X2 Y2 [drawn.jpg]
X1 Y1 X2 Y2 is the face's box in pixels, as tight round the landmarks (chin to brows) as you have it.
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime


def landmarks(model: str, photo: np.ndarray, box: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return points (K, 2) in the photograph's pixels, and confidence (K,), for one box in a BGR photograph."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    card = json.loads(session.get_modelmeta().custom_metadata_map["fiducia"])["card"]
    size = card["size"]
    x1, y1, x2, y2 = box
    scale = card["scale"] * size / max(x2 - x1, y2 - y1)
    # Pixel centres are whole numbers: the crop's middle is (size - 1) / 2.
    shift = (size - 1) / 2 - scale * np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    to_crop = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    # A large face is averaged first, or its fine detail would turn into noise.
    photo = cv2.blur(photo, (int(1 / scale) | 1,) * 2)
    crop = cv2.warpAffine(photo, to_crop, (size, size), flags=cv2.INTER_LINEAR)
    crops = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)[None]
    points, confidence = session.run(["points", "confidence"], {"crops": np.ascontiguousarray(crops)})
    return (points[0] - shift) / scale, confidence[0]


if __name__ == "__main__":
    image = cv2.imread(sys.argv[2])
    xy, sure = landmarks(sys.argv[1], image, [float(value) for value in sys.argv[3:7]])
    print(json.dumps({"points": xy.round(2).tolist(), "confidence": sure.round(3).tolist()}))
    if len(sys.argv) > 7:
        for x, y in xy.round().astype(int).tolist():
            cv2.circle(image, (x, y), 2, (0, 255, 0), -1)
        cv2.imwrite(sys.argv[7], image)
