"""Files → records → samples. Importing the package files every data set in :data:`fiducia.data.source.datasets`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

__all__: list[str] = []

# A new data set is its own file, and its name here.
READERS = (
    "w300",
    "w300_private",
    "wflw",
    "cofw",
    "aflw",
    "merl",
    "aflw2000",
    "lapa",
    "hrnet_csv",
    "coco",
    "csv_table",
    "folder",
    "cvat",
    "synthetic",
)

for _name in READERS:
    if find_spec(f"{__name__}.{_name}") is not None:
        import_module(f"{__name__}.{_name}")
