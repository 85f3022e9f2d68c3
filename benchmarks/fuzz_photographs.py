"""Photographs for ``fuzz.py``: small files of every format, damaged in every way, and structures that were built to harm."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import random
import struct
import warnings
import zlib
from typing import Any

import cv2
import numpy as np
from fuzz import Kind
from mutate import fault_in_bytes
from PIL import Image, UnidentifiedImageError

from fiducia.images import read_image

SIDE = (64, 48)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return an image file's bytes, by Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def seeds() -> dict[str, bytes]:
    """Return one small whole file of every kind that is read."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    pixels = cv2.resize(noise, SIDE, interpolation=cv2.INTER_CUBIC)
    rgb = Image.fromarray(pixels)
    grey, rgba, palette = rgb.convert("L"), rgb.copy(), rgb.quantize(64)
    rgba.putalpha(grey)
    frames = [rgb, rgb.transpose(Image.Transpose.ROTATE_180)]
    more = {"save_all": True, "append_images": frames[1:]}
    deep = pixels.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    restart = [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]
    found = {
        "jpeg": encoded(rgb, "JPEG", quality=90),
        "jpeg progressive": encoded(rgb, "JPEG", progressive=True),
        "jpeg grey": encoded(grey, "JPEG"),
        "jpeg cmyk": encoded(rgb.convert("CMYK"), "JPEG"),
        "jpeg exif": encoded(rgb, "JPEG", exif=exif),
        "jpeg restarts": cv2.imencode(".jpg", pixels, restart)[1].tobytes(),
        "png": encoded(rgb, "PNG"),
        "png grey": encoded(grey, "PNG"),
        "png palette": encoded(palette, "PNG", transparency=3),
        "png rgba": encoded(rgba, "PNG"),
        "png la": encoded(rgba.convert("LA"), "PNG"),
        "png bits": encoded(grey.convert("1"), "PNG"),
        "png 16": cv2.imencode(".png", deep)[1].tobytes(),
        "apng": encoded(frames[0], "PNG", **more),
        "gif": encoded(palette, "GIF"),
        "gif animated": encoded(frames[0], "GIF", **more),
        "webp": encoded(rgb, "WEBP"),
        "webp lossless": encoded(rgb, "WEBP", lossless=True),
        "webp rgba": encoded(rgba, "WEBP"),
        "webp animated": encoded(frames[0], "WEBP", **more),
        "bmp": encoded(rgb, "BMP"),
        "bmp palette": encoded(palette, "BMP"),
        "ppm": encoded(rgb, "PPM"),
        "pgm text": b"P2\n# c\n8 6\n255\n" + b" ".join(b"%d" % v for v in noise[..., 0].ravel()),
        "tiff": encoded(rgb, "TIFF"),
        "tiff palette": encoded(palette, "TIFF"),
        "tiff rgba": encoded(rgba, "TIFF"),
        "tiff 16": cv2.imencode(".tiff", deep, [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1].tobytes(),
        "tiff float": cv2.imencode(".tiff", (pixels / 255).astype(np.float32))[1].tobytes(),
        "avif": encoded(rgb, "AVIF"),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        found[f"tiff {compression}"] = encoded(rgb, "TIFF", compression=compression)
    with contextlib.suppress(ImportError):
        import pillow_heif

        buffer = io.BytesIO()
        pillow_heif.from_pillow(rgb).save(buffer)
        found["heic"] = buffer.getvalue()
    return found


def damaged(draw: random.Random) -> tuple[str, bytes]:
    """Return a file of :func:`seeds` with one to four faults."""
    name = draw.choice(sorted(seeds()))
    data = bytearray(seeds()[name])
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        # Half of the faults fall on the header, where they do most harm.
        limit = len(data) if draw.random() < 0.5 else min(len(data), 200)
        at = draw.randrange(max(limit, 1))
        if draw.random() < 0.1:
            data[at:] = {"j": b"\xff\xd9", "p": _chunk(b"IEND", b""), "g": b"\0\x3b"}.get(name[0], b"")
        else:
            fault_in_bytes(data, draw, at)
    if name.startswith(("png", "apng")) and draw.random() < 0.7:
        return f"{name}, checksums mended", mended(bytes(data))
    return name, bytes(data)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def mended(data: bytes) -> bytes:
    """Return a PNG with the checksum of every chunk made right, so that the damage lies deeper."""
    out, at = data[:8], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 8 : at + 8 + length]
        if len(body) < length:
            break
        out += _chunk(data[at + 4 : at + 8], body)
        at += 12 + length
    return out + data[at:]


def hostile(draw: random.Random) -> tuple[str, bytes]:
    """Return a file that was built to hang a reader, fill its memory, or be read as something else."""
    jpeg, progressive, png = seeds()["jpeg"], seeds()["jpeg progressive"], seeds()["png"]
    many = draw.choice((10, 1000, 100_000))
    name = draw.choice(HOSTILE)
    if name == "fill bytes":
        return name, jpeg[:2] + b"\xff" * many + draw.choice((b"", b"\0")) + jpeg[2:]
    if name == "fill bytes in a scan":
        at = progressive.rindex(b"\xff\xda") + 10
        return name, progressive[:at] + b"\xff" * many + b"\0" + progressive[at:]
    if name == "scans":
        scan = progressive[progressive.rindex(b"\xff\xda") : -2]
        return name, progressive[:-2] + scan * min(many, 2000) + progressive[-2:]
    if name == "segments":
        return name, jpeg[:2] + b"\xff\xfe\x00\x02" * many + jpeg[2:]
    if name == "jpeg size":
        at = max(jpeg.find(b"\xff\xc0"), 0)
        size = struct.pack(">HH", draw.choice((0, 1, 9000, 65535)), draw.choice((0, 1, 9000, 65535)))
        return name, jpeg[: at + 5] + size + jpeg[at + 9 :]
    if name == "png size":
        depth, colour = draw.choice(((8, 2), (16, 6), (1, 0), (8, 3), (16, 4)))
        side = draw.choice((0, 1, 5000, 9000, 30_000, 1 << 31))
        ihdr = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, draw.randrange(2))
        body = zlib.compress(bytes(min(side * 400, 30_000_000)), 1)
        return name, png[:8] + _chunk(b"IHDR", ihdr) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")
    if name == "png bomb":
        body = zlib.compress(bytes(50_000_000), 9)
        kind = draw.choice((b"IDAT", b"iCCP", b"zTXt"))
        text = b"a\0\0" + body if kind != b"IDAT" else body
        return name, png[:33] + _chunk(kind, text) + png[33:]
    if name == "png chunks":
        return name, png[:33] + _chunk(b"tEXt", b"") * many + png[33:]
    if name == "apng short":
        data = zlib.compress(draw.randbytes(draw.randrange(1, 5000)))
        head = png[:33] + _chunk(b"acTL", struct.pack(">II", many, 0))
        return name, head + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    if name == "tiff tags":
        entries = b"".join(struct.pack("<HHII", tag, draw.choice((2, 3, 4, 7)), many, 8) for tag in range(250, 700))
        return name, b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 450) + entries + bytes(1000)
    if name == "tiff fields":
        data = bytearray(seeds()[draw.choice([key for key in seeds() if key.startswith("tiff")])])
        order = "<" if data[:2] == b"II" else ">"
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        place = at + 2 + 12 * draw.randrange(max(count, 1))
        value = draw.choice((0, 1, 2, 3, 5, 7, 8, 255, 60_000, 1 << 24, (1 << 32) - 1))
        struct.pack_into(order + "I", data, place + draw.choice((4, 8)), value)
        return name, bytes(data)
    if name == "gif blocks":
        gif = seeds()["gif animated"]
        return name, gif[:-1] + b"\x21\xfe\x01a\x00" * many + gif[-1:]
    if name == "gif size":
        gif = bytearray(seeds()["gif"])
        gif[6:10] = struct.pack("<HH", draw.choice((0, 9000, 65535)), draw.choice((0, 9000, 65535)))
        return name, bytes(gif)
    if name == "pnm header":
        digits = b"9" * draw.choice((1, 4, 5, 10, 5000))
        return name, draw.choice((b"P2", b"P5", b"P6", b"P1")) + b"\n" + digits + b" " + digits + b"\n255\n" + bytes(
            many
        )
    if name == "pnm spaces":
        return name, b"P2" + b" " * many + b"#" + b"x" * many + b"\n2 2 255 1 2 3 4"
    if name == "bmp runs":
        head = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024)
        head += struct.pack("<IiiHHIIiiII", 40, 9000, 9000, 1, 8, 1, 0, 0, 0, 0, 0) + bytes(1024)
        return name, head + draw.choice((b"\xff\x01", b"\0\0", b"\0\2\x01\x01", b"\0\1")) * many
    if name == "webp chunks":
        webp = seeds()["webp rgba"]
        more = struct.pack("<4sI", b"XXXX", 0) * many
        return name, b"RIFF" + struct.pack("<I", len(webp) - 8 + len(more)) + webp[8:] + more
    if name == "lzw clears":
        return name, _lzw_tiff(b"\x80\x20" * many)
    start = draw.choice(
        (b"%PDF-1.7", b"<svg>", b"<html>", b"\0\0\0\x20ftypisom", b"\x1aE\xdf\xa3", b"{}", b"", b"\0" * many)
    )
    return "no photograph", start + draw.randbytes(draw.choice((0, 10, 1000)))


HOSTILE = (
    *("fill bytes", "fill bytes in a scan", "scans", "segments", "jpeg size", "png size", "png bomb", "png chunks"),
    *("apng short", "tiff tags", "tiff fields", "gif blocks", "gif size", "pnm header", "pnm spaces", "bmp runs"),
    *("webp chunks", "lzw clears", "no photograph"),
)


def _lzw_tiff(strip: bytes) -> bytes:
    """Return a TIFF of 1000 x 1000 grey pixels whose one LZW strip is given."""
    tags = {256: 1000, 257: 1000, 258: 8, 259: 5, 262: 1, 273: 8, 277: 1, 278: 1000, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory


def draw(random_: random.Random) -> tuple[str, bytes]:
    """Return a damaged file, or one in ten times a hostile one."""
    return hostile(random_) if random_.random() < 0.1 else damaged(random_)


def judge(data: bytes, image: Any) -> str:
    """Return what the usual decoders complain of in a file that was read as whole, or nothing.

    JPEG and PNG are asked of OpenCV, whose libjpeg and libpng print every complaint; the others of Pillow.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        return f"gave {image.dtype} {image.shape}"
    if data.startswith((b"\xff\xd8", b"\x89PNG")):
        pixels, said = _heard(data)
        # Told of what is no part of the pixels: a text or a profile that is wrong.
        said = "\n".join(line for line in said.splitlines() if not any(word in line for word in HARMLESS))
        return said or ("" if pixels is not None else "OpenCV cannot decode it")
    if data[4:12] == b"ftypheic":
        # Pillow does not know it, and no second decoder is at hand.
        return ""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as picture:
            warnings.simplefilter("ignore")
            picture.load()
    except UnidentifiedImageError:
        # Pillow does not know every layout of TIFF that OpenCV knows.
        pixels, said = _heard(data)
        return "" if pixels is not None else f"Pillow does not know it, and OpenCV cannot decode it: {said[:100]}"
    except Exception as error:
        return f"Pillow: {type(error).__name__}: {error}"
    return ""


HARMLESS = (
    "iCCP",
    "tEXt",
    "zTXt",
    "iTXt",
    "eXIf",
    "tIME",
    "pHYs",
    "gAMA",
    "cHRM",
    "sRGB",
    "bKGD",
    "sBIT",
    "sPLT",
    "hIST",
)
HARMLESS += ("oFFs", "pCAL", "sCAL", "acTL", "fcTL", "fdAT", "cICP", "mDCV", "cLLI")


def _heard(data: bytes) -> tuple[Any, str]:
    """Decode with OpenCV, and return what was printed on standard error meanwhile."""
    ear = os.memfd_create("said")
    saved = os.dup(2)
    os.dup2(ear, 2)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        return None, str(error)
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.lseek(ear, 0, os.SEEK_SET)
        said = os.read(ear, 10_000_000).decode(errors="replace")
        os.close(ear)
    return pixels, said


KIND = Kind(draw, read_image, judge)
