"""``fiducia evaluate`` as one types it: report, comparisons, wrong boxes, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fiducia.cli import app
from fiducia.errors import FiduciaError
from fiducia.metrics.compare import paired_bootstrap
from networks import small, write_small


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two networks that were never trained, and one of another crop."""
    folder = tmp_path_factory.mktemp("networks")
    for seed, (name, scale) in enumerate({"one": 0.8, "two": 0.8, "wide": 0.7}.items()):
        model = small(points=68, seed=seed)
        # As they are initialised, all networks answer with the middle of the crop.
        torch.nn.init.normal_(model.get_parameter("head.weight"), std=5.0)
        write_small(folder / f"{name}.safetensors", model, name=name, scale=scale)
    return folder


def evaluate(place: Path, *arguments: str, weights: str = "one") -> str:
    words = ["evaluate", "--weights", str(place / f"{weights}.safetensors"), "--device", "cpu"]
    result = CliRunner().invoke(app, [*words, "--data", f"synthetic:5@{place}", "--split", "train", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def nme(path: Path) -> np.ndarray:
    with path.open() as file:
        return np.array([float(row["nme_ic"]) for row in csv.DictReader(file)])


def test_written_results_and_weights_are_compared_alike(place: Path, tmp_path: Path) -> None:
    evaluate(place, "--report", str(tmp_path / "two"), "--robustness", weights="two")
    report = tmp_path / "one"
    told = evaluate(
        place,
        *("--compare", str(tmp_path / "two"), "--compare", str(place / "two.safetensors")),
        *("--report", str(report), "--json", "-", "--robustness"),
    )
    result = json.loads(told)
    assert result == json.loads((report / "result.json").read_text())
    written, measured = result["comparisons"]
    by_hand = paired_bootstrap(nme(tmp_path / "two" / "faces.csv"), nme(report / "faces.csv"))
    for one in (written, measured):
        assert one["difference"] == pytest.approx(by_hand.difference, abs=1e-5)
        assert (one["low"], one["high"]) == (
            pytest.approx(by_hand.low, abs=1e-5),
            pytest.approx(by_hand.high, abs=1e-5),
        )
        assert abs(one["difference"]) > 0.1
        assert (one["p"], one["faces"]) == (by_hand.p, 5)
        assert one["ours"] == pytest.approx(result["nme_ic"])
    assert written["weights_sha256"] == measured["weights_sha256"]
    sweep = result["robustness"]
    assert sweep["shift"]["0"] == sweep["scale"]["1"] == pytest.approx(result["nme_ic"], abs=1e-3)
    assert list(sweep["shift"]) == ["0", "0.05", "0.1", "0.15"]
    page = (report / "report.html").read_text()
    assert "Against two (two)<" in page
    assert "Against two (two.safetensors)<" in page
    assert "If the box is wrong" in page
    assert "<code>fiducia" in page
    said = evaluate(place, "--compare", str(tmp_path / "two"))
    assert said.splitlines()[-1].startswith(("one has ", "No difference is shown between one and two"))
    assert "permutation p = " in said.splitlines()[-1]


def test_weights_of_another_crop_are_compared_and_other_faces_are_refused_by_the_field(
    place: Path, tmp_path: Path
) -> None:
    said = evaluate(place, "--compare", str(place / "wide.safetensors")).splitlines()[-1]
    assert "by its own crop: one at 64 px with the box filling 0.8, wide at 64 px with 0.7." in said
    evaluate(place, "--json", str(tmp_path / "two.json"), "--faces", str(tmp_path / "two.csv"), weights="two")
    assert "permutation p" in evaluate(place, "--compare", str(tmp_path / "two.json"))
    with pytest.raises(FiduciaError, match=r"two\.json: not measured alike.*excluded"):
        evaluate(place, "--compare", str(tmp_path / "two.json"), "--exclude", "*0")


def test_a_best_epoch_is_compared_with_no_last_one_but_with_weights_that_do_not_say(place: Path) -> None:
    for which in ("best", "converted"):
        write_small(place / f"{which}.safetensors", small(points=68, seed=1), name=which, which=which)
    converted = str(place / "converted.safetensors")
    assert "permutation p" in evaluate(place, "--compare", converted)
    assert "permutation p" in evaluate(place, "--compare", converted, weights="best")
    with pytest.raises(FiduciaError, match=r"selection: 'last epoch' and 'best on validation'; .*/weights/best\.safe"):
        evaluate(place, "--compare", str(place / "best.safetensors"))
