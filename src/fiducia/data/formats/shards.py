"""Shards that ``fiducia data pack`` writes: ``shards:DIR``, or several directories as ``shards:/data/part-*``.

Read whole, the faces are records whose image is a path into a tar file. Training reads them as blocks, from the first to the last,
and holds no more of them in memory than its shuffle buffer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...errors import FiduciaError, UsageError
from ...files import read_bytes
from ...schemes.sets import get_scheme
from ...structures import Record
from ..blocks import LARGEST
from ..shards.block import ShardBlock
from ..shards.labels import face_json, read_labels
from ..shards.layout import Index, directories, read_index, sha256
from ..source import DatasetSpec, Faces, Fault, datasets

__all__ = ["open_shards", "read_shards", "scan_shards"]


def open_shards(root: str, split: str = "all") -> list[ShardBlock]:
    """Return the shards of a directory, or of several, in order; of each only the faces of a split.

    Raises:
        UsageError: no path, or no such split.
        FiduciaError: a directory, an index or a shard that is missing or contradicts another; faces of several landmark sets.
    """
    indexes = [read_index(folder) for folder in directories(root)]
    first = indexes[0]
    for number, index in enumerate(indexes):
        if index.scheme == first.scheme:
            continue
        if get_scheme(index.scheme) != get_scheme(first.scheme):
            raise FiduciaError(
                f"{index.folder}: its faces are of {index.scheme}, those of {first.folder} of {first.scheme}; "
                "train on one landmark set at a time"
            )
        indexes[number] = replace(index, scheme=first.scheme)
    return [ShardBlock(index, shard, _chosen(root, indexes, split)) for index in indexes for shard in index.shards]


def _chosen(root: str, indexes: list[Index], split: str) -> str | None:
    names = sorted({name for index in indexes for name in index.splits})
    if split == "all" or (not names and split == "train"):
        return None
    if split not in names:
        there = f"its splits are {', '.join(names)}" if names else "it names no splits"
        raise UsageError(f"{root}: has no split {split!r}; {there}; use --split all for the whole of it")
    return split


def read_shards(root: str, split: str = "all", scheme: str | None = None) -> Faces:
    """Read the faces of shards, in order, all at once.

    Raises:
        UsageError, FiduciaError: as :func:`open_shards`; labels that are damaged.
    """
    blocks = open_shards(root, split)
    return Faces(record for block in blocks for record in block.records(np.arange(len(block.facts("landmarks").ids))))


def scan_shards(root: str, split: str = "all", scheme: str | None = None) -> Iterator[Record | Fault]:
    """Yield the faces of shards, and a fault for each file that is not as its index says; every byte is read."""
    for folder in directories(root):
        try:
            index = read_index(folder)
        except FiduciaError as error:
            yield Fault(str(error), broken=True, kind="file")
            continue
        for shard in index.shards:
            tar = folder / shard.tar
            try:
                if sha256(tar) != shard.tar_sha256:
                    raise FiduciaError(f"{tar}: is not the file that index.json means (SHA-256); copy the shard again")
                labels = read_labels(index, shard)
                faces = [labels.record(row, tar, index.scheme) for row in range(len(labels))]
                _same(faces)
            except FiduciaError as error:
                yield Fault(str(error), broken=True, kind="file")
                continue
            yield from faces


def _same(faces: list[Record]) -> None:
    """Refuse labels beside a photograph that are not those of the arrays."""
    stored: dict[str, list[Record]] = {}
    for face in faces:
        stored.setdefault(face.image.name, []).append(face)
    for group in stored.values():
        tar, name = group[0].image.parent, group[0].image
        data = read_bytes(name, LARGEST, "an image")
        with tar.open("rb") as file:
            file.seek(int(name.name[:12]) + 512 + -(-len(data) // 512) * 512)
            head = file.read(512)
            text = file.read(int(head[124:135], 8)) if head[124:135].strip(b"0 \0").isdigit() else b""
        told = json.loads(text or b"{}").get("faces")
        if told != json.loads(json.dumps([face_json(face) for face in group], default=str)):
            raise FiduciaError(f"{tar}: the labels beside {name.name} are not those of the .npz; pack the faces again")


datasets.register("shards")(
    DatasetSpec(
        name="shards",
        summary="faces that fiducia data pack wrote into tar files; training streams them",
        splits=(),
        read=read_shards,
        scan=scan_shards,
        blocks=open_shards,
        parts=("all",),
        fetch="fiducia data pack",
    )
)
