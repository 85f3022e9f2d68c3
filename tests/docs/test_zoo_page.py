"""The model zoo says of every network what was shown of it, and of no other."""

from __future__ import annotations

from fiducia.weights.info import load_card
from fiducia.weights.places import shipped_names

from .pages import generated


def zoo_rows() -> dict[str, list[str]]:
    """Return the cells of the table's rows by network."""
    lines = [line for line in generated()["zoo.md"].splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("`"): row for row in rows if len(row) == 11}


def test_shipped_weights_make_their_own_network_trained_and_none_of_the_same_name() -> None:
    rows = zoo_rows()
    for weights in shipped_names():
        network = load_card(weights).network
        *_, status, recipe = rows[network]
        assert status.startswith("trained here")
        assert f"`{weights}`" in recipe
        if network != weights:
            *_, ours, status, recipe = rows.get(weights, ["–", "–", "–"])
            assert status.startswith("trained here") == (ours != "–")
            assert weights not in recipe
