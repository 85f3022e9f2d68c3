"""Changes written to label files: checked by reading them back, whole or not at all, the original kept beside them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import FiduciaError
from ...files import write_atomic
from ...structures import Record
from ...text import read_bytes
from .base import Change, LabelEditor, LabelledFace, Labels, Patch

__all__ = ["ORIGINAL", "Changed", "LabelFiles", "Plan", "digest", "require_changeable"]

ORIGINAL = ".orig"
"""Ending of the copy that is made of a label file before its first change."""
_KEPT = 8
"""States of files whose labels are kept in memory, for undo."""
_CLOSE = 1e-6
"""Pixels within which a format that counts in percent gives a point back."""


class Changed(FiduciaError):
    """A label file that another program has changed meanwhile."""


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def require_changeable(paths: Iterable[Path]) -> None:
    """Refuse label files that may not be written, before any work.

    Raises:
        FiduciaError: a file is read-only, or its directory.
    """
    for path in paths:
        mode = path.stat().st_mode
        if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            raise FiduciaError(f"{path}: is read-only; make it writable (chmod u+w), or review a copy of it")
        folder = path.resolve().parent
        if not os.access(folder, os.W_OK):
            raise FiduciaError(f"{path}: nothing can be written into {folder}; review a copy of the labels")


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """A change that was checked and is not written yet.

    Attributes:
        record: the face as it will read.
        patches: what is replaced.
        contents: the files as they are.
        new: the files as they will be.
    """

    record: Record
    patches: Sequence[Patch]
    contents: Mapping[Path, bytes]
    new: Mapping[Path, bytes]

    @property
    def digests(self) -> dict[Path, str]:
        """SHA-256 of each file that changes, as it will be."""
        return {path: digest(self.new[path]) for path in dict.fromkeys(patch.path for patch in self.patches)}


class LabelFiles:
    """The label files of a data set, in the state in which they were read.

    Args:
        editor: of their format.
        faces: from the editor.
    """

    def __init__(self, editor: LabelEditor, faces: Sequence[LabelledFace]) -> None:
        self.editor = editor
        self._known: dict[Path, str] = {}
        # Reading a file of thousands of faces takes seconds, so that what it says is kept.
        self._labels: OrderedDict[tuple[Path, str], Labels] = OrderedDict()
        for path in dict.fromkeys(face.path for face in faces):
            self._known[path] = digest(read_bytes(path, "a label file"))

    def plan(self, face: LabelledFace, changes: Mapping[int, Change]) -> Plan:
        """Work out a change, and check it on a copy that lies beside the file for a moment.

        Args:
            face: whose labels.
            changes: point → what it shall be.

        Raises:
            Changed: a file was changed by another program since it was read.
            FiduciaError: the format cannot say it, or nothing can be written there.
        """
        if face.fixed:
            raise FiduciaError(f"{face.path}: {face.record.id}: {face.fixed}")
        bad = [code for _, _, code in changes.values() if code not in face.codes]
        if bad:
            raise FiduciaError(f"{face.path}: {face.record.id}: the file cannot hold a point of visibility {bad[0]}")
        contents: dict[Path, bytes] = {}

        def read(path: Path) -> bytes:
            if path not in contents:
                contents[path] = self._read(path)
            return contents[path]

        patches = self.editor.patches(face, changes, read)
        if not patches:
            return Plan(record=face.record, patches=(), contents={}, new={})
        new = {path: _patched(contents[path], [p for p in patches if p.path == path]) for path in contents}
        record = self._checked(face, changes, new.get(face.path))
        return Plan(record=record, patches=patches, contents=contents, new=new)

    def write(self, plan: Plan) -> None:
        """Write a change.

        Raises:
            FiduciaError: a file cannot be written; then all are as they were.
        """
        self._write(plan.contents, plan.new)

    def stages(self, patches: Sequence[Patch], states: Mapping[Path, str]) -> dict[Path, str]:
        """Return how each file of a change stands: ``before`` it, ``after`` it, or ``other``.

        Args:
            patches: of a :class:`Plan`.
            states: SHA-256 of each file after that change.
        """
        found = {}
        for path in dict.fromkeys(patch.path for patch in patches):
            found[path] = "other"
            with contextlib.suppress(FiduciaError):
                data = self._read(path)
                if digest(data) == states[path]:
                    found[path] = "after"
                elif digest(_patched(data, [p for p in patches if p.path == path])) == states[path]:
                    found[path] = "before"
        return found

    def put_back(self, patches: Sequence[Patch], states: Mapping[Path, str]) -> None:
        """Replace what :meth:`write` wrote by what stood there before.

        Args:
            patches: of a :class:`Plan`.
            states: SHA-256 of each file after that change.

        Raises:
            Changed: the files are not in the state that they were left in.
        """
        contents = {path: self._read(path) for path in dict.fromkeys(patch.path for patch in patches)}
        new = {}
        for path, data in contents.items():
            if digest(data) != states[path]:
                raise Changed(f"{path}: has changed since the change that should be taken back; it stays as it is")
            moved, back = 0, []
            for patch in sorted((p for p in patches if p.path == path), key=lambda p: p.start):
                back.append(Patch(path, patch.start + moved, patch.new, patch.old))
                moved += len(patch.new) - len(patch.old)
            new[path] = _patched(data, back)
        self._write(contents, new)

    def apply(self, patches: Sequence[Patch]) -> None:
        """Write a change of :meth:`write` once more, after :meth:`put_back`.

        Raises:
            Changed: a file is not in the state in which it was left.
        """
        contents = {path: self._read(path) for path in dict.fromkeys(patch.path for patch in patches)}
        self._write(
            contents, {path: _patched(data, [p for p in patches if p.path == path]) for path, data in contents.items()}
        )

    def read_again(self, face: LabelledFace) -> Record:
        """Return a face as its file has it now."""
        xy, visible = self._now(face)[face.index]
        return replace(face.record, xy=xy, visible=visible)

    def _read(self, path: Path) -> bytes:
        data = read_bytes(path, "a label file")
        if self._known.setdefault(path, digest(data)) != digest(data):
            raise Changed(f"{path}: another program has changed it since it was read; start the review again")
        return data

    def _checked(self, face: LabelledFace, changes: Mapping[int, Change], data: bytes | None) -> Record:
        """Return the face as a copy with the new bytes reads, once every other face there is as it was."""
        before = self._now(face)
        xy, visible = before[face.index][0].copy(), before[face.index][1].copy()
        if not (_same(xy, face.record.xy) and (visible == face.record.visible).all()):
            raise Changed(f"{face.path}: the labels of {face.record.id} are not those that were read; start again")
        for k, (x, y, code) in changes.items():
            xy[k] = (x, y) if code else np.nan
            visible[k] = code
        if data is None:
            return replace(face.record, visible=visible)
        copy = face.path.with_name(f".fiducia-{os.getpid()}-{secrets.token_hex(4)}{face.path.suffix}")
        try:
            write_atomic(copy, data)
            after = self.editor.read_back(face, copy)
        finally:
            with contextlib.suppress(OSError):
                copy.unlink()
        stores = len(face.codes) > 1 and face.root is None
        if not _as_wanted(before, after, face.index, xy, visible if stores else before[face.index][1]):
            raise FiduciaError(
                f"{face.path}: {face.record.id} cannot be changed without another face; nothing was written"
            )
        self._keep(face.path, digest(data), after)
        return replace(face.record, xy=after[face.index][0], visible=visible)

    def _now(self, face: LabelledFace) -> Labels:
        """Return the labels of a face's file as they are now."""
        key = face.path, digest(self._read(face.path))
        if key not in self._labels:
            self._keep(*key, self.editor.read_back(face, face.path))
        return self._labels[key]

    def _keep(self, path: Path, state: str, labels: Labels) -> None:
        self._labels[path, state] = labels
        while len(self._labels) > _KEPT:
            self._labels.popitem(last=False)

    def _write(self, contents: Mapping[Path, bytes], new: Mapping[Path, bytes]) -> None:
        """Write files, all or none."""
        done: list[Path] = []
        try:
            for path, data in new.items():
                if data == contents[path]:
                    continue
                original = path.with_name(path.name + ORIGINAL)
                if not original.exists():
                    write_atomic(original, contents[path])
                write_atomic(path, data)
                done.append(path)
                self._known[path] = digest(data)
        except FiduciaError:
            for path in done:
                write_atomic(path, contents[path])
                self._known[path] = digest(contents[path])
            raise


def _patched(data: bytes, patches: Sequence[Patch]) -> bytes:
    """Return a file's bytes with replacements.

    Raises:
        Changed: something else stands there.
    """
    parts = []
    at = 0
    for patch in sorted(patches, key=lambda p: p.start):
        end = patch.start + len(patch.old)
        if data[patch.start : end] != patch.old:
            raise Changed(f"{patch.path}: does not hold what was written there; start the review again")
        parts += [data[at : patch.start], patch.new]
        at = end
    return b"".join([*parts, data[at:]])


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))


def _as_wanted(before: Labels, after: Labels, index: int, xy: np.ndarray, visible: np.ndarray) -> bool:
    """Tell whether one face is as wanted, and all others are as they were."""
    if len(before) != len(after):
        return False
    others = all(
        _same(a, b) and bool((v == w).all())
        for i, ((a, v), (b, w)) in enumerate(zip(before, after, strict=True))
        if i != index
    )
    own, codes = after[index]
    return others and bool((codes == visible).all()) and np.allclose(own, xy, rtol=0, atol=_CLOSE, equal_nan=True)
