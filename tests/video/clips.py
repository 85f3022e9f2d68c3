"""Tiny videos for tests, made by PyAV; and a face that moves in a known way."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

__all__ = ["grey_frames", "level_of", "write_clip", "write_sound"]


def grey_frames(count: int, width: int = 64, height: int = 48) -> list[Image]:
    """Return frames whose grey level tells their number: 5 a frame."""
    return [np.full((height, width, 3), 20 + 5 * i, np.uint8) for i in range(count)]


def level_of(image: Image) -> int:
    """Return the number of a frame of :func:`grey_frames`."""
    return round((float(image.mean()) - 20) / 5)


def write_clip(
    path: Path,
    frames: Sequence[Image],
    *,
    times: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 90000),
    codec: str = "libx264",
    rotation: int = 0,
    aspect: Fraction | None = None,
    sound: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> list[int]:
    """Write a video and return the time of each frame in units of ``base``.

    Args:
        path: its ending chooses the container.
        frames: RGB.
        times: of the frames in units of ``base``; None = 30 frames a second.
        base: seconds.
        codec: of the pictures.
        rotation: degrees counter-clockwise by which players turn the frames.
        aspect: width of a pixel over its height; None = square.
        sound: a codec: a second of sound a second of pictures; None = silent.
        options: of the codec.
        container_options: of the container.
    """
    pts = list(times) if times is not None else [round(i / 30 / base) for i in range(len(frames))]
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream: Any = out.add_stream(codec, rate=30, options=options or {"bf": "0", "g": "10", "crf": "12"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        voice: Any = out.add_stream(sound, rate=48000, layout="mono") if sound else None
        for image, time in zip(frames, pts, strict=True):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = time, base
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        if voice is not None:
            write_sound(out, voice, float(pts[-1] * base))
    return pts


def write_sound(out: Any, stream: Any, seconds: float) -> None:
    """Mux a tone of 440 Hz."""
    context = stream.codec_context
    samples, size = round(48000 * seconds), 1024
    for start in range(0, samples, size):
        tone = np.sin(2 * np.pi * 440 * np.arange(start, start + size) / 48000).astype(np.float32)
        packed = "fltp" if context.format.name == "fltp" else "s16"
        data = tone if packed == "fltp" else (tone * 20000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(data[None], format=packed, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))
