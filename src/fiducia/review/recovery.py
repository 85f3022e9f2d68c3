"""What a killed review left half done: the journal and the label files are made to say the same again.

A change is written to the journal first and to the label files after it. A kill between the two, or between two files,
is seen by the last entry: the files are as they were before it, after it, or some of each. The label files are left as
they are wherever they agree among themselves, and the journal follows them; so a file that was put back by hand stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..data.editing.base import Patch
from ..data.editing.save import LabelFiles
from ..errors import FiduciaError
from .journal import Entry, Journal

__all__ = ["own_patches", "settle"]


def own_patches(journal: Journal, entry: Entry, files: Iterable[Path]) -> tuple[list[Patch], Mapping[Path, str]]:
    """Return an edit's patches and digests with the paths of a data set's own files: a journal may name no others.

    Raises:
        FiduciaError: it does.
    """
    places = {path.resolve(): path for path in files}
    found = {patch.path: places.get(patch.path.resolve()) for patch in entry.patches}
    known = {old: new for old, new in found.items() if new is not None}
    if len(known) < len(found):
        raise FiduciaError(f"{journal.path}: the last change is of a file that is not of this data set")
    patches = [replace(patch, path=known[patch.path]) for patch in entry.patches]
    return patches, {known[path]: digest for path, digest in entry.digests.items()}


def settle(journal: Journal, labels: LabelFiles, files: Iterable[Path]) -> bool:
    """Compare the last change of a journal with the label files, and make them agree; the journal's remarks tell it.

    Args:
        journal: of the review that begins.
        labels: its label files.
        files: all of them.

    Returns:
        Whether a label file was written.

    Raises:
        FiduciaError: the journal or a label file cannot be written.
    """
    if journal.last is None:
        return False
    entry, undone = journal.last
    edit = entry if undone is None else undone
    if edit.event != "edit":
        return False
    try:
        patches, digests = own_patches(journal, edit, files)
    except FiduciaError:
        return False  # of another split, or a strange one: undo says so
    stages = labels.stages(patches, digests)
    found = set(stages.values())
    # Where another program wrote the file since, undo says so.
    if "other" in found or found == ({"after"} if undone is None else {"before"}) or not found:
        return False
    undo = Entry(event="undo", face=edit.face)
    where = f"{next(iter(stages))}: {edit.face}"
    if found == {"before"}:
        journal.write(undo)
        journal.remarks.append(f"{where}: the last change is not in the file; the journal now says so")
        return False
    if found == {"after"}:
        journal.write(edit)
        journal.remarks.append(f"{where}: the last undo is not in the file; the change still stands")
        return False
    written = [patch for patch in patches if stages[patch.path] == "after"]
    with journal.around(undo) if undone is None else contextlib.nullcontext():
        labels.put_back(written, digests)
    journal.remarks.append(f"{where}: the last change was written in part when the review ended; it was taken back")
    return True
