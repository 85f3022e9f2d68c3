"""The model cards of the weights that are part of the package, as the zoo shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from markdown_table import code, table

from fiducia.weights.card import WeightCard
from fiducia.weights.info import load_card
from fiducia.weights.places import find_weights, shipped_names

__all__ = ["model_cards"]

HEAD = """
## Model cards of the shipped weights

Generated from the files. `fiducia weights info NAME` prints the whole model card of any weights, yours too. Figures are in percent.
[Weights](weights.md) says how they were measured and what to know before you use them.

"""


def model_cards() -> str:
    """Return the section as Markdown: one table with a column for each of the shipped weights."""
    cards = {name: load_card(name) for name in shipped_names()}
    rows = [_entries(card, find_weights(name).stat().st_size) for name, card in cards.items()]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return HEAD + table(("", *map(code, cards)), ([key, *(row.get(key, "–") for row in rows)] for key in keys))


def _entries(card: WeightCard, size: int) -> dict[str, str]:
    training = card.training
    found = {
        "network": code(card.network),
        "landmarks": f"{card.num_points}, {code(card.scheme)}",
        "input": f"{card.size} px; the box fills {card.scale:g} of the crop's side",
        "decoder": code(card.decode or ""),
        "flip test-time augmentation": "yes" if card.flip else "no",
        "numbers, with the norms' statistics": f"{card.params:,}",
        "file": f"{size / 1e6:.1f} MB, SHA-256 of the tensors {code(card.sha256[:12])}…",
        "training data": f"{training.get('data', '–')}, {training.get('split', '–')}",
        "excluded from training": ", ".join(map(code, training.get("exclude", ()))),
        "licence": card.licence,
        "date": card.date,
    }
    return found | dict(_figures(card.numbers))


def _figures(numbers: Iterable[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """Yield each measured figure with its data, split and number of faces."""
    for row in numbers:
        where = f"{row['data']} {code(row['split'])}, {row['faces']} faces"
        value = row["value"]
        yield f"{code(row['metric'])} on {where}", f"{value:.3f}" if isinstance(value, float) else json.dumps(value)
