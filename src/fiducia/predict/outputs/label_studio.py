"""``--format labelstudio``: ``labelstudio.json``, tasks with predictions for Label Studio; ``labelstudio:FILE`` reads it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...data.formats.label_studio import face_regions
from ...schemes.sets import Scheme
from ..streamed import write_parts
from .base import Origin, Result, Table, table_records, writers

NAME = "labelstudio.json"


class LabelStudioFile:
    """Writes one file: a task an image, whose prediction holds a rectangle and the key points of each face.

    ``model_version`` is the weights' name and the start of their hash; the whole hash stands in each face's tags.
    """

    def reserved(self) -> tuple[str, ...]:
        """Return the file's name."""
        return (NAME,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return nothing: no file belongs to one photograph."""
        return {}

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the file."""
        write_parts(folder / NAME, label_studio_parts(tables(), scheme, origin))


def label_studio_parts(tables: Iterator[Table], scheme: Scheme, origin: Origin) -> Iterator[str]:
    """Yield the file's text, a task at a time."""
    between = "[\n"
    for number, table in enumerate(tables, 1):
        yield between + json.dumps(_task(number, table, scheme, origin), allow_nan=False)
        between = ",\n"
    yield "\n]\n" if between != "[\n" else "[]\n"


def _task(number: int, table: Table, scheme: Scheme, origin: Origin) -> dict[str, Any]:
    size = (int(table["width"]), int(table["height"]))
    records = table_records(table, scheme, origin)
    regions = [r for i, record in enumerate(records) for r in face_regions(record, scheme.names, size, f"face{i}")]
    version = "@".join(part for part in (origin.weights, origin.sha256[:12]) if part)
    prediction: dict[str, Any] = {"model_version": version, "result": regions}
    if table["faces"]:
        prediction["score"] = min(face["score"] for face in table["faces"])
    return {"id": number, "data": {"image": table["image"], "scheme": scheme.name}, "predictions": [prediction]}


writers.register("labelstudio")(LabelStudioFile())
