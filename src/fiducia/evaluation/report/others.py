"""Another result to hold this one against: read from where it was written, checked, and compared face by face."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import FiduciaError
from ...metrics.compare import Comparison, Mismatch, check_comparable, paired_bootstrap
from ...metrics.errors import NORMALISERS
from ...metrics.protocol import Protocol
from ...runtimes.opening import read_card
from ...text import read_text
from ..evaluate import Evaluation, Settings, evaluate_faces

Array = npt.NDArray[np.float64]

__all__ = [
    "FACES",
    "POINTS",
    "RESULT",
    "Compared",
    "Other",
    "as_other",
    "compare_with",
    "evaluate_against",
    "read_other",
]

RESULT, FACES, POINTS = "result.json", "faces.csv", "points.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Other:
    """Another result on the same faces.

    Attributes:
        name: what it is called in tables and legends.
        origin: where it was read.
        result: its figures, as ``evaluate --json`` gives them.
        ids: N faces.
        nme: normaliser → ``(N,)`` fractions; nan = no answer.
        xy: ``(N, K, 2)`` its points in photograph pixels, or None where they were not kept.
    """

    name: str
    origin: str
    result: Mapping[str, Any]
    ids: tuple[str, ...]
    nme: Mapping[str, Array]
    xy: Array | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """This result minus another; negative = this one has less error.

    Attributes:
        other: the other.
        kind: the normaliser.
        rows: ``all`` and the subsets → the comparison, errors in percent; subsets in which no face has both are left out.
        gain: ``(N,)`` differences in percent; nan where one has no answer.
    """

    other: Other
    kind: str
    rows: Mapping[str, Comparison]
    gain: Array

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison for JSON."""
        keys = ("difference", "low", "high", "level", "p", "better", "faces", "left_out")
        rows = {
            name: {"ours": row.mean_b, "theirs": row.mean_a, **{key: asdict(row)[key] for key in keys}}
            for name, row in self.rows.items()
        }
        stamp = self.other.result["protocol"]
        return {
            "name": self.other.name,
            "origin": self.other.origin,
            "weights_sha256": stamp.get("weights_sha256"),
            "metric": f"nme_{self.kind}",
            **rows.pop("all", dict.fromkeys(("ours", "theirs", *keys))),
            "subsets": rows,
        }


def holds_result(place: str | Path) -> bool:
    """Whether a place is a written result: a folder with ``result.json``, or a JSON file."""
    path = Path(place)
    return (path / RESULT).is_file() if path.is_dir() else path.suffix.lower() == ".json"


def read_other(place: str | Path) -> Other:
    """Read a result: a ``--report`` folder, a finished run of ``fiducia reproduce``, or a JSON file beside its faces.

    The faces' errors are in ``faces.csv`` of the folder; those of ``NAME.json`` may be in ``NAME.csv`` too.

    Raises:
        FiduciaError: a file is absent or damaged, or there are no errors of single faces.
    """
    path = Path(place)
    file = path / RESULT if path.is_dir() else path
    beside = [file.with_suffix(".csv"), file.with_name(FACES)]
    table = next((one for one in beside if one.is_file()), None)
    try:
        result = json.loads(read_text(file, "a result of fiducia evaluate"))
        result = result.get("result", result)  # a run of `fiducia reproduce` has it one level down
        stamp, faces = result["protocol"], int(result["faces"])
        if table is None:
            raise FiduciaError(
                f"{file}: no errors of single faces beside it (expected {beside[-1].name}); "
                f"write them with --report, or with --faces {beside[0]}"
            )
        rows = list(csv.DictReader(io.StringIO(read_text(table, "the faces of a result"), newline="")))
        if len(rows) != faces:
            raise FiduciaError(
                f"{table}: {len(rows)} faces, but {file.name} has {faces}; they are of different results"
            )
        nme: dict[str, Array] = {
            kind: np.array([float(row[f"nme_{kind}"] or "nan") for row in rows]) / 100 for kind in NORMALISERS
        }
        ids = tuple(row["id"] for row in rows)
        name = str(stamp["weights"])
        _require_same(file, result, table, nme)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise FiduciaError(
            f"{file}: not a result of fiducia evaluate ({what}); expected a --report folder, or weights"
        ) from error
    xy = _points(file.with_name(POINTS), ids) if file.name == RESULT else None
    return Other(name=name, origin=str(place), result=result, ids=ids, nme=nme, xy=xy)


def _require_same(file: Path, result: Mapping[str, Any], table: Path, nme: Mapping[str, Array]) -> None:
    """Refuse a table of faces that lies beside a result and is of another one: its mean errors are not the result's.

    Raises:
        FiduciaError: naming the figure that differs.
    """
    for kind, values in nme.items():
        key = f"nme_{kind}"
        answered = 100 * values[np.isfinite(values)]
        mean = float(answered.mean()) if len(answered) else None
        stated = result.get(key, mean)
        # Errors in the table have six decimals.
        if (mean is None) != (stated is None) or (mean is not None and abs(mean - stated) > 1e-5 * max(1.0, mean)):
            raise FiduciaError(
                f"{table}: of another result than {file.name}: the mean {key} of its faces is {mean}, there it is {stated}; "
                "write both at once, with --report, or with --json and --faces"
            )


def _points(path: Path, ids: tuple[str, ...]) -> Array | None:
    """Read the points of a report, or None where they were not kept."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            same, xy = tuple(file["ids"].tolist()) == ids, np.asarray(file["xy"], dtype=np.float64)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FiduciaError(f"{path}: damaged ({type(error).__name__}); delete it, or write the report again") from error
    if not same or xy.ndim != 3 or len(xy) != len(ids):
        raise FiduciaError(f"{path}: not of the faces in {FACES}; delete it, or write the report again")
    return xy


def as_other(done: Evaluation, origin: str) -> Other:
    """Return an evaluation that was made here as another result."""
    return Other(
        name=done.protocol.weights,
        origin=origin,
        result=done.result,
        ids=tuple(record.id for record in done.records),
        nme=done.scores.nme,
        xy=done.found,
    )


def refuse(
    origin: str,
    ours: Protocol,
    theirs: Protocol | Mapping[str, Any],
    ids: tuple[Sequence[str], Sequence[str]] | None = None,
) -> None:
    """Refuse a result that was not measured as this one is.

    Raises:
        FiduciaError: naming each field that differs.
    """
    try:
        check_comparable(ours, theirs, ids)
    except Mismatch as error:
        cure = "measure both with the same options"
        if str(error).startswith("labels_sha256:"):
            cure = "the labels were changed between the two; measure both on the same ones"
        if str(error).startswith("selection:"):  # the last field, so the only one that differs
            cure = "a run's directory is its last epoch; its best epoch on validation is RUN/weights/best.safetensors"
        raise FiduciaError(f"--compare {origin}: not measured alike (here and there): {error}; {cure}") from None


def evaluate_against(places: Sequence[str], settings: Settings, **options: Any) -> tuple[Evaluation, list[Compared]]:
    """Measure weights, and compare them with written results or with other weights.

    Written results are read, and refused where they were not measured alike, before any network has run.

    Args:
        places: written results (:func:`read_other`), or weights, which are measured in the same way.
        settings: how the networks are run.
        **options: of :func:`~fiducia.evaluation.evaluate.evaluate_faces`, the data set among them.

    Returns:
        The evaluation, its result with ``comparisons`` where there are any, and the comparisons. In the processes of a
        torchrun other than the first there are none.

    Raises:
        UsageError: a place that is neither a result nor weights.
        FiduciaError: results that were not measured alike, or what an evaluation raises.
    """
    places = list(dict.fromkeys(places))
    others = {place: read_other(place) for place in places if holds_result(place)}
    for place in places:
        if place not in others:
            read_card(place)

    def check(protocol: Protocol, ids: list[str]) -> None:
        for other in others.values():
            refuse(other.origin, protocol, other.result["protocol"], (ids, other.ids))

    def check_weights(protocol: Protocol, ids: list[str], place: str) -> None:
        refuse(place, done.protocol, protocol)

    done = evaluate_faces(settings, check=check, **options)
    for place in places:
        if place not in others:
            weights = replace(settings, weights=place)
            theirs = evaluate_faces(weights, check=partial(check_weights, place=place), **options)
            others[place] = as_other(theirs, place)
    if not done.lead or not places:
        return done, []
    compared = compare_with(done, [others[place] for place in places])
    done.result["comparisons"] = [one.as_dict() for one in compared]
    return done, compared


def compare_with(done: Evaluation, others: Sequence[Other]) -> list[Compared]:
    """Compare an evaluation with others, face by face, over all faces and in each subset.

    Raises:
        FiduciaError: one was not measured alike.
    """
    ids = [record.id for record in done.records]
    kind = done.kind
    ours = 100 * np.where(done.scores.measured[kind], done.scores.nme[kind], np.nan)
    compared = []
    for other in _distinct(done.protocol.weights, others):
        refuse(other.origin, done.protocol, other.result["protocol"], (ids, other.ids))
        theirs = 100 * other.nme[kind]
        both = np.isfinite(ours) & np.isfinite(theirs)
        masks = {"all": np.ones(len(ids), bool), **done.masks}
        rows = {name: paired_bootstrap(theirs[m], ours[m]) for name, m in masks.items() if (m & both).any()}
        compared.append(Compared(other=other, kind=kind, rows=rows, gain=ours - theirs))
    return compared


def _distinct(own: str, others: Sequence[Other]) -> list[Other]:
    """Give names that stand twice as much of their origin's end as tells them apart."""
    names = [own, *(other.name for other in others)]
    named = []
    for other in others:
        if names.count(other.name) > 1:
            rivals = [rival.origin for rival in others if rival is not other and rival.name == other.name]
            other = replace(other, name=f"{other.name} ({_tail(other.origin, rivals)})")
        named.append(other)
    return named


def _tail(origin: str, rivals: Sequence[str]) -> str:
    """Return the shortest end of a path that no rival ends in."""
    parts = Path(origin).parts
    for count in range(1, len(parts) + 1):
        if all(Path(rival).parts[-count:] != parts[-count:] for rival in rivals):
            return Path(*parts[-count:]).as_posix()
    return origin
