"""Faces of any data set → a directory of shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..._version import __version__
from ...errors import FiduciaError, PlaceLost, UsageError
from ...files import open_output, read_bytes, write_atomic
from ...images import HeaderError, read_header, read_image
from ...images.formats.base import Header
from ...schemes.sets import get_scheme
from ...structures import Record
from ...tars import TarWriter
from ..blocks import LARGEST, Cover
from ..formats.own import one_scheme
from ..holding import photo_of
from ..sizes import photo_size
from .crops import cut_face, encode
from .labels import face_json, labels_bytes
from .layout import Index, ShardEntry, write_index
from .place import packing, require_empty

__all__ = ["Packed", "pack"]

_SUFFIXES = {"JPEG": ".jpg"}
_MOST = 1_000_000


@dataclass(frozen=True)
class Packed:
    """What was packed.

    Attributes:
        index: of the directory.
        failures: a line for each photograph or face that could not be packed.
    """

    index: Index
    failures: list[str]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A picture to store, with its faces in its pixels.

    Attributes:
        suffix, data: the file.
        size: width and height, upright.
        faces: at least one.
    """

    suffix: str
    data: bytes
    size: tuple[int, int]
    faces: list[Record]


def pack(
    records: Sequence[Record],
    out: str | Path,
    *,
    source: str,
    split: str,
    shard_bytes: int = 256 << 20,
    crop: float | None = None,
    box_source: Literal["landmarks", "dataset"] = "landmarks",
    quality: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write faces into shards, in their order.

    Args:
        records: faces of one landmark set. Faces of one photograph that follow each other share its bytes.
        out: a directory that is new or empty, or that a packing left unfinished: this one starts anew there.
        source: the data set's name, kept in the index and as the tag ``collection`` of faces that have none.
        split: the split, kept in the index.
        shard_bytes: a shard is closed once its photographs have so many bytes.
        crop: None = the photographs' files as they are; else only a crop of so many sides of the face's box.
        box_source: the box of the crops.
        quality: of JPEG crops; None = PNG, without loss.
        on_progress: called with faces done and faces in all.

    Raises:
        UsageError: the directory is not empty, or an option is out of range.
        FiduciaError: no face, several landmark sets, no face that can be packed, the directory cannot be written, or
            another process packs into it.
    """
    out = Path(out)
    _check(shard_bytes, crop, quality)
    require_empty(out)
    name = one_scheme(out, records, "directory of shards")
    own = Path(name).name if name.endswith(".toml") else ""
    with packing(out, own):
        return _pack(records, out, name, source, split, shard_bytes, crop, box_source, quality, on_progress)


def _pack(
    records: Sequence[Record],
    out: Path,
    name: str,
    source: str,
    split: str,
    shard_bytes: int,
    crop: float | None,
    box_source: str,
    quality: int | None,
    on_progress: Callable[[int, int], None] | None,
) -> Packed:
    """Write the shards of faces of the landmark set ``name`` into a directory that is theirs."""
    stored_name = _keep_scheme(name, out)
    failures: list[str] = []
    shards: list[ShardEntry] = []
    splits: set[str] = set()
    pictures = _pictures(records, source, crop, box_source, quality, failures, on_progress)
    waiting = next(pictures, None)
    while waiting is not None:
        tar = out / f"faces-{len(shards):05d}.tar"
        faces: list[Record] = []
        members: list[str] = []
        sizes: list[tuple[int, int]] = []
        count = 0
        with open_output(tar) as file:
            writer = TarWriter(file)
            while waiting is not None and (not faces or writer.size + len(waiting.data) <= shard_bytes):
                told = {"scheme": stored_name, "faces": [face_json(face) for face in waiting.faces]}
                text = json.dumps(told, default=str).encode()
                member = writer.add([(waiting.suffix, waiting.data), (".json", text)])
                faces += waiting.faces
                members += [member] * len(waiting.faces)
                sizes += [waiting.size] * len(waiting.faces)
                count += 1
                waiting = next(pictures, None)
            digest = writer.close()
        splits |= {str(face.tags["split"]) for face in faces if face.tags.get("split") is not None}
        shards.append(
            _entry(tar, writer.size, digest, labels_bytes(faces, members, sizes, stored_name), len(faces), count)
        )
    if not shards:
        raise FiduciaError(f"{out}: no face could be packed: {failures[0]}")
    index = Index(
        folder=out,
        scheme=str(out / stored_name) if stored_name.endswith(".toml") else stored_name,
        points=get_scheme(name).num_points,
        source=source,
        split=split,
        splits=tuple(sorted(splits)),
        cover=None if crop is None else Cover(crop, box_source),
        shards=tuple(shards),
    )
    write_index(index, f"fiducia {__version__}")
    return Packed(index, failures)


def _check(shard_bytes: int, crop: float | None, quality: int | None) -> None:
    if shard_bytes < 1:
        raise UsageError(f"a shard has 1 byte or more; found {shard_bytes}")
    if crop is not None and not 1.0 <= crop <= 100.0:
        raise UsageError(f"a crop is 1 to 100 times as wide as the face's box; found {crop:g}")
    if quality is not None and (crop is None or not 1 <= quality <= 100):
        what = "the quality is that of stored crops; give --crop too" if crop is None else "a quality is 1 to 100"
        raise UsageError(f"{what}; found {quality}")


def _keep_scheme(name: str, out: Path) -> str:
    """Copy a scheme file of one's own into the directory, and return the name by which the shards know the landmark set."""
    if not name.endswith(".toml"):
        return name
    path = Path(name).expanduser()
    write_atomic(out / path.name, read_bytes(path, 1 << 20, "a scheme file"))
    return path.name


def _entry(tar: Path, size: int, digest: str, labels: bytes, faces: int, photographs: int) -> ShardEntry:
    beside = tar.with_suffix(".npz")
    write_atomic(beside, labels)
    return ShardEntry(
        tar=tar.name,
        labels=beside.name,
        faces=faces,
        photographs=photographs,
        tar_bytes=size,
        labels_bytes=len(labels),
        tar_sha256=digest,
        labels_sha256=sha256(labels).hexdigest(),
    )


def _pictures(
    records: Sequence[Record],
    source: str,
    crop: float | None,
    box_source: str,
    quality: int | None,
    failures: list[str],
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[_Picture]:
    """Yield what is stored: photographs with the faces that follow each other on them, or a crop of each face."""
    done = 0
    for image, group in groupby(records, key=lambda record: record.image):
        faces = [_named(record, source) for record in group]
        try:
            if crop is None:
                yield _photograph(image, faces)
            else:
                yield from _crops(read_image(image), faces, crop, box_source, quality, failures)
        except PlaceLost:
            raise
        except FiduciaError as error:
            failures.append(str(error))
        done += len(faces)
        if on_progress is not None:
            on_progress(done, len(records))


def _crops(
    pixels: npt.NDArray[np.uint8],
    faces: list[Record],
    crop: float,
    box_source: str,
    quality: int | None,
    failures: list[str],
) -> Iterator[_Picture]:
    """Yield a crop of each face of a photograph; one that cannot be cut out leaves the others as they are."""
    for face in faces:
        try:
            moved, cut = cut_face(face, pixels, crop, box_source)
            suffix, data = encode(cut, quality)
        except (FiduciaError, ValueError) as error:
            told = str(error)
            failures.append(told if isinstance(error, FiduciaError) else f"{face.image}: the face {face.id}: {told}")
            continue
        yield _Picture(suffix=suffix, data=data, size=cut.shape[1::-1], faces=[moved])


def _named(record: Record, source: str) -> Record:
    """Return a face whose tags say what its place in the files said."""
    tags = {"collection": source, **record.tags, "id": record.id, "photo": photo_of(record)}
    return replace(record, tags=tags)


def _photograph(image: Path, faces: list[Record]) -> _Picture:
    """Return a photograph's own bytes.

    Raises:
        FiduciaError: it cannot be read, or is cut short.
    """
    data = read_bytes(image, LARGEST, "an image")
    size = photo_size(image)
    try:
        header: Header = read_header(data)
    except HeaderError as error:
        raise FiduciaError(f"{image}: {error}") from None
    if size is None:
        raise FiduciaError(f"{image}: its size cannot be read; convert it")
    suffix = _SUFFIXES.get(header.format, f".{header.format.lower()}")
    return _Picture(suffix=suffix, data=data, size=size.shown, faces=faces)
