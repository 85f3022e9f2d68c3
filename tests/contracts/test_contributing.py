"""CONTRIBUTING.md's table: a part of each row, added by one plugin file and used. Nothing in the package is edited."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import fiducia
from fiducia import plugins
from fiducia.augment.registry import augmentations
from fiducia.cli import main
from fiducia.data import source
from fiducia.data.editing.base import label_editors
from fiducia.data.editing.save import LabelFiles
from fiducia.detectors import detectors
from fiducia.heatmaps.decode import decoders
from fiducia.losses.distances import distances
from fiducia.losses.registry import losses
from fiducia.models.registry import models
from fiducia.predict.outputs import writers
from fiducia.recipes.files import parse_recipe
from fiducia.recipes.sections import Recipe
from fiducia.runtimes.registry import runtimes
from fiducia.training.optim import learning_rate_factor, schedules
from fiducia.weights.converters import converters

ROOT = Path(__file__).parents[2]
ROWS = {
    "a network",
    "a loss",
    "a distance between points",
    "a data set",
    "an annotation format",
    "labels that `data review` changes in place",
    "an augmentation",
    "a decoder",
    "a schedule",
    "a detector",
    "a runtime",
    "a landmark scheme",
    "an output format of `detect`",
    "a checkpoint converter",
}
REGISTRIES = (
    augmentations,
    source.datasets,
    detectors,
    decoders,
    distances,
    losses,
    models,
    runtimes,
    schedules,
    converters,
    source.label_writers,
    label_editors,
    writers,
)

PLUGIN = r'''
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from torch import nn

import fiducia
from fiducia.augment.registry import augmentations
from fiducia.data.editing.base import LabelledFace, Patch, label_editors
from fiducia.data.source import DatasetSpec, label_writers
from fiducia.heatmaps.decode import register as register_decoder
from fiducia.losses.distances import distances
from fiducia.models import LandmarkModel
from fiducia.predict.outputs import writers
from fiducia.runtimes.registry import register as register_runtime
from fiducia.runtimes.torch_runtime import TorchRuntime
from fiducia.training.optim import schedules
from fiducia.weights.converters import Converted, converters

CALLS = Counter()
HERE = Path(__file__).parent


@fiducia.models.register("added", size=32)
class Network(LandmarkModel):
    """One convolution to heatmaps."""

    decoders = ("added", "argmax")

    def __init__(self, num_points, size):
        super().__init__(num_points, size)
        self.maps = nn.Conv2d(3, num_points, 4, 4)

    def forward(self, images):
        CALLS["network"] += 1
        return fiducia.ModelOutput(heatmaps=[self.maps(images.to(self.maps.weight.dtype) / 255)])

    def decode(self, output, method=None):
        return self.decode_heatmaps(output, method)


@fiducia.losses.register("added", needs=("heatmaps",))
def loss(output, targets, *, level=1.0):
    """The squared distance of the maps from a level."""
    CALLS["loss"] += 1
    return (output.heatmaps[-1] - level).square().mean()


@distances.register("added")
def distance(predicted, truth):
    """The larger of both errors."""
    CALLS["distance"] += 1
    return (predicted - truth).abs().amax(-1)


@register_decoder("added", within=1.0)
def decoder(maps):
    """The middle of the map."""
    CALLS["decoder"] += 1
    middle = (maps.shape[-1] - 1) / 2
    return torch.full((*maps.shape[:2], 2), middle, device=maps.device)


@schedules.register("added")
def schedule(at, cfg):
    """A quarter throughout."""
    CALLS["schedule"] += 1
    return 0.25


@augmentations.register("added")
def augmentation(image, xy, rng, *, value=7):
    """One grey value."""
    CALLS["augmentation"] += 1
    return np.full_like(image, value), xy


def read(root, split, scheme):
    """Return four faces on one image."""
    CALLS["data set"] += 1
    xy = np.array([[10.0, 10.0], [30.0, 10.0], [20.0, 30.0]])
    visible = np.full(3, 2, np.int8)
    return [
        fiducia.Record(image=HERE / f"{i}.png", xy=xy + i, visible=visible, scheme=str(HERE / "added.toml"))
        for i in range(4)
    ]


fiducia.datasets.add("added", DatasetSpec(name="added", summary="four faces", splits=("train",), read=read))


def read_lines(root, split, scheme):
    """Return a face for each line: image x y x y x y."""
    CALLS["format"] += 1
    records = []
    for line in Path(root).read_text().splitlines():
        image, *numbers = line.split()
        records.append(
            fiducia.Record(
                image=Path(root).parent / image,
                xy=np.array(numbers, float).reshape(-1, 2),
                visible=np.full(3, 2, np.int8),
                scheme=str(HERE / "added.toml"),
            )
        )
    return records


fiducia.datasets.add("lines", DatasetSpec(name="lines", summary="a line a face", splits=("all",), read=read_lines))


@label_writers.register("lines")
def write_lines(path, records):
    """Write what read_lines reads."""
    CALLS["label writer"] += 1
    Path(path).write_text("".join(f"{r.image} {' '.join(map(str, r.xy.ravel()))}\n" for r in records))


class LineEditor:
    """Changes a line of what read_lines reads."""

    def faces(self, root, split, scheme):
        records = read_lines(root, split, scheme)
        return [
            LabelledFace(record=record, path=Path(root), index=i, order=(0, 1, 2), codes=(2,))
            for i, record in enumerate(records)
        ]

    def patches(self, face, changes, read):
        CALLS["label editor"] += 1
        lines = read(face.path).splitlines(keepends=True)
        old, xy = lines[face.index], face.record.xy.copy()
        for point, (x, y, _) in changes.items():
            xy[point] = x, y
        new = f"{old.split()[0].decode()} {' '.join(map(str, xy.ravel()))}\n".encode()
        return [Patch(face.path, sum(map(len, lines[: face.index])), old, new)]

    def read_back(self, face, path):
        return [(record.xy, record.visible) for record in read_lines(path, "all", None)]


label_editors.add("lines", LineEditor())


class Added:
    """A file for each image, and one for all."""

    def reserved(self):
        return ("all.added",)

    def files(self, result, stems):
        return {result.folder / f"{result.stem}.added": f"{len(result.faces)} face".encode()}

    def close(self, folder, scheme, origin, tables):
        (folder / "all.added").write_text(scheme.name)


writers.add("added", Added())


class Middle:
    """The middle of the image."""

    name = "added"

    def __call__(self, image):
        CALLS["detector"] += 1
        h, w = image.shape[:2]
        return [fiducia.Detection(box=np.array([w / 4, h / 4, 3 * w / 4, 3 * h / 4]))]


@fiducia.detectors.register("added")
def detector(_):
    """The middle of the image."""
    return Middle()


@register_runtime("added")
def runtime(model, card, scheme, device, decode):
    """torch, counted."""
    CALLS["runtime"] += 1
    return TorchRuntime(model, card, scheme)


@converters.register("added")
def convert(state):
    """A checkpoint whose tensors have other names."""
    CALLS["converter"] += 1
    return Converted(
        model="added", num_points=3, size=32, state={f"maps.{k.removeprefix('head.')}": v for k, v in state.items()}
    )
'''

SCHEME = 'name = "added3"\nnames = ["a", "b", "c"]\nmirror = [[0, 1]]\nedges = [[0, 1, 2]]\ninter_ocular = [0, 1]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with the plugin, imported; the registries are as before afterwards."""
    for registry in REGISTRIES:
        registry.discover()
        monkeypatch.setattr(registry, "_items", dict(registry._items))
    monkeypatch.setattr(plugins, "_loaded", {})
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "added.toml").write_text(SCHEME)
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((48, 48, 3), 40 * i, np.uint8))
    fiducia.load_plugin(tmp_path / "plugin.py")
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if is_plugin(module, tmp_path)]:
        del sys.modules[name]


def is_plugin(module: Any, folder: Path) -> bool:
    return getattr(module, "__file__", None) == str(folder / "plugin.py")


def calls(folder: Path) -> Counter[str]:
    """Return how often each part of the plugin was called."""
    module = next(module for module in sys.modules.values() if is_plugin(module, folder))
    counted: Counter[str] = module.CALLS
    return counted


def recipe(folder: Path) -> Recipe:
    """A recipe in which every part that a recipe can name is the plugin's."""
    return parse_recipe(
        {
            "data": {"source": "added:", "val_fraction": 0.25, "scheme": str(folder / "added.toml")},
            "augment": {"views": 1, "extra": [{"kind": "added", "value": 9}]},
            "model": {"name": "added"},
            "heatmap": {"decode": "added"},
            "loss": {"maps": {"kind": "added", "level": 2.0}, "coord": {"kind": "coord", "distance": "added"}},
            "optim": {"schedule": "added", "lr": 0.01},
            "train": {"epochs": 1, "batch_size": 2, "device": "cpu"},
        }
    )


def test_the_table_names_the_rows_that_are_tested_here() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:an?|labels) [^|]+?) \|", text, re.MULTILINE)
    assert set(rows) == ROWS
    assert len(rows) == len(ROWS)


def test_the_files_that_the_table_names_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    places = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", text)
    assert len(places) > 10
    for place in places:
        assert (ROOT / place).exists() or (ROOT / "src" / "fiducia" / place).exists(), place


def test_a_run_trains_with_every_part_that_a_recipe_names(folder: Path) -> None:
    history = fiducia.train(recipe(folder), folder / "run").history
    counted = calls(folder)
    for part in ("network", "loss", "distance", "data set", "augmentation", "schedule", "decoder"):
        assert counted[part] > 0, part
    # The decoder gives the middle of every crop: two points are sqrt(200) pixels from it, one 10, and the eyes 20 apart.
    assert history[0]["val_nme"] == pytest.approx(100 * (2 * 200**0.5 + 10) / 3 / 20, rel=1e-4)
    # The maps of a network that has learned nothing are near 0, and the loss is their squared distance from 2.
    assert 1 < history[0]["train_maps"] < 9
    assert fiducia.load(folder / "run", detector=None).runtime.scheme.names == ("a", "b", "c")
    assert (folder / "run" / "plugins" / "plugin.py").read_text() == PLUGIN


def test_a_schedule_sets_the_rate(folder: Path) -> None:
    assert learning_rate_factor(3, 10, recipe(folder).optim) == 0.25


def test_a_detector_and_a_runtime_are_used_by_name(folder: Path) -> None:
    fiducia.train(recipe(folder), folder / "run")
    predictor = fiducia.load(folder / "run", detector="added", runtime="added", device="cpu", second_pass=False)
    (face,) = predictor(folder / "0.png")
    assert calls(folder)["detector"] == 1
    assert calls(folder)["runtime"] == 1
    # The middle of the box, which the decoder gives for every landmark.
    np.testing.assert_allclose(face.xy, np.full((3, 2), 24.0), atol=1e-4)


def test_an_annotation_format_is_read_and_converted(folder: Path) -> None:
    (folder / "faces.lines").write_text("1.png 1 2 3 4 5 6\n2.png 7 8 9 10 11 12\n")
    records = fiducia.load_records(f"lines:{folder / 'faces.lines'}", "all")
    assert [record.xy.tolist() for record in records] == [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]]


def test_an_annotation_format_is_written_by_name(folder: Path) -> None:
    out = folder / "out.lines"
    with pytest.raises(SystemExit, match="0"):
        main(["data", "convert", "added:", "--to", "lines", "--split", "train", "--out", str(out)])
    assert calls(folder)["label writer"] == 1
    again = fiducia.load_records(f"lines:{out}", "all")
    assert [r.xy.tolist() for r in again] == [r.xy.tolist() for r in fiducia.load_records("added:", "train")]


def test_labels_of_an_annotation_format_are_changed_in_place(folder: Path) -> None:
    path = folder / "faces.lines"
    path.write_text("1.png 1 2 3 4 5 6\n2.png 7 8 9 10 11 12\n")
    editor = label_editors["lines"]
    faces = editor.faces(str(path), "all", None)
    files = LabelFiles(editor, faces)
    files.write(files.plan(faces[1], {2: (30.5, 40.0, 2)}))
    assert calls(folder)["label editor"] == 1
    records = fiducia.load_records(f"lines:{path}", "all")
    assert [record.xy.tolist() for record in records] == [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [30.5, 40]]]
    assert path.read_text().startswith("1.png 1 2 3 4 5 6\n")


def test_a_landmark_scheme_is_a_file(folder: Path) -> None:
    scheme = fiducia.get_scheme(folder / "added.toml")
    assert scheme.mirror == (1, 0, 2)
    assert fiducia.create_model("added", scheme=scheme).num_points == 3


def test_a_converter_gives_weights_that_load(folder: Path) -> None:
    published = {f"head.{k}": v for k, v in torch.nn.Conv2d(3, 3, 4, 4).state_dict().items()}
    done = converters["added"](published)
    model = fiducia.create_model(done.model, done.num_points, size=done.size)
    model.load_state_dict(done.state)
    assert torch.equal(model.state_dict()["maps.weight"], published["head.weight"])


def test_an_output_format_is_written_by_name(folder: Path) -> None:
    fiducia.train(recipe(folder), folder / "run")
    words = ["detect", str(folder / "1.png"), "--weights", str(folder / "run"), "--detector", "added"]
    with pytest.raises(SystemExit, match="0"):
        main([*words, "--format", "added", "--out", str(folder / "out")])
    assert (folder / "out" / "1.added").read_text() == "1 face"
    assert (folder / "out" / "all.added").read_text() == "added3"
