"""An evaluation as a folder: the figures, the faces, the curve, the galleries, and one page that shows them all."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..data.images import crop, read_image, write_atomic, write_image
from ..draw import ced_chart, contact_sheet, draw_errors
from ..geometry import affine_apply, box_to_crop, tight_box
from .evaluate import Evaluation

Image = npt.NDArray[np.uint8]

__all__ = ["gallery", "write_report"]

_TILE = 256
_LABELS = {
    "nme_ic": "NME, inter-ocular",
    "nme_ip": "NME, inter-pupil",
    "nme_box": "NME, box",
    "nme_diag": "NME, diagonal",
    "fr10_ic": "failures over 10 %",
    "fr8_ic": "failures over 8 %",
    "auc10_ic": "AUC to 10 %, inter-ocular",
    "auc7_box": "AUC to 7 %, box",
    "auc10_ic_grid": "AUC to 10 %, 1e-4 grid",
    "auc7_box_grid": "AUC to 7 %, 1e-4 grid",
}


def write_report(out: Path, done: Evaluation, count: int = 16) -> None:
    """Write ``result.json faces.csv ced.png worst.png median.png best.png report.html`` into a folder.

    Args:
        out: the folder, made where it is absent.
        done: the evaluation.
        count: faces in a gallery.
    """
    kind = "ic" if "ic" in done.scores.nme else "box"
    values = done.scores.nme[kind]
    # Faces without an answer are the worst; equal errors stay in the data's order.
    order = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
    middle = max(0, (len(order) - count) // 2)
    chosen = {"worst": order[::-1][:count], "median": order[middle : middle + count], "best": order[:count]}
    nme = done.result[f"nme_{kind}"]
    words = {"ic": "inter-ocular", "box": "box"}[kind]
    curve = values[done.scores.measured[kind]]
    name = done.protocol.weights if nme is None else f"{done.protocol.weights}   NME {nme:.2f} %"
    pictures = {
        "ced": ced_chart(
            {name: curve},
            threshold=0.1 if kind == "ic" else 0.07,
            title=f"{done.protocol.data}, {done.protocol.split}: {done.protocol.faces} faces",
            xlabel=f"NME ({words}) in %",
        )
    }
    pictures |= {key: gallery(done, indices, kind) for key, indices in chosen.items()}
    for key, picture in pictures.items():
        write_image(out / f"{key}.png", picture)
    write_atomic(out / "faces.csv", done.faces_csv())
    write_atomic(out / "result.json", (json.dumps(done.result, indent=2) + "\n").encode())
    write_atomic(out / "report.html", _page(done.result, done.protocol.words(), pictures, words).encode())


def gallery(done: Evaluation, indices: Sequence[int] | npt.NDArray[np.intp], kind: str, columns: int = 4) -> Image:
    """Return faces as a sheet: truth green, answer red, the error below.

    Args:
        done: the evaluation.
        indices: which faces.
        kind: the normaliser of the error.
        columns: faces in a row.
    """
    tiles, captions = [], []
    for i in indices:
        record = done.records[i]
        to_crop = box_to_crop(tight_box(record.xy), _TILE, 0.7)
        picture = crop(read_image(record.image), to_crop, _TILE)
        truth, found = affine_apply(to_crop, record.xy), affine_apply(to_crop, done.found[i])
        tiles.append(draw_errors(picture, truth, found))
        value = done.scores.nme[kind][i]
        error = "not found" if np.isnan(value) else f"{100 * value:.2f} %"
        captions.append(f"{error}  {record.id.rsplit('/', 1)[-1]}")
    return contact_sheet(tiles, captions=captions, columns=columns)


_STYLE = """
:root { color-scheme: light; } body { font: 16px/1.5 system-ui, sans-serif; color: #262a33; background: #fcfcfa;
max-width: 64rem; margin: 2rem auto; padding: 0 1rem; } h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; } table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #dee0e4; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; } th { font-weight: 600; }
img { max-width: 100%; height: auto; display: block; } ul { padding-left: 1.2rem; color: #4a505c; }
.note { color: #a04a10; } .true { color: #2a8c2a; } .found { color: #d8432a; }
"""


def _page(result: dict[str, Any], protocol: Sequence[str], pictures: dict[str, Image], words: str) -> str:
    """Return one HTML page that needs no other file."""
    title = html.escape(
        f"{result['protocol']['weights']} on {result['protocol']['data']} {result['protocol']['split']}"
    )
    rows = {"all": result, **result["subsets"]}
    keys = [key for key in _LABELS if any(row[key] is not None for row in rows.values())]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows)
    body = "".join(
        f"<tr><td>{_LABELS[key]}</td>" + "".join(f"<td>{_cell(row[key])}</td>" for row in rows.values()) + "</tr>"
        for key in keys
    )
    counts = "".join(f"<td>{row['faces']}</td>" for row in rows.values())
    missed = result["faces"] - result["detected"]
    note = (
        f'<p class="note">Not found: {missed} of {result["faces"]} faces. They fail, and are no part of the NME.</p>'
        if missed
        else ""
    )
    regions = "".join(
        f"<tr><td>{html.escape(name.replace('_', ' '))}</td><td>{_cell(value)}</td></tr>"
        for name, value in sorted(result["regions"].items(), key=lambda item: -item[1])
    )
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in protocol)
    galleries = "".join(
        f'<h2>{name.capitalize()} faces</h2><img alt="{name} faces" src="{_embedded(pictures[name])}">'
        for name in ("worst", "median", "best")
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1><ul>{lines}</ul>{note}"
        f"<h2>Figures in %</h2><table><tr><th></th>{head}</tr><tr><td>faces</td>{counts}</tr>{body}</table>"
        f'<h2>Cumulative error distribution</h2><img alt="CED" src="{_embedded(pictures["ced"])}">'
        f"<h2>NME by region ({words}), %</h2><table>{regions}</table>"
        f'<p>In the pictures the <span class="true">annotation is green</span> and the '
        f'<span class="found">answer is red</span>; a white line joins the two.</p>{galleries}</body></html>\n'
    )


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _embedded(picture: Image) -> str:
    """Return a picture as a data URL."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
