"""``summary.html``: what a run found, on one page: figures, histograms, photographs without a face, and failures."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from ..pages import bars, boxes, document, table
from .figures import BINS, Figures

__all__ = ["summary_page"]

_NARROW = 400.0
"""Width of the charts that stand side by side."""


def summary_page(found: Figures, facts: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        found: what the parts hold.
        facts: of the run: weights, options, number of photographs.
    """
    title = f"{found.photographs:,} images annotated"
    return document(
        title,
        [
            f"<h1>{title}</h1>",
            _boxes(found),
            _made_by(facts),
            _quality(found),
            _faces(found),
            _doubtful(found),
            _without(found),
            _failures(found),
            _remarks(found),
        ],
    )


def _boxes(found: Figures) -> str:
    values = {"images": f"{found.photographs:,}", "faces": f"{found.faces:,}"}
    values |= {"without a face": f"{found.empty:,}", "failed": f"{found.failed:,}"}
    if found.videos:
        values |= {"videos among them": f"{found.videos:,}", "frames of videos": f"{found.frames:,}"}
    return boxes(values)


def _made_by(facts: Mapping[str, Any]) -> str:
    rows = [f"weights {facts['weights']} (SHA-256 {facts['weights_sha256'][:12]}), landmark set {facts['scheme']}"]
    rows += [f"detector {facts['detector']}"]
    rows += [
        f"{key.replace('_', ' ')} {facts[key]}" for key in ("min_face", "min_score", "min_quality") if facts.get(key)
    ]
    return f'<ul class="stamp">{"".join(f"<li>{html.escape(row)}</li>" for row in rows)}</ul>'


def _steps() -> list[str]:
    return [f"{i / BINS:.2f}" for i in range(BINS)]


def _quality(found: Figures) -> str:
    if not found.quality:
        return "<h2>Quality</h2><p>These weights are not calibrated, so faces have no quality.</p>"
    good = sum(found.quality[BINS // 2 :]) / max(1, sum(found.quality))
    chart = bars(
        found.quality,
        _steps(),
        label="histogram of quality",
        xlabel="quality: probability that the points are right",
        ylabel="faces",
        every=2,
    )
    return (
        f"<h2>Quality</h2><p>{100 * good:.1f} % of the faces have a quality of 0.5 or more. The number below a bar is its lower "
        f'end.</p><div class="wide">{chart}</div>'
    )


def _faces(found: Figures) -> str:
    """Return histograms of faces per image, of sizes and of the detector's score."""
    if not found.faces:
        return ""
    most = max(found.per_photograph, default=0)
    counts = [found.per_photograph.get(n, 0) for n in range(most + 1)]
    each = bars(
        counts,
        [f"{n}" if n < 10 else "10+" for n in range(most + 1)],
        label="histogram of faces per image",
        xlabel="faces in an image",
        ylabel="images",
        every=2,
        width=_NARROW,
    )
    steps = [2**n for n in range(min(found.sizes).bit_length() - 1, max(found.sizes).bit_length())]
    sizes = bars(
        [found.sizes.get(step, 0) for step in steps],
        [f"{step}-{2 * step - 1}" for step in steps],
        label="histogram of face sizes",
        xlabel="longer side of the box in pixels",
        ylabel="faces",
        every=1 if len(steps) <= 4 else 2,
        width=_NARROW,
    )
    score = bars(
        found.score,
        _steps(),
        label="histogram of the detector's score",
        xlabel="score",
        ylabel="faces",
        every=4,
        width=_NARROW,
    )
    parts = [("Faces per image", each)] if found.photographs > found.videos else []
    parts += [("Size of faces", sizes), ("Score of the detector", score)]
    shown = "".join(f"<div><h3>{head}</h3>{chart}</div>" for head, chart in parts)
    return f'<h2>Faces</h2><div class="pair">{shown}</div>'


def _doubtful(found: Figures) -> str:
    if not found.doubtful:
        return ""
    rows = [
        ["image", "face", "quality"],
        *([name, str(face), f"{quality:.3f}"] for quality, name, face in found.doubtful),
    ]
    return (
        f"<h2>The most doubtful faces</h2><p>The {len(found.doubtful)} faces of the lowest quality. Leave such faces out with "
        f"<code>--min-quality</code>, or when you read the rows.</p>{table(rows, plain=True)}"
    )


def _without(found: Figures) -> str:
    if not found.empty:
        return ""
    return _listed("Images without a face", found.without, found.empty)


def _failures(found: Figures) -> str:
    if not found.failed:
        return "<h2>Failures</h2><p>None.</p>"
    rows = [["reason (numbers as N)", "images"], *([text, f"{n:,}"] for text, n in found.reasons.most_common(30))]
    lines = [error if name in error else f"{name}: {error}" for name, error in found.failures]
    return f"<h2>Failures</h2>{table(rows, plain=True)}{_listed('', lines, found.failed)}"


def _listed(head: str, lines: list[str], total: int) -> str:
    more = (
        f" The first {len(lines):,} of {total:,}; the table <code>photographs</code> has all."
        if total > len(lines)
        else ""
    )
    rows = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    title = f"<h2>{head}</h2>" if head else ""
    shown = " open" if total <= 12 else ""
    return f'{title}<details{shown}><summary>{total:,} images.{more}</summary><ul class="stamp">{rows}</ul></details>'


def _remarks(found: Figures) -> str:
    if not found.remarks:
        return ""
    rows = [["remark", "images"], *([text, f"{n:,}"] for text, n in found.remarks.most_common(20))]
    return f"<h2>Remarks</h2>{table(rows, plain=True)}"
