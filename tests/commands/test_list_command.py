from __future__ import annotations

import json

import pytest

from fiducia.cli import main
from fiducia.recipes.files import load_recipe

LISTS = ("models", "weights", "datasets", "schemes", "losses", "detectors", "recipes")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as done:
        main(["list", *arguments])
    assert done.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("what", LISTS)
def test_every_list_is_a_json_array_of_equal_rows(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, what, "--json"))
    assert isinstance(rows, list)
    assert len({tuple(row) for row in rows}) <= 1
    assert all(row["name"] for row in rows)


def test_data_sets_fit_a_terminal_and_lose_nothing_in_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    table = run(capsys, "datasets")
    assert "fetch" not in table.splitlines()[0]
    assert all(len(line) <= 80 for line in table.splitlines())
    rows = json.loads(run(capsys, "datasets", "--json"))
    assert {"faces", "fetch", "licence"} <= set(rows[0])
    # Every name stands whole on a line of its own row.
    words = {line.split()[0] for line in table.splitlines()[1:] if line.strip() and not line.startswith(" ")}
    assert words == {row["name"] for row in rows}


def test_the_default_detector_is_marked_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    line = next(line for line in run(capsys, "detectors").splitlines() if line.startswith("auto"))
    assert line.split()[1] == "yes"


def test_of_a_recipe_in_stages_all_epochs_count(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["name"]: row for row in json.loads(run(capsys, "recipes", "--json"))}
    assert (rows["fifa_tiny"]["epochs"], rows["fifa_tiny"]["size"]) == (30 + 36, 192)
    assert rows["smoke"]["epochs"] == load_recipe("smoke").train.epochs
