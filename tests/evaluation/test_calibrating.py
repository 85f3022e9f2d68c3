"""From weights and faces to weights that know what their points are worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fiducia
from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.evaluation.calibrating.calibrate import calibrate_weights
from fiducia.evaluation.calibrating.faces import calibration_faces
from fiducia.evaluation.calibrating.looks import KINDS, draw_looks
from fiducia.evaluation.calibrating.words import check_lines
from fiducia.geometry import box_iou, tight_box
from fiducia.weights.store import load_card, read_weights


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("calibrated")
    groups = calibration_faces("fifa_tiny", [f"synthetic:36@{folder / 'faces'}"])
    done = calibrate_weights("fifa_tiny", folder / "out.safetensors", groups)
    return folder / "out.safetensors", done.check


def test_looks_move_the_truth_with_the_picture() -> None:
    image, truth, _ = synthetic_face(3)
    seen = set()
    for number in range(12):
        for look in draw_looks(np.random.default_rng(number), number, image, truth):
            seen.add(look.kind)
            assert look.truth.shape == truth.shape
            assert (look.box[2:] > look.box[:2]).all()
            if look.kind == "background":
                assert np.isnan(look.truth).all()
                assert box_iou([look.box], [tight_box(truth)])[0, 0] < 0.05
            elif look.kind == "turned":
                side = np.linalg.norm(truth[0] - truth[16])
                assert np.linalg.norm(look.truth[0] - look.truth[16]) == pytest.approx(side, rel=1e-6)
            elif look.kind == "half":
                shift = (truth - look.truth)[0]
                x, y = np.rint(look.truth[30]).astype(int)
                if 0 <= x < look.image.shape[1]:
                    assert (look.image[y, x] == image[y, x + round(shift[0])]).all()
            assert look.covered.any() <= (look.kind == "hidden")
    assert seen == set(KINDS)


def test_weights_stay_as_they_are_but_for_the_card(calibrated: tuple[Path, dict[str, object]]) -> None:
    path, check = calibrated
    before, old = read_weights("fifa_tiny")
    after, new = read_weights(path)
    assert all((after[k] == before[k]).all() and after[k].dtype == before[k].dtype for k in before)
    assert new.calibration is not None
    assert new.calibration.fitted.faces == 18
    assert new.calibration.fitted.data == "synthetic train"
    assert new.model_copy(update={"calibration": old.calibration}) == old
    lines = list(check_lines(check))
    assert any("ROC area" in line for line in lines)


def test_faces_get_quality_and_expected_errors(calibrated: tuple[Path, dict[str, object]]) -> None:
    image, truth, _ = synthetic_face(5)
    box = tight_box(truth)
    predictor = fiducia.load(calibrated[0], detector=None, device="cpu", runtime="torch")
    good, bad = predictor(image, boxes=[box, [2, 2, 22, 22]])
    assert good.quality > 0.5 > bad.quality
    assert good.sigma.shape == good.sigma_percent.shape == (68,)
    assert (good.sigma > 0).all()
    assert good.sigma.mean() < np.linalg.norm(box[2:] - box[:2]) / 10
    strict = fiducia.load(calibrated[0], detector=None, device="cpu", runtime="torch", min_quality=0.999999)
    assert len(strict(image, boxes=[box])) == 1, "faces in the user's boxes are all kept"


class _One:
    name = "one"

    def __init__(self, boxes: list[list[float]]) -> None:
        self.boxes = boxes

    def __call__(self, image: np.ndarray) -> list[fiducia.structures.Detection]:
        return [fiducia.structures.Detection(box=np.array(box, float)) for box in self.boxes]


def test_a_limit_leaves_out_detected_faces_of_low_quality(calibrated: tuple[Path, dict[str, object]]) -> None:
    image, truth, _ = synthetic_face(5)
    boxes = [[2.0, 2.0, 22.0, 22.0], tight_box(truth).tolist()]
    predictor = fiducia.load(calibrated[0], detector=_One(boxes), device="cpu", runtime="torch", min_quality=0.5)
    (face,) = predictor(image)
    assert face.id == 0
    np.testing.assert_allclose(face.box, boxes[1], rtol=1e-5)


def test_weights_without_a_calibration_say_nothing_and_refuse_a_limit(tmp_path: Path) -> None:
    state, card = read_weights("fifa_tiny")
    plain = tmp_path / "plain.safetensors"
    from fiducia.weights.store import save_weights

    save_weights(plain, state, card.model_copy(update={"calibration": None}))
    image, truth, _ = synthetic_face(5)
    (face,) = fiducia.load(plain, detector=None, device="cpu", runtime="torch")(image, boxes=[tight_box(truth)])
    assert face.quality is face.sigma is face.sigma_percent is face.visible is None
    with pytest.raises(UsageError, match="fiducia weights calibrate"):
        fiducia.load(plain, min_quality=0.5)


def test_a_card_with_a_calibration_of_other_points_is_refused(
    calibrated: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    card = load_card(calibrated[0])
    assert card.calibration is not None
    table = card.model_dump(mode="json")
    table["calibration"]["error"]["points"].pop()
    from fiducia.weights.card import parse_card

    with pytest.raises(FiduciaError, match="the calibration is of 67 points, the weights give 68"):
        parse_card(__import__("json").dumps(table), "x")


def test_faces_of_another_landmark_set_are_refused(tmp_path: Path) -> None:
    with pytest.raises((UsageError, FiduciaError)):
        calibration_faces("fifa_tiny", [f"csv:{tmp_path / 'no.csv'}"])
