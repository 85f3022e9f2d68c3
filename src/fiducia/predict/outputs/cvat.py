"""``--format cvat``: ``cvat.xml``, pre-annotations of all images for CVAT; ``cvat:FILE`` reads it back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

from ...data.formats.cvat import write_face, xml_name
from ...schemes.sets import Scheme
from ..streamed import write_parts
from .base import Origin, Result, Table, table_records, writers

NAME = "cvat.xml"


class CvatFile:
    """Writes one file, "CVAT for images 1.1": a skeleton and a box a face, marked by ``source="auto"`` and the weights' hash."""

    def reserved(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (NAME,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the file."""
        write_parts(folder / NAME, cvat_parts(folder / NAME, tables(), scheme, origin))


def cvat_parts(path: Path, tables: Iterator[Table], scheme: Scheme, origin: Origin) -> Iterator[str]:
    """Yield the file's text, an image at a time."""
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    face = 0
    for number, table in enumerate(tables):
        name = xml_name(path, str(table["image"]))
        size = {"width": str(table["width"]), "height": str(table["height"])}
        image = ET.Element("image", {"id": str(number), "name": name, **size})
        for record in table_records(table, scheme, origin):
            face += 1
            write_face(image, record, scheme.names, scheme.name, face)
        ET.indent(image, " ")
        yield ET.tostring(image, encoding="unicode") + "\n"
    yield "</annotations>\n"


writers.register("cvat")(CvatFile())
