"""The image that a face was found in: its name and size, and a way to its pixels that keeps none of them in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import FiduciaError
from ..images import MAX_PIXELS, Image, Photo, read_photo

__all__ = ["PhotoRef"]


class PhotoRef:
    """An image by name and size.

    It holds no pixels: thousands of faces may be kept without their images. :meth:`read` gives the array that the face was
    found in while that is in use elsewhere, and else makes it anew: from the caller's array or PIL image while that is in use,
    or from the file. An array or a PIL image is never looked for on disk, whatever its name: the file may hold other pixels.

    Args:
        name: a path, or what the image is called in results.
        width: of the image in pixels, as it is shown (EXIF orientation applied).
        height: of the image in pixels.
        image: the array itself, which is not kept alive.
        remarks: what a user should know of the image, a line each, such as that it is the first frame of an animation.
        is_file: ``name`` is the path of a file that holds these pixels.
        again: makes the array anew, or gives None where that cannot be done; see :class:`fiducia.images.Photo`.

    Example:
        >>> PhotoRef("photo.jpg", 640, 480)
        PhotoRef('photo.jpg', 640, 480)
    """

    def __init__(
        self,
        name: str,
        width: int,
        height: int,
        image: Image | None = None,
        remarks: tuple[str, ...] = (),
        is_file: bool = True,
        again: Callable[[], Image | None] | None = None,
    ) -> None:
        self.name = name
        self.width = width
        self.height = height
        self.remarks = remarks
        self.is_file = is_file
        self._again = again
        self._image = weakref.ref(image) if image is not None else None

    @classmethod
    def of(cls, photo: Photo) -> PhotoRef:
        """Return the reference to an image that was read."""
        height, width = photo.image.shape[:2]
        return cls(photo.name, width, height, photo.image, photo.remarks, photo.is_file, photo.again)

    def read(self) -> Image:
        """Return the image, uint8 ``(H, W, 3)`` RGB.

        Raises:
            FiduciaError: it was an array or bytes that are gone, or the file has changed.
        """
        image = self._image() if self._image is not None else None
        if image is None and self._again is not None:
            image = self._again()
        if image is not None:
            return image
        if not self.is_file or not Path(self.name).is_file():
            raise FiduciaError(f"{self.name}: the image is not in memory any more and is no file; pass it: image=...")
        again = read_photo(self.name, max_pixels=max(MAX_PIXELS, 2 * self.width * self.height)).image
        if again.shape[:2] != (self.height, self.width):
            found = f"{again.shape[1]} x {again.shape[0]}"
            raise FiduciaError(f"{self.name}: was {self.width} x {self.height}, now {found}; detect again")
        return again

    def __repr__(self) -> str:
        return f"PhotoRef({self.name!r}, {self.width}, {self.height})"

    def __reduce__(self) -> tuple[Any, ...]:
        # In another process the array is another one: there the file is read.
        return PhotoRef, (self.name, self.width, self.height, None, self.remarks, self.is_file)
