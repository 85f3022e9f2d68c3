"""Photographs: reading them safely, cropping faces out of them, and writing pictures."""

from __future__ import annotations

from .crop import Patch, crop, crop_patch, cut_patch, reduction
from .headers import Header, HeaderError, read_header
from .read import MAX_PIXELS, Image, Photo, read_image, read_photo
from .write import write_image

__all__ = [
    "MAX_PIXELS",
    "Header",
    "HeaderError",
    "Image",
    "Patch",
    "Photo",
    "crop",
    "crop_patch",
    "cut_patch",
    "read_header",
    "read_image",
    "read_photo",
    "reduction",
    "write_image",
]
