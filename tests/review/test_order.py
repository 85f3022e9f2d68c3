"""Which face comes first: a wrong label, not a hard face; and faces that cannot be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, UsageError
from fiducia.evaluation.found import Found
from fiducia.geometry import tight_box
from fiducia.review.order import in_order, predict
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Detection, Record

from .conftest import PLANTED, planted

DRAWS = np.random.default_rng(4)


def found_of(truth: Sequence[Record], sigma: float = 1.0) -> Found:
    xy = np.stack([r.xy for r in truth]) + DRAWS.normal(scale=0.3, size=(len(truth), 68, 2))
    return Found(xy, np.ones(xy.shape[:2]), np.ones(len(truth)), np.full(xy.shape[:2], sigma))


def test_a_hard_face_does_not_come_before_a_wrong_label(drawn: list[Record]) -> None:
    found = found_of(drawn)
    # The network errs by far on the last face, and knows it.
    found.xy[5] += DRAWS.normal(scale=60, size=(68, 2))
    found.sigma[5] = 60
    found.quality[5] = 0.05
    order = in_order(planted(drawn), found, {})
    assert order[0].index == PLANTED
    found.sigma[5] = 1
    assert in_order(planted(drawn), found, {})[0].index == 5, "it does without the expected error"


def test_faces_of_which_nothing_is_known_come_last(drawn: list[Record]) -> None:
    found = found_of(drawn)
    found.xy[0] = np.nan
    nowhere = replace(drawn[1], xy=np.full((68, 2), np.nan), visible=np.zeros(68, np.int8))
    order = in_order([drawn[0], nowhere, *planted(drawn)[2:]], found, {0: "the image is missing"})
    assert order[0].index == PLANTED
    assert [one.index for one in order][-2:] == [0, 1]
    assert [one.score for one in order][-2:] == [0, 0]
    assert order[-2].note == "the image is missing"


def test_shapes_alone(drawn: list[Record]) -> None:
    many = [replace(drawn[i % 6], xy=drawn[i % 6].xy * (1 + i) + i) for i in range(12)]
    many[PLANTED] = planted(drawn)[PLANTED]
    assert in_order(many, None, {})[0].index == PLANTED
    assert [one.index for one in in_order(drawn, None, {})] == [0, 1, 2, 3, 4, 5], "too few to have a usual shape"


class Runtime:
    scheme = get_scheme("ibug68")


class Network:
    """Gives the true points of a crop that shows the face, and rubbish in the crop's middle of one that does not."""

    runtime = Runtime()

    def __init__(self, truth: Sequence[Record], broken: Path | None = None) -> None:
        self.truth = {record.image: record for record in truth}
        self.broken = broken
        self.detector = self

    def find(self, image: Path) -> tuple[Path, list[Detection]]:
        if image == self.broken:
            raise FiduciaError(f"{image}: is cut short")
        return image, [Detection(box=tight_box(self.truth[image].xy), score=1.0)]

    def stream(self, images: list[Path], tables: list[list[np.ndarray]]) -> Any:
        from fiducia.faces import Face
        from fiducia.geometry import box_iou

        for image, boxes in zip(images, tables, strict=True):
            true = self.truth[image].xy
            faces = []
            for n, box in enumerate(boxes):
                shows = box_iou(box, tight_box(true))[0, 0] > 0.3
                middle = np.tile(box.reshape(2, 2).mean(axis=0), (68, 1))
                faces.append(
                    Face(
                        xy=(true if shows else middle).astype(np.float32),
                        confidence=np.full(68, 0.9 if shows else 0.2, np.float32),
                        box=box.astype(np.float32),
                        scheme="ibug68",
                        score=1.0,
                        id=n,
                    )
                )
            yield faces


def test_labels_that_lie_beside_the_face_are_found_by_the_detector(drawn: list[Record]) -> None:
    faces = list(drawn)
    faces[2] = replace(faces[2], xy=faces[2].xy * 0.2)
    found, notes = predict(faces, ["any"], load_predictor=lambda *_, **__: Network(drawn))
    assert notes == {}
    np.testing.assert_allclose(found.xy[2], drawn[2].xy, atol=1e-4)
    assert in_order(faces, found, notes)[0].index == 2


def test_a_face_that_is_found_in_the_detectors_box_alone_has_no_note(drawn: list[Record]) -> None:
    class Strict(Network):
        def stream(self, images: list[Path], tables: list[list[np.ndarray]]) -> Any:
            if any(box[0] > 1000 for boxes in tables for box in boxes):
                raise FiduciaError("a box lies outside the image")
            return super().stream(images, tables)

    faces = list(drawn)
    faces[2] = replace(faces[2], xy=faces[2].xy + 5000)
    found, notes = predict(faces, ["a", "b"], load_predictor=lambda *_, **__: Strict(drawn))
    assert notes == {}, "so that the second network is asked too"
    np.testing.assert_allclose(found.xy[2], drawn[2].xy, atol=1e-4)


def test_images_that_are_missing_or_damaged_do_not_stop_the_others(drawn: list[Record]) -> None:
    faces = list(drawn)
    faces[1] = replace(faces[1], image=Path("/no/such/image.png"))
    faces[4] = replace(faces[4], xy=np.full((68, 2), np.nan), visible=np.zeros(68, np.int8))
    network = Network(drawn, broken=drawn[3].image)
    told: list[tuple[int, int]] = []
    found, notes = predict(
        faces,
        ["a", "b"],
        on_progress=lambda done, total: told.append((done, total)),
        load_predictor=lambda *_, **__: network,
    )
    assert notes == {1: "the image is missing or cannot be read", 3: f"{drawn[3].image}: is cut short"}
    assert np.isfinite(found.xy[[0, 2, 4, 5]]).all(), "a face without labels is found by the detector"
    assert np.isnan(found.xy[[1, 3]]).all()
    assert told == [(6, 12), (12, 12)]


def test_weights_of_another_landmark_set_are_refused(drawn: list[Record]) -> None:
    face = Record(image=drawn[0].image, xy=drawn[0].xy[:29], visible=drawn[0].visible[:29], scheme="cofw29")
    with pytest.raises(UsageError, match="--weights none to go by the shapes alone"):
        predict([face], ["any"], load_predictor=lambda *_, **__: Network(drawn))


def test_the_shipped_network_finds_a_wrong_label_on_a_photograph(tmp_path: Path) -> None:
    """Two faces on one photograph, and one of them has an eye corner and a mouth corner swapped."""
    import cv2

    from fiducia import load

    photo = Path(__file__).parents[2] / "assets" / "astronaut.jpg"
    image = cv2.imread(str(photo))
    cv2.imwrite(str(tmp_path / "two.png"), cv2.hconcat([image, image]))
    (face,) = load("fifa_tiny", device="cpu")(photo)
    xy = face.xy.astype(np.float64)
    wrong = xy + np.array([512, 0])
    wrong[[36, 48]] = wrong[[48, 36]]
    visible = np.full(68, 2, np.int8)
    records = [
        Record(image=tmp_path / "two.png", xy=points, visible=visible, scheme="ibug68", tags={"id": name})
        for name, points in (("right", xy), ("wrong", wrong))
    ]
    found, notes = predict(records, ["fifa_tiny"], "cpu")
    first = in_order(records, found, notes)[0]
    assert (first.index, set(first.points)) == (1, {36, 48})


@pytest.mark.shared
def test_labels_of_another_photograph_come_first_among_real_faces(shared_data: Path) -> None:
    records = load_records(f"300w:{shared_data / '300w'}", "lfpw/testset")[:20]
    records[5] = replace(records[5], xy=records[6].xy)
    order = in_order(records, *predict(records, ["fifa_tiny"], "cpu"))
    assert order[0].index == 5
    assert order[0].score > 5 * order[1].score
