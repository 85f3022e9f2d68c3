"""Which finished runs stand for a run of another table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fiducia.errors import FiduciaError
from fiducia.recipes.files import dump_recipe
from fiducia.reproduce.ledger import RESULT, read_run
from fiducia.reproduce.rows import load_table
from fiducia.reproduce.run import Order, _reuse, plan

FINISHED = {
    "table": "table3",
    "row": "dcca",
    "seed": 0,
    "budget": "epochs",
    "scale": "smoke",
    "source": "synthetic:40",
    "sets": [],
    "training": {"faces": 40},
    "commit": "x",
}


def test_a_run_that_was_measured_on_another_split_is_not_taken_over(tmp_path: Path) -> None:
    """Its figure would stand under the split that was asked for."""
    order = Order(table="table6", source="synthetic:40", out=tmp_path, rows=("dcca",), sets=("epochs=2",))
    (run,) = plan(order, load_table("table6"), "test")
    twin = tmp_path / "table3" / "dcca" / "seed0"
    twin.mkdir(parents=True)
    (twin / "recipe.toml").write_text(dump_recipe(run.recipe))
    (twin / "faces.csv").write_text("id,nme_ic\na,0.03\n")
    for name in ("versions.json", "metrics.json"):
        (twin / name).write_text('{"history": []}')
    # The same recipe, though its settings were written in other words.
    entry = {**FINISHED, "sets": ["train.epochs=2"]}
    (twin / RESULT).write_text(json.dumps({**entry, "result": {"nme_ic": 3.0, "protocol": {"split": "test"}}}))
    assert not _reuse(order, run, "train")
    assert not run.folder.exists()
    assert _reuse(order, run, "test")
    taken = read_run(run.folder / RESULT).entry
    assert (taken["table"], taken["taken_from"], taken["sets"]) == ("table6", "table3/dcca/seed0", ["epochs=2"])


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"result": 3}', json.dumps({**FINISHED, "result": []}), json.dumps(FINISHED)]
)
def test_a_result_that_holds_something_else_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / RESULT).write_text(text)
    (tmp_path / "faces.csv").write_text("id,nme_ic\na,0.03\n")
    with pytest.raises(FiduciaError, match=r"not a finished run .* delete it") as caught:
        read_run(tmp_path / RESULT)
    assert "\n" not in str(caught.value)
