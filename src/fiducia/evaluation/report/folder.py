"""An evaluation as a folder: one page for people, and the files behind it."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...files import text_bytes, write_atomic
from ..evaluate import Evaluation
from .charts import ced_svg, confidence_svgs, sweep_svgs, trust_svg
from .face import face_svg, mean_shape
from .markdown import latex, markdown
from .others import FACES, POINTS, RESULT, Compared
from .page import page
from .pictures import apart, jpeg, ranked, sheet, tiles, versus
from .slider import Slide, answers, labels_and_answers
from .svg import standalone

__all__ = ["write_report"]

_SLIDES = 6


def write_report(
    out: Path, done: Evaluation, compared: Sequence[Compared] = (), *, count: int = 24, command: str = ""
) -> None:
    """Write a report into a folder: ``report.html report.md report.tex``, the data behind it, charts (SVG), galleries (JPEG).

    ``report.html`` needs no other file. The data are ``result.json``, ``faces.csv`` and ``points.npz``, which has ``ids``, the
    points ``xy`` ``(N, K, 2)`` and, where it is known, their ``confidence``; with it a later report can draw these answers
    beside its own.

    Args:
        out: the folder, made where it is absent.
        done: the evaluation.
        compared: with others, of :func:`~fiducia.evaluation.report.others.compare_with`.
        count: of the worst faces; a fourth as many are shown of the median and of the best.
        command: the command line, to be shown.

    Raises:
        FiduciaError: a photograph that cannot be read, or a place that cannot be written.
    """
    charts = _charts(done, compared)
    order = ranked(done, count)
    galleries = {name: tiles(done, chosen) for name, chosen in order.items()}
    slides: dict[str, list[Slide]] = {"worst": labels_and_answers(done, order["worst"], _SLIDES)}
    for i, one in enumerate(compared):
        if one.other.xy is not None:
            for side, chosen in apart(one, max(1, count // 2)).items():
                galleries[f"{i} {side}"] = versus(done, one, chosen)
                slides[f"{i} {side}"] = answers(done, one, chosen, _SLIDES // 2)
    files = {f"{name}.svg": text_bytes(standalone(svg)) for name, svg in charts.items()}
    files |= {f"{name}.jpg": jpeg(sheet(galleries[name])) for name in ("worst", "median", "best")}
    files[RESULT] = (json.dumps(done.result, indent=2) + "\n").encode()
    files[FACES] = done.faces_csv()
    files[POINTS] = _points(done)
    files["report.md"] = text_bytes(markdown(done, compared, files, command))
    files["report.tex"] = text_bytes(latex(done, compared))
    files["report.html"] = text_bytes(page(done, compared, charts, galleries, slides, command))
    for name, data in files.items():
        write_atomic(out / name, data)


def _charts(done: Evaluation, compared: Sequence[Compared]) -> dict[str, str]:
    truth = np.stack([record.xy for record in done.records])
    charts = {
        "ced": ced_svg(done, compared),
        "face": face_svg(mean_shape(truth), done.scheme, done.result["points"], done.result["regions"]),
    }
    if done.result.get("reliability"):
        charts["near"], charts["error"] = confidence_svgs(done.result["reliability"])
    if (done.result.get("trust") or {}).get("sigma"):
        charts["trust"] = trust_svg(done.result["trust"]["sigma"])
    if done.result.get("robustness"):
        charts["shift"], charts["scale"] = sweep_svgs(done, compared)
    return charts


def _points(done: Evaluation) -> bytes:
    file = io.BytesIO()
    arrays = {"ids": np.array([record.id for record in done.records]), "xy": done.found}
    if done.confidence is not None:
        arrays["confidence"] = done.confidence
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
