"""What every output format gets and gives: the results of one photograph, and a writer of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ...draw.faces import Style
from ...errors import FiduciaError, UsageError
from ...faces.face import Face
from ...faces.plain import Origin, face_table
from ...registry import Registry
from ...schemes.sets import Scheme
from ...structures import Record

__all__ = [
    "LineWriter",
    "Origin",
    "Result",
    "Table",
    "Writer",
    "check_formats",
    "check_holds_photographs",
    "face_table",
    "in_folder",
    "json_bytes",
    "result_table",
    "table_records",
    "writers",
]

Table = Mapping[str, Any]
"""The results of one photograph as plain values, as :func:`result_table` gives them."""


@dataclass(frozen=True, eq=False)
class Result:
    """The faces of one photograph.

    Attributes:
        source: what the user called the photograph.
        stem: its results' file name without ending; no two photographs of a run share it.
        image: uint8 ``(H, W, 3)`` RGB.
        faces: best first.
        folder: where results are written.
        origin: what made the points.
        measures: add each face's measures to its plain values.
        style: how faces are drawn.
    """

    source: str
    stem: str
    image: npt.NDArray[np.uint8]
    folder: Path
    faces: Sequence[Face] = ()
    origin: Origin = field(default_factory=Origin)
    measures: bool = False
    style: Style = field(default_factory=Style)


class Writer(Protocol):
    """One output format. Any part may do nothing."""

    def reserved(self) -> Sequence[str]:
        """Return the names of files in the folder that hold the results of all photographs."""
        ...

    def files(self, result: Result, stems: frozenset[str]) -> dict[Path, bytes]:
        """Return the files of one photograph, with their content; nothing is written yet.

        Args:
            result: the photograph.
            stems: those of all photographs of the run.
        """
        ...

    def close(self, folder: Path, scheme: Scheme, origin: Origin, tables: Callable[[], Iterator[Table]]) -> None:
        """Write the files that hold the results of all photographs.

        Args:
            folder: where results are written.
            scheme: the landmark set of every face.
            origin: what made the points.
            tables: gives the results of each photograph in their order, as often as it is called; they come from disk,
                so that the memory does not grow with their number.
        """
        ...


@runtime_checkable
class LineWriter(Protocol):
    """A writer whose file grows by one line a photograph, as soon as its results are there.

    Attributes:
        stream: the file's name in the folder of results; it stands in ``reserved()`` too.
    """

    stream: str

    def line(self, table: Table) -> bytes:
        """Return a photograph's line, with its end; ``table`` may hold more keys than :func:`result_table` gives."""
        ...


@runtime_checkable
class VideosOnly(Protocol):
    """A writer that writes nothing for photographs."""

    videos_only: bool


writers: Registry[Writer] = Registry("output format", "fiducia.predict.outputs")
"""Output formats by name; ``fiducia detect --format``."""


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats, empty words left out and each once.

    Raises:
        UsageError: an unknown format, or none.
    """
    wanted = tuple(dict.fromkeys(f for f in formats if f))
    for name in wanted:
        writers.get(name, f"--format {name}: ")
    if not wanted:
        raise UsageError(f"--format is empty; expected any of {','.join(writers)}")
    return wanted


def check_holds_photographs(chosen: Sequence[Writer], source: str) -> None:
    """Refuse a photograph for which nothing would be written.

    Raises:
        FiduciaError: all of the formats are for videos.
    """
    if all(isinstance(writer, VideosOnly) for writer in chosen):
        raise FiduciaError(
            f"{source}: a photograph, which none of the formats asked for holds; add png, json or csv to --format"
        )


def result_table(result: Result) -> dict[str, Any]:
    """Return the faces of a photograph as plain values: image, width, height, faces, and the marks of its origin.

    ``runtime`` stands there where it is known.
    """
    height, width = result.image.shape[:2]
    faces = [
        {**face_table(face), **({"measures": face.measures()} if result.measures else {})} for face in result.faces
    ]
    name = in_folder(result.source, result.folder)
    return {"image": name, "width": width, "height": height, "faces": faces, **result.origin.facts()}


def table_records(table: Table, scheme: Scheme, origin: Origin) -> list[Record]:
    """Return the faces of a photograph as annotated faces, for the formats of annotation tools."""
    return [
        Record(
            image=Path(str(table["image"])),
            xy=np.array(face["points"], dtype=np.float64),
            visible=np.full(scheme.num_points, 2, np.int8),
            scheme=scheme.name,
            box=np.array(face["box"], dtype=np.float64),
            tags={"id": face["id"], **origin.marks()},
        )
        for face in table["faces"]
    ]


def in_folder(source: str, folder: Path) -> str:
    """Return a photograph's path as results in ``folder`` name it, so that they are read from any working directory.

    An absolute path stays as it is; a relative one is made relative to ``folder``, with forward slashes. Where ``folder`` is a
    link, it is so to what the link leads to: ``..`` is taken from there.
    """
    if Path(source).is_absolute():
        return source
    try:
        return Path(os.path.relpath(Path(source).absolute(), os.path.realpath(folder))).as_posix()
    except ValueError:
        # Another drive on Windows: there is no relative path.
        return Path(source).absolute().as_posix()


def json_bytes(value: Any) -> bytes:
    """Return a value as one line of JSON."""
    return (json.dumps(value, allow_nan=False) + "\n").encode()
