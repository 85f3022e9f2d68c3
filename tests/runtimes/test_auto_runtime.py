from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from fiducia.exporting.sealed import Sealed
from fiducia.exporting.traced import trace_openvino
from fiducia.models.base import LandmarkModel
from fiducia.runtimes import auto, cache
from fiducia.runtimes.auto import AutoRuntime, describe, open_auto
from fiducia.runtimes.opening import open_runtime
from fiducia.runtimes.prepare import check_crops
from fiducia.weights.card import WeightCard
from fiducia.weights.store import load_weights
from networks import small, write_small

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("auto") / "small.safetensors", small(), name="small")


@pytest.fixture(scope="module")
def prepared(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that holds the graph of the weights."""
    root = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIDUCIA_CACHE", str(root))
        runtime, _ = open_auto(weights, "cpu")
        assert runtime.about.startswith("openvino"), runtime.why
        runtime(check_crops(runtime.size, 0.8)[:1])
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of that cache, in use."""
    monkeypatch.setenv("FIDUCIA_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(prepared, tmp_path / "cache"))


def entry_of(root: Path) -> Path:
    (entry,) = (root / "graphs").iterdir()
    return entry


def never(*_: object) -> tuple[LandmarkModel, WeightCard]:
    raise AssertionError("the network was loaded in torch")


def test_the_second_start_loads_no_network_and_gives_torchs_points(
    weights: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, card = open_runtime(weights, "torch")
    monkeypatch.setattr(auto, "_load", never)
    runtime, again = open_auto(weights, "cpu")
    # The graph has its decoder built in, so its card names it.
    assert again == card.model_copy(update={"decode": runtime.method})
    assert runtime.about.startswith("openvino 20")
    assert runtime.why == ""
    crops = check_crops(runtime.size, card.scale)
    want, got = truth(crops), runtime(crops)
    # Points of untrained maps lie anywhere; the certificate's own limits hold.
    assert np.linalg.norm(got[0] - want[0], axis=-1).mean() < 0.0005 * card.size
    np.testing.assert_allclose(got[1], want[1], atol=0.05)
    assert got[0].dtype == got[1].dtype == np.float32
    np.testing.assert_array_equal(runtime(crops[2:3])[0][0], got[0][2])


def test_a_start_from_the_cache_needs_no_torch(weights: Path, root: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy, fiducia\n"
        f"p = fiducia.load({str(weights)!r}, device='cpu')\n"
        "p(numpy.zeros((90, 90, 3), numpy.uint8), boxes=[[20, 20, 70, 70]])\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["graph.xml", "graph.bin", "compiled"])
def test_what_is_damaged_is_made_again(weights: Path, root: Path, name: str) -> None:
    path = next(entry_of(root).glob(f"{name}*"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    runtime, _ = open_auto(weights, "cpu")
    assert runtime.about.startswith("openvino")
    runtime(check_crops(runtime.size, 0.8)[:1])
    assert len(next(entry_of(root).glob(f"{name}*")).read_bytes()) > len(whole) // 2
    assert not list(root.glob("graphs/.*"))


def test_a_cache_that_cannot_be_written_is_told_and_torch_computes(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("FIDUCIA_CACHE", str(tmp_path / "file" / "cache"))
    about, why, urgent = describe(open_auto(weights, "cpu")[0])
    assert about.startswith("torch ")
    assert "cannot be written" in why
    assert "FIDUCIA_CACHE" in why
    assert urgent


def test_no_cache_means_torch_without_a_word(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIDUCIA_CACHE", "")
    about, why, urgent = describe(open_auto(weights, "cpu")[0])
    assert about.startswith("torch ")
    assert "turned off" in why
    assert not urgent


def test_why_there_is_no_graph_is_kept(weights: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(root)
    monkeypatch.setattr(LandmarkModel, "export_notes", lambda self: "it draws lots")
    for _ in range(2):
        about, why, urgent = describe(open_auto(weights, "cpu")[0])
        assert about.startswith("torch ")
        assert "it draws lots" in why
        assert not urgent
        # The second start does not try again.
        monkeypatch.setattr(auto, "_make", never)


def test_a_graph_that_gives_other_points_is_refused(weights: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(root)

    def wrong(model: LandmarkModel, card: WeightCard, method: str | None, precision: str) -> Sealed:
        import copy

        import torch

        model = copy.deepcopy(model)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.5)
        return trace(model, card, method, precision)

    trace = trace_openvino
    monkeypatch.setattr("fiducia.exporting.traced.trace_openvino", wrong)
    monkeypatch.setattr(auto, "_candidates", lambda: [auto.runtimes["openvino"]])
    about, why, _ = describe(open_auto(weights, "cpu")[0])
    assert about.startswith("torch ")
    assert "pixels from torch's points" in why


def test_another_card_is_another_entry(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write_small(tmp_path / "other.safetensors", small(), name="other", scale=0.7)
    _, card = open_auto(other, "cpu")
    assert (card.name, card.scale) == ("other", 0.7)
    assert card.sha256 == load_weights(other)[1].sha256


def test_of_two_programs_that_store_at_once_one_wins(weights: Path, root: Path) -> None:
    folder = entry_of(root)
    sealed = cache.Entry(folder).sealed
    assert sealed is not None
    stamp = (folder / "graph.bin").stat().st_mtime_ns
    late = cache.Entry(folder)
    late.keep(sealed, {"passed": True})
    assert (folder / "graph.bin").stat().st_mtime_ns == stamp
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_the_entries_that_were_used_least_lately_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST", 2)
    for number in range(4):
        cache.Entry(tmp_path / str(number)).refuse("a reason")
        os.utime(tmp_path / str(number), (number + 1, number + 1))
    assert cache.Entry(tmp_path / "3").refused == "a reason"
    # Each store prunes: the last one leaves the two newest.
    cache.Entry(tmp_path / "4").refuse("a reason")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3", "4"]


def test_it_goes_through_pickle_and_on_in_a_forked_process(weights: Path, root: Path) -> None:
    runtime, _ = open_auto(weights, "cpu")
    crops = check_crops(runtime.size, 0.8)[:2]
    want = runtime(crops)[0]
    np.testing.assert_allclose(pickle.loads(pickle.dumps(runtime))(crops)[0], want, atol=1e-4)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            got = runtime(crops)[0]
            near = np.linalg.norm(got - want, axis=-1).mean() < 0.1
            os.write(write, f"{runtime.about.partition(' ')[0]} {near}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        assert file.read() == "torch True"
    os.waitpid(child, 0)


def test_an_exported_file_is_opened_by_what_reads_it(weights: Path, root: Path) -> None:
    runtime, card = open_runtime(entry_of(root) / "graph.xml", "auto")
    assert not isinstance(runtime, AutoRuntime)
    assert describe(runtime)[0].startswith("openvino")
    assert card.num_points == runtime.scheme.num_points
