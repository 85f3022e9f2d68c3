"""A video file, frame by frame, through PyAV: rotation, exact times, damaged frames left out."""

from __future__ import annotations

import contextlib
import importlib.util
import stat
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError, UsageError
from ..images import MAX_PIXELS
from ..images.headers import is_image
from ..images.sniff import kind_of_file
from .frames import Frame

__all__ = ["VideoFile", "require_av"]

_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,h264,hevc,m4v,mjpeg,nut,ivf,dv,mxf"
)
"""Formats that hold their frames themselves. Play lists, which name other files and addresses, are not opened."""
_UNTAGGED = 2
"""Number of "unspecified" among the colour matrices (ITU-T H.273)."""
_TOLERANCE = 0.5
"""Seconds that a video may end before the length that its header gives."""


def require_av() -> Any:
    """Return PyAV.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("av") is None:
        raise UsageError("reading a video needs PyAV: pip install 'fiducia[video]'")
    import av
    import av.error

    return av


class VideoFile:
    """Yields the frames of a video file in the order in which they are shown.

    * The rotation that the file asks for is applied, so frames are upright.
    * Times are the file's own; the rate of frames may vary.
    * A frame that is damaged is left out and counted in ``skipped``.
    * One frame is in memory at a time, beside the few that the decoder keeps.

    Args:
        path: the file.
        max_pixels: a video of larger frames is refused.

    Raises:
        FiduciaError: missing, no video, cut so that it cannot be read, of an unknown codec, or too large.
        UsageError: PyAV is not installed.
    """

    def __init__(self, path: str, *, max_pixels: int = MAX_PIXELS) -> None:
        self._av = require_av()
        self.name = path
        self.max_pixels = max_pixels
        self.skipped = 0
        self.trouble = ""
        self.packets: list[Any] = []
        self._keep_sound = False
        self._reached = 0.0
        self._file = _open_plain(path)
        try:
            self._container = self._open()
            self._stream = self._find_stream()
        except BaseException:
            self.close()
            raise
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 30)

    @property
    def sound(self) -> Sequence[Any]:
        """Streams of sound; from when they are asked for, their packets are kept in :attr:`packets`."""
        self._keep_sound = True
        return tuple(self._container.streams.audio)

    def _open(self) -> Any:
        head = self._file.read(4096)
        self._file.seek(0)
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        if not head:
            raise FiduciaError(f"{self.name}: is empty (0 bytes); download or export it again")
        try:
            return self._av.open(self._file, metadata_errors="replace", options=options)
        except self._av.error.FFmpegError as error:
            kind = "an image" if is_image(head) else kind_of_file(head)
            if "video" in kind:
                text = f"is {kind} that cannot be read: damaged, or cut short before its index; export it again"
            else:
                text = f"is {kind}; expected a video such as MP4, MKV, MOV or AVI ({error.strerror or error})"
            raise FiduciaError(f"{self.name}: {text}") from None

    def _find_stream(self) -> Any:
        streams = self._container.streams.video
        if not streams:
            raise FiduciaError(f"{self.name}: holds no pictures, only sound or other data; expected a video")
        stream = streams[0]
        context = stream.codec_context
        if context is None or context.codec is None:
            raise FiduciaError(f"{self.name}: its codec is not known; convert it to H.264, such as with ffmpeg")
        self._check_size(context.width, context.height)
        stream.thread_type = "AUTO"
        return stream

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self.max_pixels:
            raise FiduciaError(
                f"{self.name}: frames of {width} x {height} pixels; expected at most {self.max_pixels / 1e6:g} million; "
                "shrink it, or raise max_pixels"
            )

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; afterwards :attr:`trouble` says whether the file ended too early."""
        stream = self._stream
        wanted = [stream, *self._container.streams.audio]
        index, pts, read, failure = 0, None, 0, ""
        step = max(1, round(1 / (self.rate * stream.time_base)))
        try:
            for packet in self._container.demux(wanted):
                if packet.pts is not None:
                    self._reached = max(self._reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream is not stream:
                    if packet.dts is not None and self._keep_sound:
                        self.packets.append(packet)
                    continue
                read += bool(packet.size)
                for picture in self._decode(packet):
                    self._check_size(picture.width, picture.height)
                    # A file without times, or with one that goes back, still gives times that grow.
                    after = 0 if pts is None else pts + step
                    pts = after if picture.pts is None else picture.pts if pts is None else max(picture.pts, pts + 1)
                    time, turns = float(pts * stream.time_base), round(picture.rotation / 90) % 4
                    aspect = Fraction(stream.sample_aspect_ratio or 1)
                    aspect = 1 / aspect if turns % 2 else aspect
                    yield Frame(index, time, _upright(picture, turns), pts, stream.time_base, aspect=aspect)
                    index += 1
        except self._av.error.FFmpegError as error:
            failure = str(error.strerror or error)
        self._end(index, read, None if pts is None else float((pts + step) * stream.time_base), failure)

    def _decode(self, packet: Any) -> Iterator[Any]:
        """Yield the whole frames of a packet and count the others."""
        try:
            pictures = packet.decode()
        except self._av.error.FFmpegError:
            self.skipped += 1
            return
        for picture in pictures:
            if picture.is_corrupt:
                self.skipped += 1
            else:
                yield picture

    def _end(self, frames: int, read: int, end: float | None, failure: str) -> None:
        """Say whether the file ended where its header says."""
        if end is None:
            why = f"; {self.skipped} frames are damaged" if self.skipped else ""
            raise FiduciaError(f"{self.name}: holds no frame that can be decoded{why}; export it again")
        stream = self._stream
        length = (
            float((stream.start_time or 0) + stream.duration) * float(stream.time_base) if stream.duration else None
        )
        if length is None and self._container.duration and self._only_shown():
            # The length of the file, which pictures or sound reach.
            length, end = ((self._container.start_time or 0) + self._container.duration) / 1e6, max(end, self._reached)
        cut = length is not None and end < 0.98 * length - _TOLERANCE
        if stream.frames and read < stream.frames:
            self.trouble = f"{self.name}: ends after {read} of {stream.frames} frames; it is cut short"
        elif cut or failure:
            of = f" of {length:.1f}" if length else ""
            self.trouble = f"{self.name}: ends after {end:.1f}{of} seconds; it is cut short or damaged"

    def _only_shown(self) -> bool:
        """Whether the file holds pictures and sound alone; subtitles may last longer than both."""
        return {stream.type for stream in self._container.streams} <= {"video", "audio"}

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(AttributeError):
            self._container.close()
        self._file.close()


def _open_plain(path: str) -> BinaryIO:
    """Open a plain file.

    Raises:
        FiduciaError: there is none.
    """
    try:
        mode = Path(path).stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise FiduciaError(f"{path}: is {what}; expected a video; name a plain file")
        return Path(path).open("rb")
    except FileNotFoundError:
        reason = "no such file"
    except (OSError, ValueError) as error:
        reason = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
    raise FiduciaError(f"{path}: {reason}; expected a video; check the path and its permissions")


def _upright(picture: Any, turns: int) -> npt.NDArray[np.uint8]:
    """Return a decoded frame as RGB, turned counter-clockwise by quarters as the file says."""
    # High definition without a tag is BT.709, as players take it; FFmpeg would take BT.601.
    untagged_hd = picture.colorspace == _UNTAGGED and picture.height >= 720 and not picture.format.is_rgb
    colours = "ITU709" if untagged_hd else None
    image = picture.reformat(format="rgb24", src_colorspace=colours).to_ndarray()
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
