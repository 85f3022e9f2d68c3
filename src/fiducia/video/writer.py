"""Frames into an MP4 file, with their own times and the sound of the source."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import FiduciaError
from .part import PartFile
from .reader import require_av

__all__ = ["VideoWriter"]

_CODECS = {"libx264": {"preset": "veryfast", "crf": "20", "bf": "0"}, "mpeg4": {"qscale": "3"}}
"""Encoders, the first that this build of PyAV has is used, with their options."""
_BT709 = 1
"""Number of ITU-R BT.709 in the standard's tables of colour (ITU-T H.273)."""
_SOUND = {"aac", "mp3", "mp2", "ac3", "eac3", "opus", "alac", "flac"}
"""Codecs of sound that an MP4 file takes as they are."""


class VideoWriter:
    """Writes H.264 in MP4, in pieces of about a second, so that even the file of a killed process plays up to its end.

    A file that is closed in the ordinary way is an ordinary MP4. Until then its name is ``STEM.part.mp4``.

    Args:
        path: the file.
        width: of the frames in pixels; an odd one grows by a pixel, which repeats the last column.
        height: likewise, with the last row.
        rate: frames per second, about.
        time_base: the unit of the frames' times, in seconds.
        aspect: width of a pixel over its height as players show it.
        sound: streams of the source to copy; those that MP4 cannot hold are named in :attr:`left_out`.

    Raises:
        FiduciaError: it cannot be written.
        UsageError: PyAV is not installed.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        rate: Fraction,
        time_base: Fraction,
        sound: Sequence[Any] = (),
        aspect: Fraction = Fraction(1),
    ) -> None:
        av = require_av()
        self._av = av
        self._size = (width, height)
        self._base = time_base
        self._last = -1
        codec = next((name for name in _CODECS if name in av.codecs_available), None)
        if codec is None:
            raise FiduciaError(
                f"{path}: this build of PyAV writes neither H.264 nor MPEG-4; leave the video out of --format"
            )
        self._part = PartFile(path)
        try:
            options = {"movflags": "hybrid_fragmented+frag_keyframe+delay_moov"}
            self._container = av.open(self._part.file, "w", format="mp4", options=options)
            stream = self._container.add_stream(codec, rate=rate, options=_CODECS[codec])
            stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
            # Tagged, so that every player shows the same colours.
            for name in ("colorspace", "color_primaries", "color_trc"):
                setattr(stream.codec_context, name, _BT709)
            if aspect != 1:
                stream.codec_context.sample_aspect_ratio = aspect
            stream.codec_context.gop_size = max(1, round(rate))
            stream.time_base = stream.codec_context.time_base = time_base
            self._stream = stream
            kept = [one for one in sound if one.codec_context is not None and one.codec_context.name in _SOUND]
            self.left_out = [getattr(one.codec_context, "name", "unknown") for one in sound if one not in kept]
            self._sound = {one.index: self._container.add_stream_from_template(one) for one in kept}
        except BaseException:
            self._part.drop()
            raise

    def write(self, image: npt.NDArray[np.uint8], pts: int, packets: Sequence[Any] = ()) -> None:
        """Write a frame, and the sound that came before it.

        Args:
            image: uint8 ``(H, W, 3)`` RGB; one of another size is fitted in.
            pts: its time in units of ``time_base``; later than the frame before.
            packets: sound of the source.

        Raises:
            FiduciaError: the disk is full, or the encoder fails.
        """
        frame = self._av.VideoFrame.from_ndarray(self._fitted(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = pts, self._base
        with self._one_line():
            self._copy(packets)
            self._container.mux(self._stream.encode(frame))
            self._part.file.flush()

    def close(self, keep: bool = True, packets: Sequence[Any] = ()) -> Path | None:
        """Finish the file, or remove it.

        Args:
            keep: whether to finish it.
            packets: sound of the source that came after the last frame.

        Raises:
            FiduciaError: the disk is full; the file is removed.
        """
        if not keep:
            self._abandon()
            return None
        with self._one_line():
            self._copy(packets)
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._part.keep()

    def _copy(self, packets: Sequence[Any]) -> None:
        for packet in packets:
            if packet.stream.index in self._sound:
                packet.stream = self._sound[packet.stream.index]
                self._container.mux(packet)

    def _fitted(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        width, height = self._size
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        if width % 2 or height % 2:
            grown = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
            image = np.asarray(grown, np.uint8)
        return np.ascontiguousarray(image)

    @contextlib.contextmanager
    def _one_line(self) -> Any:
        """Turn an error of writing into one line and leave no file."""
        try:
            yield
        except OSError as error:  # the disk's, and most of PyAV's own
            self._abandon()
            raise self._part.error(error) from None
        except self._av.error.FFmpegError as error:
            self._abandon()
            raise FiduciaError(
                f"{self._part.path}: cannot be written ({error.strerror}); choose another place"
            ) from None
        except ValueError as error:
            self._abandon()
            raise FiduciaError(
                f"{self._part.path}: cannot be encoded ({error}); leave the video out of --format"
            ) from None

    def _abandon(self) -> None:
        with contextlib.suppress(OSError, ValueError, self._av.error.FFmpegError):
            self._container.close()
        self._part.drop()
