"""Evaluation end to end: a perfect network scores nothing, figures do not depend on how the work is shared."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import distributed

from fiducia.data.source import load_records
from fiducia.data.synthetic.source import synthetic_face
from fiducia.device import leave_group, own_group
from fiducia.errors import FiduciaError, UsageError
from fiducia.evaluation.evaluate import Settings, evaluate, evaluate_faces, find_points, judge
from fiducia.evaluation.locate import _to_file, find_faces, find_shared
from fiducia.evaluation.subsets import default_split, require_parts, subsets
from fiducia.geometry import affine_apply, box_to_crop, tight_box
from fiducia.images import write_image
from fiducia.metrics.figures import FIGURES
from fiducia.metrics.protocol import Protocol
from fiducia.predict.predictor import Predictor
from fiducia.schemes.sets import Scheme, conversion, get_scheme
from fiducia.structures import Detection, Record
from networks import small, write_small

STAMP: dict[str, Any] = {
    "data": "synthetic",
    "split": "test",
    "crop_source": "landmarks",
    "crop_scale": 0.8,
    "decode": "none",
    "size": 64,
    "weights": "stub",
    "runtime": "stub",
}


class Oracle:
    """A runtime that knows the answer: the truth in each crop, in the order in which faces are asked for."""

    def __init__(self, crops: Sequence[np.ndarray], scheme: Scheme, size: int = 64) -> None:
        self.size, self.scheme = size, scheme
        self.waiting = list(crops)
        self.batches: list[int] = []

    def __call__(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (3, self.size, self.size)
        points = np.stack([self.waiting.pop(0) for _ in crops]).astype(np.float32)
        self.batches.append(len(crops))
        return points, np.ones(points.shape[:2], np.float32)


class Boxes:
    """A detector that finds given boxes."""

    name = "given"

    def __init__(self, boxes: Sequence[Any]) -> None:
        self.boxes = boxes

    def __call__(self, image: np.ndarray) -> list[Detection]:
        return [Detection(box=np.asarray(box, float)) for box in self.boxes]


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    folder = tmp_path_factory.mktemp("drawn")
    records = []
    for seed in range(6):
        picture, xy, visible = synthetic_face(seed, size=128)
        write_image(folder / f"{seed}.png", picture)
        tags = {"id": f"f{seed}", "part": "a" if seed < 4 else "b", "pose": seed % 2 == 0}
        records.append(Record(image=folder / f"{seed}.png", xy=xy, visible=visible, scheme="ibug68", tags=tags))
    return records


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Small: what is tested is how figures are made, and every process of a test builds it again.
    path = tmp_path_factory.mktemp("weights") / "untrained.safetensors"
    return write_small(path, small(points=68), name="untrained")


def truth_in_crops(records: Sequence[Record], size: int = 64) -> list[np.ndarray]:
    return [affine_apply(box_to_crop(tight_box(r.xy), size, 0.8), r.xy) for r in records]


@pytest.mark.parametrize("batch_size", [1, 4, 32])
def test_a_perfect_network_has_no_error_at_any_batch_size(faces: list[Record], batch_size: int) -> None:
    oracle = Oracle(truth_in_crops(faces), get_scheme("ibug68"))
    found = find_points(Predictor(oracle, None, passes=1, batch_size=batch_size), faces)
    done = judge(faces, found, oracle.scheme, stamp=STAMP)
    assert done.result["nme_ic"] == pytest.approx(0.0, abs=1e-5)
    assert (done.result["fr10_ic"], done.result["faces"], done.result["detected"]) == (0.0, 6, 6)
    assert done.result["auc10_ic"] == pytest.approx(100.0, abs=1e-3)
    assert max(oracle.batches) <= batch_size
    assert not oracle.waiting


def test_an_error_in_the_crop_is_counted_in_photograph_pixels(faces: list[Record]) -> None:
    """Two crop pixels to the right are 2 / s photograph pixels, s the crop's scale."""
    oracle = Oracle([xy + np.array([2.0, 0.0]) for xy in truth_in_crops(faces)], get_scheme("ibug68"))
    found = find_points(Predictor(oracle, None, passes=1), faces)
    done = judge(faces, found, oracle.scheme, stamp=STAMP)
    for i, record in enumerate(faces):
        pixels = 2.0 / box_to_crop(tight_box(record.xy), 64, 0.8)[0, 0]
        np.testing.assert_allclose(done.scores.points[i], pixels, rtol=1e-4)


def test_several_faces_of_one_photograph_keep_their_order(faces: list[Record]) -> None:
    shuffled = [faces[0], faces[1], replace(faces[0], xy=faces[0].xy * 0.5 + 20, tags={"id": "second"}), faces[2]]
    asked = [shuffled[0], shuffled[2], shuffled[1], shuffled[3]]
    oracle = Oracle(truth_in_crops(asked), get_scheme("ibug68"))
    found = find_points(Predictor(oracle, None, passes=1), shuffled)
    np.testing.assert_allclose(found, [r.xy for r in shuffled], atol=1e-3)


def test_a_face_that_the_detector_misses_is_a_failure_and_said(faces: list[Record]) -> None:
    record = faces[0]
    near, far = tight_box(record.xy) + 2.0, np.array([0.0, 0.0, 9.0, 9.0])
    crop = affine_apply(box_to_crop(near, 64, 0.8), record.xy)
    oracle = Oracle([crop], get_scheme("ibug68"))
    hit = find_points(Predictor(oracle, Boxes([far, near]), passes=1), [record])
    np.testing.assert_allclose(hit[0], record.xy, atol=1e-3)
    for boxes in ([far], []):
        missed = find_points(Predictor(Oracle([], get_scheme("ibug68")), Boxes(boxes), passes=1), [record])
        done = judge([record], missed, get_scheme("ibug68"), stamp=STAMP)
        assert (done.result["faces"], done.result["detected"]) == (1, 0)
        assert (done.result["nme_ic"], done.result["fr10_ic"], done.result["auc10_ic"]) == (None, 100.0, 0.0)


def test_a_detection_is_cropped_as_detect_crops_it(faces: list[Record]) -> None:
    """Its angle and its own box were dropped: an upside-down face that ``detect`` reads was read upside down."""

    class Turned(Boxes):
        def __call__(self, image: np.ndarray) -> list[Detection]:
            five = np.array([[70.0, 80.0], [40.0, 80.0], [55.0, 60.0], [70.0, 40.0], [40.0, 40.0]])
            return [Detection(box=np.asarray(self.boxes[0]), points=five, own_box=np.asarray(self.boxes[0]) + 1.0)]

    record, near = faces[0], tight_box(faces[0].xy) + 2.0
    crop = affine_apply(box_to_crop(near + 1.0, 64, 0.8, np.pi), record.xy)
    found = find_points(Predictor(Oracle([crop], get_scheme("ibug68")), Turned([near]), passes=1), [record])
    np.testing.assert_allclose(found[0], record.xy, atol=1e-3)


def test_predictions_of_98_points_are_scored_on_68(faces: list[Record]) -> None:
    dense = [synthetic_face(seed, size=128, scheme="wflw98")[1] for seed in range(6)]
    done = judge(faces, np.stack(dense), get_scheme("wflw98"), stamp=STAMP)
    assert done.protocol.converted == "prediction wflw98 -> ibug68"
    assert (done.scheme.name, done.protocol.points) == ("ibug68", 68)
    own = [
        replace(r, xy=xy, scheme="wflw98", visible=np.full(98, 2, np.int8)) for r, xy in zip(faces, dense, strict=True)
    ]
    other = judge(own, np.stack([r.xy for r in faces]), get_scheme("ibug68"), stamp=STAMP)
    assert other.protocol.converted == "truth wflw98 -> ibug68"
    assert other.result["nme_ic"] == pytest.approx(done.result["nme_ic"], abs=1e-9)


def test_landmark_sets_that_do_not_meet_are_both_named(faces: list[Record]) -> None:
    with pytest.raises(UsageError, match=r"cofw29 \(29 points\).*ibug68 \(68\)"):
        judge(faces, np.zeros((6, 29, 2)), get_scheme("cofw29"), stamp=STAMP)


def test_the_annotated_box_is_used_on_request_and_on_aflw(faces: list[Record]) -> None:
    boxed = [replace(r, box=np.array([0.0, 0.0, 100.0, 100.0])) for r in faces]
    found = np.stack([r.xy for r in boxed]) + np.array([3.0, 4.0])
    scheme = get_scheme("ibug68")
    tight = judge(boxed, found, scheme, stamp=STAMP)
    own = judge(boxed, found, scheme, stamp=STAMP, box="dataset")
    assert (tight.protocol.box, own.protocol.box) == ("landmarks", "dataset")
    assert own.result["nme_box"] == pytest.approx(5.0)
    assert own.result["nme_diag"] == pytest.approx(5.0 / np.sqrt(2))
    assert tight.result["nme_box"] != pytest.approx(5.0, abs=0.1)
    aflw = [replace(r, xy=r.xy[:19], visible=r.visible[:19], scheme="aflw19") for r in boxed]
    assert judge(aflw, found[:, :19], get_scheme("aflw19"), stamp=STAMP).result["nme_box"] == pytest.approx(5.0)
    with pytest.raises(UsageError, match="no boxes of its own"):
        judge(faces, found, scheme, stamp=STAMP, box="dataset")


def test_subsets_are_parts_and_flags_and_average_to_the_whole(faces: list[Record]) -> None:
    found = np.stack([r.xy + i for i, r in enumerate(faces)])
    result = judge(faces, found, get_scheme("ibug68"), stamp=STAMP).result
    assert set(result["subsets"]) == {"a", "b", "pose"}
    counts = {name: row["faces"] for name, row in result["subsets"].items()}
    assert counts == {"a": 4, "b": 2, "pose": 3}
    a, b = result["subsets"]["a"]["nme_ic"], result["subsets"]["b"]["nme_ic"]
    assert (4 * a + 2 * b) / 6 == pytest.approx(result["nme_ic"])


def test_300w_has_common_and_challenge_and_refuses_a_split_with_a_part_missing(
    tmp_path: Path, faces: list[Record]
) -> None:
    parts = ["helen/testset", "lfpw/testset", "ibug"]
    records = [replace(r, tags={"part": part}) for r, part in zip(faces, [*parts, *parts], strict=True)]
    masks = subsets("300w", records)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {
        "common": 4,
        "challenge": 2,
        "helen/testset": 2,
        "lfpw/testset": 2,
        "ibug": 2,
    }
    require_parts("300w", str(tmp_path), "full", records)
    (tmp_path / "lfpw" / "testset").mkdir(parents=True)
    with pytest.raises(FiduciaError, match=r"no helen/testset and no ibug; found lfpw/testset"):
        require_parts("300w", str(tmp_path), "full", [r for r in records if r.tags["part"] == "lfpw/testset"])


def test_the_default_split_is_the_test_split() -> None:
    from fiducia.data.source import datasets

    assert default_split(datasets["300w"]) == "full"
    assert default_split(datasets["synthetic"]) == "test"
    with pytest.raises(UsageError, match="--split"):
        default_split(replace(datasets["synthetic"], splits=("train",)))


def test_figures_do_not_depend_on_the_batch_size(weights: Path, tmp_path: Path) -> None:
    source = f"synthetic:16@{tmp_path}"
    one, many = (evaluate(weights, source, "train", device="cpu", batch_size=n) for n in (1, 32))
    for key in FIGURES:
        assert one[key] == pytest.approx(many[key], abs=1e-3), key
    assert one["faces"] == 16
    assert one["protocol"]["weights_sha256"] is not None
    assert json.loads(json.dumps(one, allow_nan=False)) == one


@pytest.mark.parametrize("fails", [False, True])
def test_a_process_leaves_its_group_when_its_work_is_done(tmp_path: Path, fails: bool) -> None:
    """What is left of a group at the interpreter's end aborted one process of 25."""

    def work(_: Any) -> FiduciaError:
        assert distributed.is_initialized()
        if fails:
            raise KeyboardInterrupt
        return FiduciaError("a value, no exception")

    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    with pytest.raises(KeyboardInterrupt) if fails else contextlib.nullcontext():
        _to_file(None, work, tmp_path / "found.npz")  # type: ignore[arg-type]
    assert not distributed.is_initialized()
    leave_group()


def test_a_group_of_the_callers_own_stays(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    with own_group():
        pass
    assert distributed.is_initialized()
    leave_group()
    with own_group():
        distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/again", rank=0, world_size=1)
    assert not distributed.is_initialized()


def test_two_processes_give_what_one_gives(weights: Path, tmp_path: Path) -> None:
    """The points of 64 faces are more than a pipe holds, which once kept the processes waiting for ever."""
    source = f"synthetic:64@{tmp_path}"
    options = [
        "evaluate",
        "--weights",
        str(weights),
        "--data",
        source,
        "--split",
        "train",
        "--device",
        "cpu",
        "--json",
        "-",
    ]
    results = []
    for n in (1, 2):
        command = [sys.executable, "-m", "fiducia", *options, "--devices", str(n)]
        done = subprocess.run(command, capture_output=True, timeout=240, text=True)
        assert done.returncode == 0, f"{n}: {done.stderr}"
        results.append(json.loads(done.stdout))
    one, two = results
    assert one["faces"] == 64
    for key in FIGURES:
        assert one[key] == pytest.approx(two[key], abs=1e-6), key


def test_another_decoder_changes_the_stamp_and_an_unknown_one_is_refused(weights: Path, tmp_path: Path) -> None:
    source = f"synthetic:4@{tmp_path}"
    stamps = [
        evaluate(weights, source, "train", device="cpu", decode=d)["protocol"]["decode"] for d in (None, "argmax")
    ]
    # The weights' card names none; the network's own is stamped.
    assert stamps == ["expectation", "argmax"]
    with pytest.raises(UsageError, match="did you mean 'argmax'"):
        evaluate(weights, source, "train", device="cpu", decode="argmx")


def test_a_network_of_points_has_no_decoder_to_choose_or_to_stamp(tmp_path: Path) -> None:
    own = write_small(tmp_path / "points.safetensors", small("pfld", 68), model="pfld")
    source = f"synthetic:4@{tmp_path}"
    assert evaluate(own, source, "train", device="cpu")["protocol"]["decode"] is None
    with pytest.raises(UsageError, match=r"--decode: .*this network gives points, not heatmaps") as caught:
        evaluate(own, source, "train", device="cpu", decode="argmax")
    assert "\n" not in str(caught.value)


def test_faces_left_out_are_named_in_the_stamp(weights: Path, tmp_path: Path) -> None:
    source = f"synthetic:4@{tmp_path}"
    ids = [r.id for r in load_records(source, "train")]
    result = evaluate(weights, source, "train", device="cpu", leave_out=[ids[0]])
    assert (result["faces"], result["protocol"]["excluded"]) == (3, [ids[0]])
    with pytest.raises(FiduciaError, match=r"--exclude leaves none of 4 faces"):
        evaluate(weights, source, "train", device="cpu", leave_out=["*"])


def test_an_unreadable_photograph_stops_the_evaluation_and_is_named(faces: list[Record], tmp_path: Path) -> None:
    broken = tmp_path / "torn.png"
    broken.write_bytes(faces[0].image.read_bytes()[:200])
    oracle = Oracle(truth_in_crops(faces[:2]), get_scheme("ibug68"))
    with pytest.raises(FiduciaError, match=r"torn\.png"):
        find_points(Predictor(oracle, None, passes=1), [faces[0], replace(faces[1], image=broken)])


def test_confidence_goes_with_its_point_through_sharing_and_conversion(faces: list[Record]) -> None:
    """98 points become 68, each the mean of some; its confidence is the mean of theirs."""
    sure = np.random.default_rng(0).random((6, 98))
    dense = np.stack([synthetic_face(seed, size=128, scheme="wflw98")[1] for seed in range(6)])
    done = judge(faces, dense, get_scheme("wflw98"), confidence=sure, stamp=STAMP)
    groups = conversion("wflw98", "ibug68")
    assert done.confidence is not None
    assert done.confidence[3, 17] == pytest.approx(np.mean([sure[3, i] for i in groups[17]]))
    oracle = Oracle(truth_in_crops([faces[0]]), get_scheme("ibug68"))
    found = find_faces(Predictor(oracle, Boxes([tight_box(faces[0].xy)]), passes=1), [faces[0]])
    assert (found.confidence == 1.0).all()
    lost = find_faces(Predictor(oracle, Boxes([]), passes=1), [faces[0]])
    assert np.isnan(lost.confidence).all()


def test_each_point_and_region_has_its_error(faces: list[Record]) -> None:
    found = np.stack([r.xy for r in faces])
    found[:, 30] += [3.0, 4.0]
    result = judge(faces, found, get_scheme("ibug68"), stamp=STAMP).result
    eyes = [np.hypot(*(r.xy[45] - r.xy[36])) for r in faces]
    name = get_scheme("ibug68").names[30]
    assert len(result["points"]) == 68
    assert result["points"][name] == pytest.approx(100 * np.mean([5.0 / d for d in eyes]))
    assert sum(value > 0 for value in result["points"].values()) == 1
    assert np.mean(list(result["points"].values())) == pytest.approx(result["nme_ic"])
    assert {region for region, value in result["regions"].items() if value > 0} == {"nose"}


def test_a_refusal_comes_before_any_network_runs(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("the network was run")

    def refuse(protocol: Protocol, ids: list[str]) -> None:
        raise FiduciaError(f"{protocol.split} {protocol.faces} {len(ids)}")

    monkeypatch.setattr("fiducia.evaluation.evaluate.find_shared", never)
    with pytest.raises(FiduciaError, match="train 4 4"):
        evaluate_faces(Settings(weights=str(weights)), f"synthetic:4@{tmp_path}", "train", check=refuse)


def test_settings_go_to_the_predictor(weights: Path) -> None:
    settings = Settings(weights=str(weights), detector="whole", batch_size=3)
    assert settings.predictor("cpu").passes == 2
    assert replace(settings, second_pass=False).predictor("cpu").passes == 1
    assert replace(settings, detector=None).predictor("cpu").passes == 1
    with pytest.raises(UsageError, match="no split is called 'tset'"):
        evaluate_faces(settings, "synthetic:", "tset")


@pytest.mark.shared
def test_the_public_test_part_has_its_224_faces_and_the_full_split_is_refused(shared_data: Path, weights: Path) -> None:
    records = load_records(f"300w:{shared_data / '300w'}", "lfpw/testset")
    done = judge(records, np.stack([r.xy for r in records]), get_scheme("ibug68"), stamp={**STAMP, "data": "300w"})
    assert (done.result["faces"], done.result["nme_ic"], done.result["subsets"]) == (224, 0.0, {})
    with pytest.raises(FiduciaError, match="no helen/testset and no ibug"):
        evaluate(weights, f"300w:{shared_data / '300w'}", device="cpu")


def test_the_device_is_taken_as_it_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Settings, "predictor", lambda _, device: asked.append(device))
    monkeypatch.setattr("fiducia.evaluation.locate.find_faces", lambda *_: None)
    for device in ("cpu:0", "auto"):  # auto may be another runtime than torch's device would allow
        find_shared(Settings(weights="any", device=device), [], "landmarks")
    assert asked == ["cpu:0", "auto"]
