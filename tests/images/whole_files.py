"""One small whole file of every kind, for the tests of reading."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

PHOTO = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8), (160, 120))
PIL_PHOTO = Image.fromarray(PHOTO)


def encode(image: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def with_pillow(data: bytes) -> np.ndarray:
    """Decode as Pillow does, and lay what is transparent over white."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if "A" in picture.mode or "transparency" in picture.info:
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return np.asarray(picture.convert("RGB"))


def faded() -> Image.Image:
    """The photograph with an alpha that runs from 0 to 255."""
    picture = PIL_PHOTO.convert("RGBA")
    picture.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))))
    return picture


FRAMES: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (160, 120), "red")]}
FILES = {
    "jpeg": encode(PHOTO, "JPEG", quality=95),
    "jpeg progressive": encode(PHOTO, "JPEG", quality=95, progressive=True),
    "jpeg grey": encode(PIL_PHOTO.convert("L"), "JPEG", quality=95),
    "jpeg restart markers": cv2.imencode(".jpg", PHOTO, [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])[1].tobytes(),
    "png": encode(PHOTO, "PNG"),
    "png grey": encode(PIL_PHOTO.convert("L"), "PNG"),
    "png palette": encode(PIL_PHOTO.convert("P"), "PNG"),
    "png palette of 3 bits": encode(PIL_PHOTO.quantize(8), "PNG"),
    "png palette transparent": encode(PIL_PHOTO.quantize(16), "PNG", transparency=bytes(range(0, 160, 10))),
    "png 1 bit": encode(PIL_PHOTO.convert("1"), "PNG"),
    "png grey alpha": encode(faded().convert("LA"), "PNG"),
    "png rgba": encode(faded(), "PNG"),
    "png colour key": encode(Image.fromarray(PHOTO // 64 * 64), "PNG", transparency=(128, 64, 128)),
    "png grey key": encode(PIL_PHOTO.convert("L").point(lambda v: v // 64), "PNG", transparency=2),
    "apng": encode(PIL_PHOTO, "PNG", **FRAMES),
    "webp": encode(PHOTO, "WEBP", quality=90),
    "webp lossless": encode(PHOTO, "WEBP", lossless=True),
    "webp alpha": encode(faded(), "WEBP", quality=90),
    "webp animated": encode(PIL_PHOTO, "WEBP", lossless=True, **FRAMES),
    "bmp": encode(PHOTO, "BMP"),
    "bmp palette": encode(PIL_PHOTO.quantize(64), "BMP"),
    "tiff": encode(PHOTO, "TIFF"),
    "tiff rgba": encode(faded(), "TIFF"),
    "tiff palette": encode(PIL_PHOTO.quantize(64), "TIFF"),
    "tiff 1 bit": encode(PIL_PHOTO.convert("1"), "TIFF"),
    "tiff cmyk": encode(PIL_PHOTO.convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff lzw": encode(PHOTO, "TIFF", compression="tiff_lzw"),
    "tiff deflate": encode(PHOTO, "TIFF", compression="tiff_adobe_deflate"),
    "tiff deflate predicted": encode(PHOTO, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2}),
    "tiff packbits": encode(PHOTO, "TIFF", compression="packbits"),
    "gif": encode(PHOTO, "GIF"),
    "gif animated": encode(PIL_PHOTO, "GIF", **FRAMES),
    "ppm": encode(PHOTO, "PPM"),
    "pgm": encode(PIL_PHOTO.convert("L"), "PPM"),
    "pbm": encode(PIL_PHOTO.convert("1"), "PPM"),
}
EXACT = [name for name in FILES if not name.startswith(("jpeg", "webp", "tiff cmyk"))]
