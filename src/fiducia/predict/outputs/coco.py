"""``--format coco``: ``coco.json``, COCO keypoints of all photographs; ``coco:FILE`` reads it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from ..._version import __version__
from ...faces.plain import coco_annotation, coco_category
from ...schemes.sets import Scheme
from ..streamed import write_parts
from .base import Origin, Result, Table, writers

NAME = "coco.json"


class CocoFile:
    """Writes one file: 0-based pixels, v = 2, ``confidence``, ``score``, ``quality`` and ``source`` beside the keypoints."""

    def reserved(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (NAME,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the file."""
        write_parts(folder / NAME, coco_parts(tables, scheme, origin))


def coco_parts(tables: Callable[[], Iterator[Table]], scheme: Scheme, origin: Origin) -> Iterator[str]:
    """Yield the file's text, an image or a face at a time."""
    info = {"description": "faces found by fiducia", "version": __version__, **origin.marks()}
    yield f'{{"info": {json.dumps(info)}, "images": ['
    between = "\n"
    for number, table in enumerate(tables(), 1):
        entry = {"id": number, "file_name": table["image"], "width": table["width"], "height": table["height"]}
        yield between + json.dumps(entry)
        between = ",\n"
    yield '\n], "annotations": ['
    between, face = "\n", 0
    for number, table in enumerate(tables(), 1):
        for row in table["faces"]:
            face += 1
            yield between + json.dumps(coco_annotation(row, face, number), allow_nan=False)
            between = ",\n"
    yield f'\n], "categories": {json.dumps([coco_category(scheme)])}}}\n'


writers.register("coco")(CocoFile())
