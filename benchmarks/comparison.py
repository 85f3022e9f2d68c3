"""The fair comparison of networks: error against milliseconds, from the folder of its runs, as JSON and as a chart.

Usage: python benchmarks/comparison.py RUNS [--json benchmarks/comparison.json] [--chart docs/images/comparison.svg]

RUNS is the ``--out`` of ``fiducia reproduce comparison``. For each finished row the ledger's NME with its 95 % bootstrap interval
over faces and the NME on validation faces are read, and the trained network of the first seed is timed on one crop as
``benchmarks/zoo.py`` does: the least processor time, on one thread, in torch and in OpenVINO. The page
docs/experiments/comparison.md is made from the JSON.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo import keep, machine, milliseconds

from fiducia.models.count import count_gmac, count_parameters
from fiducia.reproduce.ledger import Line, TableLedger, table_ledger
from fiducia.weights.card import card_scheme
from fiducia.weights.store import load_weights

TABLE = "comparison"
WIDE, HIGH, LEFT, BOTTOM, MARGIN = 760, 420, 64, 52, 24


def row_of(ledger: TableLedger, line: Line, seconds: float) -> dict[str, Any]:
    """Return what is known of a finished row."""
    cell, run = line.cells["epochs"], line.runs[0]
    assert cell.interval is not None
    model, card = load_weights(run.folder / "weights" / "ema.safetensors")
    training = run.entry["training"]
    return {
        "label": line.row.label,
        "nme": round(cell.mean, 3),
        "low": round(cell.interval[0], 3),
        "high": round(cell.interval[1], 3),
        "validation": None if cell.validation is None else round(cell.validation, 3),
        "seeds": list(cell.seeds),
        "params": count_parameters(model),
        "gmac": round(count_gmac(model, model.size), 3),
        **milliseconds(model.eval(), card, card_scheme(card), seconds),
        "training_faces": training["faces"],
        "epochs": training["epochs"],
        "image_views": training["image_views"],
        "training_seconds": training["seconds"],
        "commit": run.entry["commit"],
        "date": datetime.now(UTC).date().isoformat(),
    }


def chart(rows: Mapping[str, Mapping[str, Any]], about: str) -> str:
    """Return an SVG: milliseconds across, on a logarithmic scale, NME upwards, with intervals."""
    points = [(name, row) for name, row in rows.items() if row["openvino_ms"] or row["torch_ms"]]
    times = [float(row["openvino_ms"] or row["torch_ms"]) for _, row in points]
    low_x, high_x = math.log10(min(times) / 1.5), math.log10(max(times) * 2.2)
    low_y = math.floor(2 * min(row["low"] for _, row in points)) / 2
    high_y = math.ceil(2 * max(row["high"] for _, row in points)) / 2

    def x(value: float) -> float:
        return LEFT + (math.log10(value) - low_x) / (high_x - low_x) * (WIDE - LEFT - MARGIN)

    def y(value: float) -> float:
        return HIGH - BOTTOM - (value - low_y) / (high_y - low_y) * (HIGH - BOTTOM - MARGIN)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-family="sans-serif" font-size="13">',
        f"<title>{about}</title>",
        f'<rect width="{WIDE}" height="{HIGH}" fill="#fff"/>',
    ]
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500) if low_x <= math.log10(t) <= high_x]
    for tick in ticks:
        parts.append(f'<path d="M{x(tick):.1f} {MARGIN}V{HIGH - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{HIGH - BOTTOM + 18}" text-anchor="middle" fill="#444">{tick}</text>')
    step = 0.5 if high_y - low_y <= 4 else 1.0
    for i in range(round((high_y - low_y) / step) + 1):
        value = low_y + i * step
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDE - MARGIN}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#444">{value:g}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDE - MARGIN) / 2:.0f}" y="{HIGH - 12}" text-anchor="middle">milliseconds a face, OpenVINO, one '
        "thread</text>"
    )
    middle = (MARGIN + HIGH - BOTTOM) / 2
    parts.append(
        f'<text transform="translate(18 {middle:.0f}) rotate(-90)" text-anchor="middle">NME, % of the eyes’ distance</text>'
    )
    for name, row in points:
        at = x(float(row["openvino_ms"] or row["torch_ms"]))
        parts.append(
            f'<path d="M{at:.1f} {y(row["low"]):.1f}V{y(row["high"]):.1f}" stroke="#3f51b5" stroke-width="2"/>'
        )
        parts.append(f'<circle cx="{at:.1f}" cy="{y(row["nme"]):.1f}" r="5" fill="#3f51b5"/>')
        parts.append(f'<text x="{at + 10:.1f}" y="{y(row["nme"]) + 4:.1f}" fill="#111">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def command_of(ledger: TableLedger, lines: Sequence[Line]) -> str:
    """Return the command that trains these rows, with a place holder for the data's folder."""
    source = str(lines[0].runs[0].entry["source"])
    return ledger.command(lines).replace(source, source.partition(":")[0] + ":ROOT")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chart", type=Path)
    arguments = parser.parse_args()
    ledger = table_ledger(arguments.runs, TABLE)
    done = [line for line in ledger.lines if "epochs" in line.cells]
    if not done:
        parser.error(f"{arguments.runs}: no finished run of the table {TABLE}")
    rows = {}
    for line in done:
        rows[line.row.name] = row_of(ledger, line, arguments.seconds)
        print(line.row.name, rows[line.row.name], flush=True)
    if arguments.json:
        facts = {"benchmark": TABLE, "machine": machine(), "threads": 1, "measured": ledger.measured}
        facts |= {
            "planned": [row.name for row in ledger.table.rows],
            "protocol": list(ledger.protocol[:-1]),
            "training": command_of(ledger, done),
        }
        facts |= {
            "command": "python benchmarks/comparison.py RUNS --json benchmarks/comparison.json --chart docs/images/comparison.svg"
        }
        keep(arguments.json, rows, **facts)
        rows = json.loads(arguments.json.read_text(encoding="utf-8"))["rows"]
    if arguments.chart:
        text = chart(rows, f"Networks at equal data and image views: NME on {ledger.measured} against time")
        arguments.chart.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
