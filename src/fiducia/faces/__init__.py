"""What a detected face is, what can be asked of it, and how it leaves for other programs."""

from __future__ import annotations

from .face import Face
from .many import Faces
from .photo import PhotoRef
from .plain import Origin

__all__ = ["Face", "Faces", "Origin", "PhotoRef"]
