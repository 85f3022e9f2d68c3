"""Files → records → samples. Each data set is one file in ``readers`` or ``formats``; the registry finds it by itself."""

from __future__ import annotations

from .source import Faces, datasets, find_dataset, label_writers, load_records
from .usable import usable

__all__ = ["Faces", "datasets", "find_dataset", "label_writers", "load_records", "usable"]
