from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

from torch import nn

from drawn import KITE
from fiducia.cli import main
from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.evaluation.evaluate import evaluate
from fiducia.exporting import certificate
from fiducia.exporting import graphs as exporting
from fiducia.exporting.graphs import _quantize, _store_half, to_onnx, to_openvino
from fiducia.exporting.rewrite import DenseFilter, fold_batch_norms, simplify_filters
from fiducia.exporting.sealed import Sealed, read_sealed, seal_onnx, write_onnx, write_openvino
from fiducia.geometry import tight_box
from fiducia.heatmaps.decode import decode, decoders, heatmap_decoders
from fiducia.models import LandmarkModel
from fiducia.models.base import CropsToPoints
from fiducia.models.parts.reading import ExpectationHead
from fiducia.models.parts.spectral import FFParser
from fiducia.predict.predictor import load
from fiducia.runtimes.onnx_runtime import OnnxRuntime
from fiducia.runtimes.opening import open_runtime, read_card
from fiducia.runtimes.torch_runtime import TorchRuntime
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput, Prediction
from fiducia.weights.card import WeightCard
from fiducia.weights.store import save_weights
from networks import small, small_card, small_options, write_small

OPTIONS: dict[str, Any] = {"hourglass": {"ffp_max": 0}}
KITE_CARD: dict[str, Any] = {"scheme": KITE.name, "scheme_table": KITE.to_table()}
EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_only.py"


def lively(points: int = 5, size: int = 64, name: str = "fifa_tiny") -> LandmarkModel:
    """A small network in which no layer is idle: norms, filters and gates are away from where they start."""
    model = small(name, points, size, seed=3, **(OPTIONS if name == "fifa_tiny" else {}))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.3)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
            nn.init.normal_(module.bias, std=0.3)
        if isinstance(module, FFParser):
            nn.init.normal_(module.weight, mean=0.5, std=0.3)
    for name, parameter in model.named_parameters():
        if name.endswith("gate"):
            nn.init.normal_(parameter)
        if name == "head.weight":
            nn.init.normal_(parameter, std=0.7)
    return model.eval()


def crops(count: int, size: int = 64) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 3, size, size), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "lively.safetensors"
    save_weights(path, lively().state_dict(), small_card(name="lively", options=small_options(**OPTIONS)))
    return path


@pytest.fixture(scope="module")
def exported(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes: an ONNX file and its certificate."""
    path = tmp_path_factory.mktemp("export") / "lively.onnx"
    main_ok(["export", "--weights", str(weights), "--format", "onnx", "--out", str(path), "--faces", "6"])
    return path


def main_ok(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code in (0, None)


@pytest.mark.parametrize("name", ["fifa_tiny", "fifa_lite"])
def test_folded_norms_change_nothing(name: str) -> None:
    model, images = lively(name=name), torch.from_numpy(crops(2))
    with torch.inference_mode():
        before = model(images).heatmaps[-1]
        norms = sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
        folded = fold_batch_norms(model)
        after = model(images).heatmaps[-1]
    assert 0 < folded == norms - sum(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("h", "w"), [(4, 4), (8, 8), (16, 16), (6, 9), (5, 4), (18, 18)])
def test_filters_in_their_quick_form_are_the_same_filters(h: int, w: int) -> None:
    torch.manual_seed(h * w)
    parent = nn.Sequential(FFParser(3, h, w, init="paper"))
    x = torch.randn(2, 3, h, w)
    before = parent(x)
    assert simplify_filters(parent) == 1
    assert isinstance(parent[0], DenseFilter) == (h * w <= 256)
    torch.testing.assert_close(parent(x), before, rtol=1e-4, atol=1e-5)


def test_the_head_reads_what_the_decoder_reads() -> None:
    torch.manual_seed(0)
    head = nn.Conv2d(6, 5, 1)
    nn.init.normal_(head.weight, std=3)
    features = torch.randn(2, 6, 16, 16)
    points, sure = ExpectationHead(head, 16, 64)(features)
    cells, confidence = decode(head(features))
    torch.testing.assert_close(points, (cells + 0.5) * 4 - 0.5, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(sure, confidence)
    # Logits that exp() cannot hold are still 0 and 1.
    with torch.no_grad():
        head.weight.mul_(1e3)
    assert torch.isfinite(ExpectationHead(head, 16, 64)(features)[0]).all()


def test_equal_constants_stand_in_the_file_once(exported: Path) -> None:
    import onnx

    model = onnx.load_from_string(read_sealed(exported).graph)
    tables = [t for t in model.graph.initializer if t.name.endswith(".dft")]
    # Three hourglasses have filters of the same two sizes at most; one table each.
    assert 0 < len(tables) == len({t.raw_data for t in tables})
    known = {t.name for t in model.graph.initializer}
    made = {name for node in model.graph.node for name in node.output}
    assert all(name in known | made | {"crops", ""} for node in model.graph.node for name in node.input)


def test_graph_gives_what_the_torch_runtime_gives() -> None:
    model, card = lively(), small_card()
    points, confidence = TorchRuntime(model, card, get_scheme("five"))(crops(2))
    images = torch.from_numpy(crops(2))
    with torch.inference_mode():
        for graph in (model.graph(), CropsToPoints(model), CropsToPoints(model, "expectation")):
            xy, sure = graph(images)
            np.testing.assert_allclose(xy, points, atol=1e-4)
            np.testing.assert_allclose(sure, confidence, atol=1e-6)
    assert points.std(axis=1).min() > 0.5  # the points do differ, or every comparison below would be empty


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_both_runtimes_give_torchs_points_for_any_batch(weights: Path, exported: Path, runtime: str) -> None:
    truth, _ = open_runtime(weights, "torch")
    other, card = open_runtime(exported, runtime)
    assert (other.size, other.scheme.name, card.name) == (64, "five", "lively")
    for count in (1, 2, 5, 1):
        for mine, its in zip(other(crops(count)), truth(crops(count)), strict=True):
            assert (mine.dtype, mine.shape) == (np.float32, its.shape)
            np.testing.assert_allclose(mine, its, atol=2e-3)


def test_openvino_files_give_torchs_points(weights: Path, exported: Path, tmp_path: Path) -> None:
    sealed = read_sealed(exported)
    xml, binary = to_openvino(sealed.graph, sealed.facts())
    path = tmp_path / "lively.xml"
    write_openvino(path, replace(sealed, graph=xml, weights=binary))
    other, card = open_runtime(path, "openvino")
    assert card.model_copy(update={"sha256": ""}) == sealed.card.model_copy(update={"sha256": ""})
    np.testing.assert_allclose(other(crops(3))[0], open_runtime(weights, "torch")[0](crops(3))[0], atol=2e-3)
    flipped = bytearray(binary)
    flipped[len(flipped) // 2] ^= 4
    for suffix, content in ((".bin", bytes(flipped)), (".bin", binary[:-1]), (".xml", xml), (".xml", b"<net/>")):
        write_openvino(path, replace(sealed, graph=xml, weights=binary))
        path.with_suffix(suffix).write_bytes(content)
        refused(path, "openvino")
    path.with_suffix(".bin").unlink()
    refused(path, "openvino", "no such file; expected an exported graph")


def test_the_certificate_lies_beside_the_file(weights: Path, exported: Path) -> None:
    told = json.loads(exported.with_name("lively.onnx.json").read_text())
    assert told["passed"] is True
    assert told["faces"] == 6
    assert 0 <= told["pixels_mean"] <= told["pixels_max"] < 0.01
    assert told["nme_before"] > 0
    assert abs(told["nme_change"]) < 0.01
    assert told["weights"]["sha256"] == read_card(weights).sha256
    assert told["files"][0]["sha256"] == read_card(exported).sha256
    # The weights' card leaves the decoder to the network; the file names the one that it has built in.
    assert read_card(weights).decode is None
    assert told["weights"]["decode"] == read_card(exported).decode == "expectation"
    assert {"torch", "onnx", "onnxruntime"} <= set(told["versions"])


def test_a_file_over_the_limit_is_an_error_and_leaves_nothing(
    weights: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = lively().state_dict()
    state["head.weight"][:, 0] += torch.linspace(-2, 2, 5)[:, None, None]
    changed = tmp_path / "changed.safetensors"
    save_weights(changed, state, read_card(weights))
    out = tmp_path / "wrong.onnx"
    graph = read_sealed(exported).graph
    monkeypatch.setattr(exporting, "to_onnx", lambda *_, **__: graph)
    with pytest.raises(SystemExit) as ended:
        main(["export", "--weights", str(changed), "--out", str(out), "--faces", "3"])
    assert ended.value.code == 1
    assert "over the limit of 0.01" in capsys.readouterr().err
    # What gives other points than the network is not left behind, nor is a certificate of it.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed.safetensors"]


def test_distances_and_errors_by_hand() -> None:
    scheme = get_scheme("five")
    truth = np.array([[[10.0, 10], [20, 10], [15, 15], [11, 20], [19, 20]]])
    twice = np.array([[[2.0, 0, 0], [0, 2, 0]]])
    sure = np.ones((1, 5))
    found = certificate.compare((2 * truth, sure), (2 * truth + [3, 4], sure - 0.25), twice, truth, scheme)
    assert (found["pixels_mean"], found["pixels_max"], found["confidence_max"]) == (5, 5, 0.25)
    # 2.5 photograph pixels off.
    assert found["nme_before"] == 0
    across = {"nme_ic": 10.0, "nme_box": 10.0}[found["nme_metric"]]
    assert found["nme_change"] == pytest.approx(250 / across)
    lost = certificate.compare((truth, sure), (truth * np.nan, sure), twice, None, scheme)
    assert lost["pixels_mean"] == np.inf
    assert lost["nme_change"] is None


def refused(path: Path, runtime: str, why: str = "fiducia export") -> None:
    with pytest.raises(FiduciaError, match=why) as found:
        open_runtime(path, runtime)
    assert "\n" not in str(found.value)
    assert path.stem in str(found.value)


def test_damaged_and_foreign_files_are_refused(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    path = tmp_path / "bad.onnx"
    rng = np.random.default_rng(0)
    for content in (
        b"",
        b"x" * 60,
        whole[: len(whole) // 2],
        whole[:-1],
        whole + b"\n",
        read_sealed(exported).graph[:99],
    ):
        path.write_bytes(content)
        refused(path, "onnx")
    for at in (0, len(whole) - 1, *rng.integers(0, len(whole), 30)):
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(changed)
        refused(path, "onnx")
    path.write_bytes(whole)
    open_runtime(path, "onnx")


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize(
    "change", [{"scheme": "ibug68", "num_points": 68}, {"scheme": "own", "num_points": 7}, {"size": 96}]
)
def test_a_card_of_another_network_is_refused(
    exported: Path, tmp_path: Path, change: dict[str, Any], runtime: str
) -> None:
    sealed = read_sealed(exported)
    path = tmp_path / "wrong.onnx"
    write_onnx(path, replace(sealed, card=sealed.card.model_copy(update=change)))
    refused(path, runtime, "but the graph maps")


def test_a_card_whose_landmark_set_has_another_size_is_refused(exported: Path, tmp_path: Path) -> None:
    sealed = read_sealed(exported)
    write_onnx(tmp_path / "w.onnx", replace(sealed, card=sealed.card.model_copy(update={"scheme": "ibug68"})))
    with pytest.raises(FiduciaError, match="these weights give 5 points, but their card says ibug68"):
        open_runtime(tmp_path / "w.onnx", "onnx")
    write_onnx(tmp_path / "own.onnx", replace(sealed, card=sealed.card.model_copy(update={"scheme": "muzzle"})))
    with pytest.raises(UsageError, match="neither can be converted"):
        evaluate(str(tmp_path / "own.onnx"), "synthetic:4", "test", runtime="onnx")


def test_an_export_names_no_file_of_the_machine_that_wrote_it(exported: Path) -> None:
    whole = exported.read_bytes()
    for word in (str(Path(exporting.__file__).parents[3]), "site-packages", str(Path.home()), ".py"):
        assert word.encode() not in whole


def test_the_seal_is_plain_onnx_metadata(exported: Path) -> None:
    import onnx

    model = onnx.load(exported)
    onnx.checker.check_model(model)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["fiducia"])["card"]["scheme"] == "five"
    sealed = read_sealed(exported)
    long = replace(sealed, card=sealed.card.model_copy(update={"notes": "é" * 20_000}))
    again = onnx.load_from_string(seal_onnx(long))
    assert json.loads(again.metadata_props[-2].value)["card"]["notes"] == "é" * 20_000


def test_evaluate_and_detect_take_the_file_alone(weights: Path, exported: Path, tmp_path: Path) -> None:
    figures = {
        runtime: evaluate(str(path), "synthetic:12", "test", runtime=runtime)
        for runtime, path in (("torch", weights), ("onnx", exported), ("openvino", exported))
    }
    for runtime in ("onnx", "openvino"):
        assert figures[runtime]["nme_box"] == pytest.approx(figures["torch"]["nme_box"], abs=1e-3)
        assert figures[runtime]["protocol"]["runtime"] == runtime
    alone = tmp_path / "alone.onnx"
    shutil.copy(exported, alone)
    image = synthetic_face(7)[0]
    boxes = [[40, 40, 200, 210]]
    np.testing.assert_allclose(
        load(alone, detector=None, runtime="onnx")(image, boxes)[0].xy,
        load(weights, detector=None)(image, boxes)[0].xy,
        atol=0.05,
    )


def test_wrong_use(weights: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--runtime torch cannot read; use --runtime onnx"):
        open_runtime(exported, "torch")
    with pytest.raises(UsageError, match="no such file"):
        open_runtime(tmp_path / "none.onnx", "onnx")
    for more, why in (
        (["--format", "tflite", "--out", "a.onnx"], "expected onnx or openvino"),
        (["--format", "onnx", "--out", "a.xml"], "ends in .onnx"),
        (["--format", "openvino", "--out", "a.onnx"], "ends in .xml"),
        (["--format", "openvino", "--out", "a.xml", "--int8"], "int8 is for --format onnx alone"),
        (["--out", "a.onnx", "--precision", "bfloat16"], "bfloat16 is for --format openvino alone"),
        (["--out", "a.onnx", "--precision", "float8"], "no such precision"),
        (["--out", "a.onnx", "--precision", "float16", "--int8"], "contradict"),
        (["--out", "a.onnx", "--check-split", "test"], "needs --check-data"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["export", "--weights", str(weights), *more])
        assert ended.value.code == 2
        assert why in capsys.readouterr().err


def test_an_own_landmark_set_is_exported_in_int8_and_checked_by_the_points_own_distance(tmp_path: Path) -> None:
    """No drawn face is labelled in it, so no NME can be told; the limit is a share of the crop."""
    own = write_small(tmp_path / "kite.safetensors", lively(points=4), options=small_options(**OPTIONS), **KITE_CARD)
    out = tmp_path / "kite.onnx"
    main_ok(["export", "--weights", str(own), "--out", str(out), "--int8", "--faces", "3"])
    told = json.loads(out.with_name("kite.onnx.json").read_text())
    assert told["passed"] is True
    assert told["nme_before"] is None
    assert told["limit"] == {"figure": "pixels_mean", "at_most": pytest.approx(0.003 * 64)}
    assert open_runtime(out, "onnx")[0].scheme.names == KITE.names


@pytest.mark.parametrize(("smaller", "share", "pixels"), [(_store_half, 0.9, 0.05), (_quantize, 0.95, 2.0)])
def test_smaller_files_give_nearly_the_same_points(
    weights: Path, exported: Path, smaller: Callable[[Any], Any], share: float, pixels: float
) -> None:
    import onnx

    sealed = read_sealed(exported)
    proto = onnx.load_from_string(sealed.graph)
    graph = (smaller(proto) or proto).SerializeToString()
    assert len(graph) < share * len(sealed.graph)
    small = OnnxRuntime(replace(sealed, graph=graph), get_scheme("five"))(crops(4))[0]
    apart = np.linalg.norm(small - open_runtime(weights, "torch")[0](crops(4))[0], axis=-1)
    assert 0 < apart.mean() < pixels


class OneLayer(LandmarkModel):
    """The smallest network that has heatmaps."""

    def __init__(self) -> None:
        super().__init__(5, 64)
        torch.manual_seed(1)
        self.decoders = heatmap_decoders("expectation")
        self.layer = nn.Conv2d(3, 5, 8, 4, padding=2)

    def forward(self, images: torch.Tensor) -> ModelOutput:
        """Crops → logits."""
        return ModelOutput(heatmaps=[2 * self.layer(images.float() / 64 - 2)])

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        """By any decoder."""
        return self.decode_heatmaps(output, method)


@pytest.mark.parametrize("method", sorted(decoders))
def test_every_decoder_fits_into_the_graph(method: str) -> None:
    model = OneLayer().eval()
    card = WeightCard(name="one", model="one", scheme="five", num_points=5, size=64, decode=method)
    scheme = get_scheme("five")
    graph = OnnxRuntime(Sealed(card=card, precision="float32", source="", graph=to_onnx(model, card)), scheme)
    truth = TorchRuntime(model, card, scheme)
    assert graph.method == truth.method == method
    for count in (1, 3):
        for mine, its in zip(graph(crops(count)), truth(crops(count)), strict=True):
            np.testing.assert_allclose(mine, its, atol=0.01)


class Stubborn(OneLayer):
    """One that says it cannot be written as a graph."""

    def export_notes(self) -> str:
        """The reason."""
        return "its loop depends on what it sees"


class Branching(OneLayer):
    """One that cannot, and does not say so."""

    def forward(self, images: torch.Tensor) -> ModelOutput:
        """Ask a tensor for its value."""
        return super().forward(images if float(images.float().mean()) > 1e9 else 255 - images)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (Stubborn, "one: the network one cannot be exported: its loop depends on what it sees"),
        (Branching, "one: the network one cannot be written as ONNX: "),
    ],
)
def test_a_network_that_is_no_graph_is_told_in_one_line(network: type[LandmarkModel], says: str) -> None:
    card = WeightCard(name="one", model="one", scheme="five", num_points=5, size=64)
    with pytest.raises(FiduciaError, match=says) as caught:
        to_onnx(network().eval(), card)
    assert "\n" not in str(caught.value)


def test_the_example_needs_the_file_alone(exported: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("onnx_only", EXAMPLE)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    image, xy, _ = synthetic_face(11, size=64, scheme="five")
    points, sure = example.landmarks(str(exported), image, list(tight_box(xy)))
    predictor = load(exported, detector=None, runtime="onnx", second_pass=False)
    (face,) = predictor(image, [tight_box(xy)])
    np.testing.assert_allclose(points, face.xy, atol=0.02)
    np.testing.assert_allclose(sure, face.confidence, atol=5e-3)
    photo = tmp_path / "photo.ppm"
    photo.write_bytes(b"P6\n# drawn\n%d %d\n255\n" % image.shape[1::-1] + image.tobytes())
    said = subprocess.run(
        [sys.executable, EXAMPLE, exported, photo, *map(str, tight_box(xy))], capture_output=True, check=True
    )
    np.testing.assert_allclose(json.loads(said.stdout)["points"], points, atol=0.006)
    words = EXAMPLE.read_text()
    assert "torch" not in words
    imports = {
        line.split()[1].partition(".")[0] for line in words.splitlines() if line.startswith(("import ", "from "))
    }
    assert imports - sys.stdlib_module_names == {"numpy", "onnxruntime"}
    assert len(words.splitlines()) <= 40
