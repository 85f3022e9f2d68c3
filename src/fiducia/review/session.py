"""A review of one data set: its faces in their order, and what a person does with them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.editing.base import Change, LabelledFace, label_editors
from ..data.editing.save import LabelFiles, require_changeable
from ..data.formats.folder import SIDECAR
from ..data.source import find_dataset, load_records
from ..errors import FiduciaError, UsageError
from ..evaluation.found import Found
from ..schemes.sets import get_scheme
from ..structures import Record
from .journal import VERDICTS, Entry, Journal, journal_path, rejected_path
from .order import Doubtful, in_order
from .recovery import own_patches, settle

__all__ = ["Refused", "Review", "open_review"]

Predict = Callable[[Sequence[Record]], "tuple[Found | None, dict[int, str]]"]


class Refused(FiduciaError):
    """What a page asks for and cannot have, such as a face that is not there."""


@dataclass
class Review:
    """Faces under review. Its methods may be called from several threads.

    Attributes:
        source: ``NAME:ROOT``.
        faces: in the data set's order.
        order: the same faces, most doubtful first.
        files: where labels are changed.
        journal: what was done.
        rejected: the file of rejected faces' ids.
        others: further files that hold labels.
        remarks: lines of the data set's reader.
        judged: what the order rests on.
    """

    source: str
    faces: list[LabelledFace]
    order: list[Doubtful]
    files: LabelFiles
    journal: Journal
    rejected: Path
    others: Sequence[Path] = ()
    remarks: Sequence[str] = ()
    judged: str = ""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._index = {face.record.id: i for i, face in enumerate(self.faces)}

    def close(self) -> None:
        """End the review."""
        self.journal.close()

    def face(self, rank: int) -> tuple[Doubtful, LabelledFace]:
        """Return the face at a place of the order, from 0.

        Raises:
            Refused: there is none.
        """
        if not 0 <= rank < len(self.order):
            raise Refused(f"there is no face {rank}; the review has {len(self.order)}")
        one = self.order[rank]
        return one, self.faces[one.index]

    def state(self, face: LabelledFace) -> str:
        """Return ``open``, ``accepted`` or ``rejected``."""
        return self.journal.states.get(face.record.id, "open")

    def counts(self) -> dict[str, int]:
        """Return how many faces are in which state, and how many were changed."""
        states = Counter(self.state(face) for face in self.faces)
        changed = sum(1 for face in self.faces if self.journal.edited.get(face.record.id, 0) > 0)
        return {**{state: states.get(state, 0) for state in ("open", "accepted", "rejected")}, "edited": changed}

    def edit(self, rank: int, changes: Mapping[int, Change], expected: Mapping[int, Change] | None = None) -> None:
        """Change points of a face in its file. The journal is written first, so that no change is without its entry.

        Args:
            rank: its place in the order.
            changes: point → x and y in pixels of the image, and visibility.
            expected: what the page believes these points to be; a difference is refused.

        Raises:
            Refused: no such face or point, or the page shows older labels.
            FiduciaError: the file was changed meanwhile, cannot hold the change, or cannot be written.
        """
        with self._lock:
            one, face = self.face(rank)
            now = face.record
            wanted: dict[int, Change] = {}
            for k, (x, y, code) in changes.items():
                if not 0 <= k < len(now.xy):
                    raise Refused(f"the face {now.id} has no point {k}")
                if code and not (np.isfinite([x, y]).all() and abs(x) < 1e6 and abs(y) < 1e6):
                    raise Refused(f"point {k} of {now.id}: {x}, {y} is no place in an image")
                known = expected.get(k) if expected is not None else None
                if known is not None and not _alike(known, _change(now, k)):
                    raise Refused(f"point {k} of {now.id} has changed since it was shown; load the page again")
                if not _alike((x, y, code), _change(now, k)):
                    wanted[k] = (float(x), float(y), int(code))
            if not wanted:
                return
            plan = self.files.plan(face, wanted)
            record = plan.record
            names = get_scheme(now.scheme).names
            points = [
                {"point": k, "name": names[k], "old": _plain(_change(now, k)), "new": _plain(_change(record, k))}
                for k in sorted(wanted)
            ]
            entry = Entry(event="edit", face=now.id, points=points, patches=plan.patches, digests=plan.digests)
            with self.journal.around(entry):
                self.files.write(plan)
            self.faces[one.index] = replace(face, record=record)

    def judge(self, rank: int, event: str) -> None:
        """Accept, reject or reopen a face; its labels stay.

        Raises:
            Refused: no such face or event.
            FiduciaError: the journal cannot be written.
        """
        if event not in VERDICTS:
            raise Refused(f"{event!r} is no verdict; expected {', '.join(VERDICTS)}")
        with self._lock:
            _, face = self.face(rank)
            before = self.state(face)
            if VERDICTS[event] != before:
                self.journal.write(Entry(event=event, face=face.record.id, before=before))
            # Also where nothing changed: the file may have failed to be written the last time.
            self.journal.write_rejected(self.rejected)

    def undo(self) -> int | None:
        """Take back the last edit or verdict that stands; return its face's place in the order, None where nothing stands.

        Raises:
            FiduciaError: the file was changed by another program since, or cannot be written.
        """
        with self._lock:
            if not self.journal.done:
                return None
            last = self.journal.done[-1]
            index = self._index.get(last.face)
            if index is None:
                raise FiduciaError(
                    f"{self.journal.path}: the last change is of {last.face}, which is not in this review"
                )
            if last.event == "edit":
                self._undo_edit(last, index)
            else:
                self.journal.write(Entry(event="undo", face=last.face))
                self.journal.write_rejected(self.rejected)
            return next(rank for rank, one in enumerate(self.order) if one.index == index)

    def _undo_edit(self, last: Entry, index: int) -> None:
        """Put back what an edit replaced and say so in the journal; both, or neither."""
        patches, states = own_patches(self.journal, last, (*(face.path for face in self.faces), *self.others))
        face = self.faces[index]
        with self.journal.around(Entry(event="undo", face=last.face)):
            self.files.put_back(patches, states)
            try:
                record = _undone(self.files.read_again(face), face, last)
            except FiduciaError:
                self.files.apply(patches)
                raise
        self.faces[index] = replace(face, record=record)


def open_review(
    source: str,
    predict: Predict,
    *,
    split: str | None = None,
    scheme: str | None = None,
    who: str = "",
    judged: str = "",
) -> Review:
    """Read a data set for review, and put its faces in order.

    Args:
        source: ``NAME:ROOT``; its labels are changed where they lie.
        predict: returns what a network says of faces, and why it cannot say it of some.
        split: or part; None = all, or the data set's first.
        scheme: of own data, a name or TOML file.
        who: is noted in the journal.
        judged: what the order rests on, for the page.

    Raises:
        UsageError: a format that cannot be changed in place; the line says what to run first.
        FiduciaError: no face, labels that are broken or may not be written, or another review of the same data set.
    """
    spec, root = find_dataset(source)
    chosen = split or (spec.splits[0] if spec.splits else "all")
    if spec.name not in label_editors:
        known = ", ".join(name for name in label_editors)
        raise UsageError(
            f"{source}: labels of {spec.name} cannot be changed in place (those of {known} can); make a copy first: "
            f"fiducia data convert {source} --to coco --out faces.json, then: fiducia data review coco:faces.json"
        )
    base = Path(root).expanduser()
    read = load_records(source, chosen, scheme)
    if not read:
        raise FiduciaError(f"{source}: no face in split {chosen!r}; run: fiducia data check {source}")
    editor = label_editors[spec.name]
    faces = editor.faces(root, chosen, scheme)
    if read[0].scheme != faces[0].record.scheme:
        raise UsageError(
            f"--scheme {scheme}: the file is in {faces[0].record.scheme}; labels are changed in their own set"
        )
    twice = [name for name, count in Counter(face.record.id for face in faces).items() if count > 1]
    if twice:
        raise FiduciaError(f"{source}: the id {twice[0]!r} stands for two faces; give each its own")
    sidecar = [base / SIDECAR] if base.is_dir() and (base / SIDECAR).is_file() and spec.name == "pts" else []
    require_changeable([*dict.fromkeys(face.path for face in faces), *sidecar])
    files = LabelFiles(editor, faces)
    journal = Journal.open(journal_path(base), who)
    try:
        if settle(journal, files, [*(face.path for face in faces), *sidecar]):
            faces = editor.faces(root, chosen, scheme)
            files = LabelFiles(editor, faces)
        journal.require_own(rejected_path(base))
        journal.write_rejected(rejected_path(base))
        records = [face.record for face in faces]
        found, notes = predict(records)
        order = in_order(records, found, notes)
    except BaseException:
        journal.close()
        raise
    return Review(
        source=source,
        faces=faces,
        order=order,
        files=files,
        journal=journal,
        rejected=rejected_path(base),
        others=sidecar,
        remarks=[*journal.remarks, *read.remarks],
        judged=judged,
    )


def _change(record: Record, k: int) -> Change:
    x, y = record.xy[k].tolist()
    return x, y, int(record.visible[k])


def _alike(one: Change, other: Change) -> bool:
    """Tell whether two points are the same; the place of an absent one does not count."""
    return one[2] == other[2] and (one[2] == 0 or one[:2] == other[:2])


def _plain(change: Change) -> list[float | int | None]:
    """Return a point for JSON; an absent one has no place."""
    x, y, code = change
    return [None if x != x else x, None if y != y else y, code]


def _undone(record: Record, face: LabelledFace, entry: Entry) -> Record:
    """Return a face as it was before an edit; what is stored elsewhere than its points comes from the journal."""
    visible: npt.NDArray[np.int8] = record.visible.copy()
    for point in entry.points:
        visible[int(point["point"])] = int(point["old"][2])
    return replace(record, visible=visible)
