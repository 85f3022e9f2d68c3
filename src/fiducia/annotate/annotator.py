"""A chunk in, its parts out: what every worker does, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import cv2

from ..errors import FiduciaError, PlaceLost, UsageError
from ..faces.face import Face
from ..faces.plain import Origin
from ..images import Photo
from ..predict.batches import Found, enough
from ..predict.inputs import open_photo
from ..video.loop import FaceTracker
from ..video.opening import open_video
from .attempts import BATCH, WRITING, Attempt
from .job import Job
from .parts import write_chunk
from .reports import ChunkReport
from .schema import FAILED, face_row, photograph_row
from .shards import ShardFile
from .tables import TableFile
from .units import FAULT, MEMBER, ROW, VIDEO, Chunk, Unit

__all__ = ["Annotator"]

_FAULTS = (FiduciaError, OSError, ValueError, RuntimeError, MemoryError, cv2.error)
"""What one photograph may fail with while the others are done."""


class _Predictor(Protocol):
    batch_size: int
    origin: Origin

    def find(self, image: Photo) -> Found: ...

    def predict(self, photos: Sequence[Found]) -> Sequence[Sequence[Face]]: ...

    def tracker(self, *, every: int, smooth: bool) -> FaceTracker: ...


class Annotator:
    """Works off one chunk after another.

    Args:
        job: what to do.
        predictor: what finds the faces; None = the job's own.

    Raises:
        FiduciaError: as :meth:`~fiducia.annotate.job.Job.load`.
    """

    def __init__(self, job: Job, predictor: _Predictor | None = None) -> None:
        self.job = job
        self.predictor: _Predictor = predictor or job.load()
        self._shard: ShardFile | None = None
        self._table: TableFile | None = None

    def __call__(self, chunk: Chunk) -> ChunkReport:
        """Find the faces of a chunk and write its parts.

        Raises:
            PlaceLost: the disk is full, or the folder of results is gone.
            UsageError: the predictor cannot be used at all.
        """
        attempt = Attempt(self.job.folder, chunk.number, self.job.run)
        if chunk.units[0].kind == VIDEO:
            rows = self._video(chunk, attempt)
        else:
            rows = self._photographs(chunk, attempt)
        attempt.at(None)
        attempt.end()
        faces = sum(row["faces"] for row in rows)
        empty = sum(row["faces"] == 0 and row["status"] != FAILED for row in rows)
        failed = tuple(row["error"] for row in rows if row["status"] == FAILED)
        return ChunkReport(chunk.number, len(rows), faces, empty, failed)

    def _photographs(self, chunk: Chunk, attempt: Attempt) -> list[dict[str, Any]]:
        """Write the parts of photographs, which are computed in batches; return their rows."""
        rows: dict[int, dict[str, Any]] = {}
        faces: dict[int, list[dict[str, Any]]] = {}

        def fail(i: int, error: BaseException | str) -> None:
            rows[i] = photograph_row(_place(chunk, i), error=_one_line(chunk.units[i], error))

        def finish(waiting: list[tuple[int, Found]]) -> None:
            for i, found, answer in self._predict(waiting, attempt, fail):
                height, width = found[0].image.shape[:2]
                place = _place(chunk, i)
                faces[i] = [face_row(face, place, (width, height), self.predictor.origin) for face in answer]
                rows[i] = photograph_row(place, faces=len(answer), size=(width, height), remarks=found[0].remarks)

        waiting: list[tuple[int, Found]] = []
        for i, unit in enumerate(chunk.units):
            if unit.kind == FAULT:
                fail(i, unit.error)
            elif i in attempt.deadly:
                fail(i, _GIVEN_UP.format(attempt.deadly[i]))
            else:
                attempt.at(i)
                try:
                    waiting.append((i, self.predictor.find(self._open(unit))))
                except UsageError:
                    raise
                except _FAULTS as error:
                    fail(i, error)
                if enough([found for _, found in waiting], self.predictor.batch_size):
                    finish(waiting)
                    waiting = []
        finish(waiting)
        done = [rows[i] for i in range(len(chunk.units))]
        attempt.at(WRITING)
        write_chunk(self.job.folder, chunk.number, (row for i in sorted(faces) for row in faces[i]), iter(done))
        return done

    def _predict(
        self, waiting: list[tuple[int, Found]], attempt: Attempt, fail: Callable[[int, BaseException], None]
    ) -> Iterator[tuple[int, Found, Sequence[Face]]]:
        """Yield the faces of the photographs that wait; where one of a batch fails, each is tried by itself."""
        answers: Sequence[Sequence[Face]] | None = None
        if waiting and not attempt.singly:
            attempt.at(BATCH)
            try:
                answers = self.predictor.predict([found for _, found in waiting])
            except UsageError:
                raise
            except _FAULTS:
                answers = None
        for number, (i, found) in enumerate(waiting):
            if answers is not None:
                yield i, found, answers[number]
                continue
            attempt.at(i)
            try:
                answer = self.predictor.predict([found])[0]
            except UsageError:
                raise
            except _FAULTS as error:
                fail(i, error)
                continue
            yield i, found, answer

    def _video(self, chunk: Chunk, attempt: Attempt) -> list[dict[str, Any]]:
        """Write the parts of a video, whose rows are written as they come; return its row."""
        (unit,) = chunk.units
        told: dict[str, Any] = {"frames": 0}
        place = _place(chunk, 0)
        done: list[dict[str, Any]] = []

        def photographs() -> Iterator[dict[str, Any]]:
            done.append(photograph_row(place, **told))
            yield done[0]

        attempt.at(0)
        deadly = attempt.deadly.get(0)
        if deadly:
            told["error"] = _one_line(unit, _GIVEN_UP.format(deadly))
        faces = self._frames(unit, place, told) if not deadly else iter(())
        write_chunk(self.job.folder, chunk.number, faces, photographs())
        return done

    def _frames(self, unit: Unit, place: tuple[int, str], told: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a video's faces, and keep in ``told`` what its own row says."""
        count = 0
        try:
            video = open_video(unit.path, max_pixels=self.job.max_pixels)
            try:
                follow = self.predictor.tracker(every=self.job.every, smooth=self.job.smooth)
                for frame in follow.run(video):
                    height, width = frame.image.shape[:2]
                    told |= {"size": (width, height), "frames": told["frames"] + 1}
                    for face in frame.faces:
                        count += 1
                        told["faces"] = count
                        yield face_row(
                            face, place, (width, height), self.predictor.origin, (frame.index, float(frame.time))
                        )
                if video.skipped:
                    told["remarks"] = (f"{video.skipped} damaged frames skipped",)
                if video.trouble:
                    told["error"] = _one_line(unit, video.trouble)
            finally:
                video.close()
        except PlaceLost:
            raise
        except _FAULTS as error:
            # A package that is missing for this one video, too: the photographs are still read.
            told["error"] = _one_line(unit, error)

    def _open(self, unit: Unit) -> Photo:
        """Read a photograph, wherever it lies; it has the name that results give it.

        Raises:
            FiduciaError: it cannot be read.
        """
        data: str | bytes
        if unit.kind == MEMBER:
            if self._shard is None or self._shard.path != unit.path:
                self._close()
                self._shard = ShardFile(unit.path)
            data = self._shard.read(unit)
        elif unit.kind == ROW:
            if self._table is None or self._table.path != unit.path:
                self._close()
                self._table = TableFile(unit.path, self.job.column)
            data = self._table.read(unit)
        else:
            data = unit.path
        photo = open_photo(data, max_pixels=self.job.max_pixels)
        return Photo(unit.id, photo.image, photo.remarks)

    def _close(self) -> None:
        """Let go of the shard and the table that were read last."""
        for file in (self._shard, self._table):
            if file is not None:
                file.close()
        self._shard = self._table = None


_GIVEN_UP = "given up: {} workers ended while it was read or computed"


def _place(chunk: Chunk, i: int) -> tuple[int, str]:
    return chunk.first + i, chunk.units[i].id


def _one_line(unit: Unit, error: BaseException | str) -> str:
    """Return what failed as one line that names the photograph as results do."""
    text = str(error).replace(unit.path, unit.id)
    text = " ".join(text.split()).removeprefix("image bytes: ") or type(error).__name__
    if isinstance(error, MemoryError):
        text = "not enough memory for this photograph; reduce it"
    name = " ".join(unit.id.split())
    return text if name in text else f"{name}: {text}"
