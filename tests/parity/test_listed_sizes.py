"""``fiducia list models --json``: parameters and multiply-adds are those of the published networks."""

from __future__ import annotations

import json
from math import prod

import pytest
from golden import entries, load
from rebuild import variant, variants

from fiducia.cli import main
from fiducia.models.build import build_model
from fiducia.models.count import count_gmac, count_parameters, describe_models

LISTED = {
    "hrnet_w18": ("hrnet_w18", "300w"),
    "adnet": ("adnet", "300w"),
    "star": ("star", "300w"),
    "fan": ("fan", "fan4"),
    "fan2": ("fan", "fan2"),
    "fan1": ("fan", "fan1"),
    "shfan": ("fan", "fan2"),
    "slpt": ("slpt", "300w_6"),
    "slpt12": ("slpt", "300w_12"),
    "hih": ("hih", "300w"),
    "farl": ("farl", "300w_448"),
    "pipnet_r18": ("pipnet_r18", "300w_r18"),
    "awing": ("awing", "300w"),
}
"""Name in the list, which counts for 68 landmarks → golden file and variant of 68 landmarks."""
PRESENT = [name for name, (system, which) in LISTED.items() if which in variants(system)]


def counts(system: str, which: str) -> tuple[int, int]:
    """Return how many published parameters an output depends on, and how many are registered.

    What is left out here is told by each network's own test, to the parameter.
    """
    recorded = load(system)
    idle = set(recorded["parameters_without_effect_on_outputs"])
    facts = variant(recorded, which)
    total = int(facts["params"])
    if "params_that_matter" in facts:
        return int(facts["params_that_matter"]), int(facts["params_that_matter"])
    return total - sum(prod(e[1]) for e in entries(recorded, which) if e[0] in idle), total


@pytest.mark.parametrize("name", PRESENT)
def test_a_listed_network_has_the_published_size(name: str) -> None:
    row = next(row for row in describe_models(68) if row["name"] == name)
    system, which = LISTED[name]
    least, most = counts(system, which)
    assert least <= row["params"] <= most < 1.01 * least
    gmac = variant(load(system), which).get("gmac")
    if gmac is not None:
        assert row["gmac"] == pytest.approx(gmac, rel=0.05)


@pytest.mark.skipif("wflw" not in variants("pfld"), reason="needs pfld.json of the parity goldens")
def test_pfld_has_the_published_size_for_98_landmarks() -> None:
    model = build_model("pfld", 98)
    assert count_parameters(model) == counts("pfld", "wflw")[0]
    assert count_gmac(model, 112) == pytest.approx(variant(load("pfld"), "wflw")["gmac"], rel=0.05)


def test_the_command_prints_what_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["list", "models", "--json"])
    printed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    counted = {row["name"]: row for row in describe_models(68)}
    assert printed == counted
    assert all(isinstance(printed[name]["params"], int) for name in LISTED)
