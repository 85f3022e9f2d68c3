"""``--format pts``: ``STEM.pts``, ``STEM_1.pts``, … a face, and ``pts.json``; ``pts:FOLDER`` reads them back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...data.formats.folder import SIDECAR, sidecar_text
from ...data.formats.pts import pts_text
from ...files import write_atomic
from ...schemes.sets import Scheme
from .base import Origin, Result, Table, writers


class PointFiles:
    """Writes a ``.pts`` file for each face. ``pts.json`` says which photograph each belongs to, and what made it."""

    def reserved(self) -> tuple[str, ...]:
        """Return the name of the file that holds what ``.pts`` cannot say."""
        return (SIDECAR,)

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return one file a face."""
        names = [face_name(result.stem, face.id, stems) for face in result.faces]
        return {
            result.folder / f"{name}.pts": pts_text(face.xy).encode()
            for name, face in zip(names, result.faces, strict=True)
        }

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write ``pts.json``."""
        stems = frozenset(str(table["stem"]) for table in tables())
        faces: dict[str, dict[str, Any]] = {}
        for table in tables():
            size = [table["width"], table["height"]]
            for face in table["faces"]:
                name = face_name(table["stem"], face["id"], stems)
                faces[f"{name}.pts"] = {
                    "image": table["image"],
                    "size": size,
                    "scheme": face["scheme"],
                    "box": face["box"],
                    "tags": {"id": name, "photo": table["stem"], **origin.marks()},
                }
        _forget(folder, faces, stems)
        write_atomic(folder / SIDECAR, sidecar_text(faces))


def _forget(folder: Path, faces: Mapping[str, Any], stems: frozenset[str]) -> None:
    """Remove the ``.pts`` files of faces that an earlier run found in these photographs and this run did not.

    They stand in its ``pts.json``. Read back, they would be faces of this run.
    """
    try:
        before = json.loads((folder / SIDECAR).read_bytes())["faces"]
        tags = {name: facts["tags"] for name, facts in before.items()}
        own = [name for name, told in tags.items() if told["source"] == "auto" and told["photo"] in stems]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for name in own:
        if name not in faces and name.endswith(".pts") and Path(name).name == name:
            with contextlib.suppress(OSError):
                (folder / name).unlink()


def face_name(stem: str, number: int, stems: frozenset[str]) -> str:
    """Return the name of a face's file without its ending; the face of a photograph makes way for a photograph of that name."""
    name = stem if number == 0 else f"{stem}_{number}"
    return f"{stem}~face{number}" if number and name in stems else name


writers.register("pts")(PointFiles())
