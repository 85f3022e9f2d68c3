"""A directory of shards: ``index.json``, and for each shard ``faces-00000.tar`` with ``faces-00000.npz`` beside it.

The tar file is in WebDataset's layout: a sample is a photograph and a JSON file of the same key with its faces. The ``.npz`` has
the same labels as arrays, which a run reads without the photographs. The index has counts, sizes and SHA-256 of all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import FiduciaError, UsageError
from ...files import write_atomic
from ...schemes.sets import SchemeError, get_scheme
from ..blocks import Cover
from ..places import user_path
from ..values import as_list, as_table, read_json

__all__ = ["INDEX", "Index", "ShardEntry", "directories", "read_index", "sha256", "write_index"]

INDEX = "index.json"
FORMAT, VERSION = "fiducia shards", 1
_WHAT = "the index of shards that fiducia data pack writes"
_AGAIN = "copy the shards again, or pack them again"


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """A shard as the index has it.

    Attributes:
        tar, labels: names of its files.
        faces, photographs: how many it holds.
        tar_bytes, labels_bytes: sizes of the files.
        tar_sha256, labels_sha256: hashes of the files.
    """

    tar: str
    labels: str
    faces: int
    photographs: int
    tar_bytes: int
    labels_bytes: int
    tar_sha256: str
    labels_sha256: str


@dataclass(frozen=True, kw_only=True)
class Index:
    """What a directory of shards holds.

    Attributes:
        folder: the directory.
        scheme: name of the landmark set, or the path of its file in the directory.
        points: K.
        source, split: what was packed.
        splits: the splits that faces name; () = none does.
        cover: what stored crops show; None = whole photographs.
        shards: in order.
    """

    folder: Path
    scheme: str
    points: int
    source: str
    split: str
    splits: tuple[str, ...]
    cover: Cover | None
    shards: tuple[ShardEntry, ...]

    @property
    def faces(self) -> int:
        """Number of faces in all shards."""
        return sum(shard.faces for shard in self.shards)


def directories(root: str) -> list[Path]:
    """Return the directories that a path or a glob pattern names, in order.

    Raises:
        UsageError: no path is given, or none that a path can be.
        FiduciaError: there is none.
    """
    if not root.strip():
        raise UsageError("shards: gives no path; expected shards:DIR, or a pattern such as shards:/data/part-*")
    path = user_path(root)
    if path.is_dir():
        return [path]
    if path.exists():
        raise FiduciaError(f"{path}: is a file; expected the directory of shards, with its {INDEX}")
    start = Path(path.anchor or ".")
    found = sorted(one for one in start.glob(str(path.relative_to(path.anchor))) if one.is_dir())
    if not found:
        raise FiduciaError(f"{path}: no such directory; expected one that fiducia data pack wrote")
    return found


def read_index(folder: Path) -> Index:
    """Read an index, and compare it with the files that lie there: names and sizes, without opening them.

    Raises:
        FiduciaError: no index, one that cannot be read or does not add up, a shard that is missing, of another size, or not
            in the index.
    """
    path = folder / INDEX
    if not path.is_file():
        there = "its packing did not finish; pack it again" if any(folder.glob("faces-*.tar")) else "it holds no shards"
        raise FiduciaError(f"{folder}: has no {INDEX}: {there}; expected a directory that fiducia data pack wrote")
    table = as_table(read_json(path, _WHAT), f"{path}: the top level")
    if table.get("format") != FORMAT or table.get("version") != VERSION:
        found = f"format {table.get('format')!r}, version {table.get('version')!r}"
        raise FiduciaError(f"{path}: {found}; expected {FORMAT!r}, version {VERSION}; pack the faces again")
    try:
        shards = tuple(ShardEntry(**_checked(entry)) for entry in as_list(table["shards"], f"{path}: shards"))
        cover = (
            None if table["crop"] is None else Cover(float(table["crop"]["scale"]), str(table["crop"]["box_source"]))
        )
        index = Index(
            folder=folder,
            scheme=_scheme_here(folder, str(table["scheme"])),
            points=int(table["points"]),
            source=str(table["source"]),
            split=str(table["split"]),
            splits=tuple(map(str, table["splits"])),
            cover=cover,
            shards=shards,
        )
        total = int(table["faces"])
    except (KeyError, TypeError, ValueError) as error:
        raise FiduciaError(f"{path}: is not {_WHAT} ({error}); pack the faces again") from None
    if total != index.faces:
        raise FiduciaError(f"{path}: says {total:,} faces, but its shards have {index.faces:,}; pack the faces again")
    try:
        points = get_scheme(index.scheme).num_points
    except SchemeError as error:
        raise FiduciaError(f"{path}: {error}") from None
    if points != index.points:
        raise FiduciaError(f"{path}: says {index.points} points, but {index.scheme} has {points}; pack the faces again")
    _compare(index)
    return index


def _checked(entry: Any) -> Mapping[str, Any]:
    """Return an entry whose values have the types of :class:`ShardEntry`."""
    for name, kind in ShardEntry.__annotations__.items():
        if type(entry[name]).__name__ != kind:
            raise ValueError(f"{name} = {entry[name]!r}; expected {kind}")
    return {name: entry[name] for name in ShardEntry.__annotations__}


def _compare(index: Index) -> None:
    """Refuse files that the index contradicts."""
    listed = {shard.tar for shard in index.shards} | {shard.labels for shard in index.shards}
    for shard in index.shards:
        for name, size in ((shard.tar, shard.tar_bytes), (shard.labels, shard.labels_bytes)):
            path = index.folder / name
            if not path.is_file():
                raise FiduciaError(f"{path}: is missing; {INDEX} lists it; {_AGAIN}")
            there = path.stat().st_size
            if there != size:
                how = "it was cut short" if there < size else "it has grown"
                raise FiduciaError(f"{path}: has {there:,} bytes, but {INDEX} says {size:,}; {how}; {_AGAIN}")
    for path in sorted([*index.folder.glob("faces-*.tar"), *index.folder.glob("faces-*.npz")]):
        if path.name not in listed:
            raise FiduciaError(f"{path}: is not in {INDEX}; take it out of the directory, or pack the faces again")


def _scheme_here(folder: Path, name: str) -> str:
    return str(folder / name) if name.endswith(".toml") else name


def write_index(index: Index, made_by: str) -> None:
    """Write the index, last of all files: a directory without it was not finished."""
    scheme = Path(index.scheme).name if index.scheme.endswith(".toml") else index.scheme
    table = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": made_by,
        "source": index.source,
        "split": index.split,
        "splits": list(index.splits),
        "scheme": scheme,
        "points": index.points,
        "crop": None if index.cover is None else asdict(index.cover),
        "faces": index.faces,
        "photographs": sum(shard.photographs for shard in index.shards),
        "shards": [asdict(shard) for shard in index.shards],
    }
    write_atomic(index.folder / INDEX, (json.dumps(table, indent=1) + "\n").encode())


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        FiduciaError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FiduciaError(f"{path}: cannot be read ({error.strerror or error}); {_AGAIN}") from None
