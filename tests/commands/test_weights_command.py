"""``fiducia weights pack`` as one types it: whose figures go into a model card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.errors import UsageError
from fiducia.weights.store import read_card
from networks import small, write_small


def pack(tmp_path: Path, sha256: str | None) -> None:
    stamp = {"data": "synthetic", "split": "test", "weights_sha256": sha256}
    (tmp_path / "r.json").write_text(json.dumps({"protocol": stamp, "faces": 5, "nme_ic": 4.2}))
    words = ["weights", "pack", str(tmp_path / "one.safetensors"), "--out", str(tmp_path / "packed.safetensors")]
    result = CliRunner().invoke(app, [*words, "--name", "mine", "--result", str(tmp_path / "r.json")])
    if result.exception is not None:
        raise result.exception


def test_figures_of_other_weights_do_not_go_into_a_card(tmp_path: Path) -> None:
    own, other = (
        read_card(write_small(tmp_path / f"{name}.safetensors", small(points=68, seed=seed), name=name)).sha256
        for seed, name in enumerate(("one", "two"))
    )
    with pytest.raises(UsageError, match=rf"r\.json: of other weights \(sha256 {other[:12]}; these have {own[:12]}"):
        pack(tmp_path, other)
    assert not (tmp_path / "packed.safetensors").exists()
    pack(tmp_path, own)
    card = read_card(tmp_path / "packed.safetensors")
    assert card.sha256 != own
    assert card.numbers[0]["value"] == 4.2
    pack(tmp_path, card.sha256)  # what was packed was measured, to be packed again with its figures
    pack(tmp_path, None)
