"""What a finished run found, counted from its parts one after another."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .parts import FACES, PHOTOGRAPHS, read_part
from .schema import FAILED

__all__ = ["BINS", "Figures", "count"]

BINS = 20
"""Bars of the histograms of quality and score."""
_LISTED = 100
_WORST = 12


@dataclass
class Figures:
    """What was found.

    Attributes:
        photographs: all, videos too.
        videos: of them.
        frames: of the videos.
        faces: rows of faces.
        failed: photographs that failed.
        empty: photographs without a face that did not fail.
        quality: number of faces by quality, :data:`BINS` equal steps from 0 to 1; empty where the weights tell none.
        score: the same by the detector's score.
        sizes: number of faces by the longer side of the box: 16 pixels, 32, 64 … (lower ends).
        per_photograph: number of photographs by number of faces; the last counts all with more.
        reasons: number of failures by reason, without the photograph's name.
        failures: the first failed photographs and their errors.
        without: the first photographs without a face.
        doubtful: faces of the lowest quality: quality, photograph, number of the face.
        remarks: number of photographs by remark.
    """

    photographs: int = 0
    videos: int = 0
    frames: int = 0
    faces: int = 0
    failed: int = 0
    empty: int = 0
    quality: list[int] = field(default_factory=list)
    score: list[int] = field(default_factory=lambda: [0] * BINS)
    sizes: Counter[int] = field(default_factory=Counter)
    per_photograph: Counter[int] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    without: list[str] = field(default_factory=list)
    doubtful: list[tuple[float, str, int]] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """Return the figures as part of a sentence."""
        parts = [f"{self.faces:,} faces in {self.photographs - self.failed:,} images"]
        parts += [f"no face in {self.empty:,}"] if self.empty else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        return ", ".join(parts)


def count(out: Path, chunks: Sequence[int]) -> Figures:
    """Count what the parts hold; one part is in memory at a time.

    Raises:
        FiduciaError: a part is missing or damaged.
    """
    found = Figures()
    worst: list[tuple[float, str, int]] = []
    for number in chunks:
        _photographs(found, out, number)
        worst = heapq.nsmallest(_WORST, [*worst, *_faces(found, out, number)])
    found.doubtful = worst
    return found


def _photographs(found: Figures, out: Path, number: int) -> None:
    for row in read_part(out, PHOTOGRAPHS, number).to_pylist():
        name, error = row["photograph"], row["error"]
        found.photographs += 1
        if row["frames"] is not None:
            found.videos += 1
            found.frames += row["frames"]
        if row["status"] == FAILED:
            found.failed += 1
            found.reasons[_reason(" ".join(name.split()), error or "")] += 1
            if len(found.failures) < _LISTED:
                found.failures.append((" ".join(name.split()), error))
        elif row["faces"] == 0:
            found.empty += 1
            if len(found.without) < _LISTED:
                found.without.append(name)
        if row["frames"] is None and row["status"] != FAILED:
            found.per_photograph[min(row["faces"], 10)] += 1
        if row["remark"]:
            found.remarks[row["remark"]] += 1


def _faces(found: Figures, out: Path, number: int) -> list[tuple[float, str, int]]:
    """Count the faces of a part, and return those whose quality is known."""
    import numpy as np

    table = read_part(out, FACES, number, ["photograph", "face", "frame", "box", "score", "quality"])
    if not table.num_rows:
        return []
    found.faces += table.num_rows
    box = table["box"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)
    sides = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    for power in np.floor(np.log2(np.maximum(sides, 1.0))).astype(int):
        found.sizes[2 ** int(power)] += 1
    found.score = _added(found.score, table["score"].to_numpy())
    quality = table["quality"].to_numpy(zero_copy_only=False).astype(float)
    known = np.isfinite(quality)
    if known.any():
        found.quality = _added(found.quality or [0] * BINS, quality[known])
    names, ids = table["photograph"].to_pylist(), table["face"].to_pylist()
    lowest = [i for i in np.argsort(quality, kind="stable")[:_WORST] if known[i]]
    return [(float(quality[i]), names[i], int(ids[i])) for i in lowest]


def _added(bars: list[int], values: object) -> list[int]:
    import numpy as np

    counts, _ = np.histogram(np.clip(np.asarray(values, float), 0.0, 1.0), BINS, (0.0, 1.0))
    return [a + int(b) for a, b in zip(bars, counts, strict=True)]


def _reason(name: str, error: str) -> str:
    """Return an error without the photograph's name and its numbers, so that alike ones are counted together."""
    text = error.replace(name, "").lstrip(": ") or "unknown"
    return (
        "".join("N" if c.isdigit() else c for c in text).replace("NN", "N").replace("NN", "N").replace("NN", "N")[:160]
    )
