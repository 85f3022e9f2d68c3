"""A face: points by name, other landmark sets, and the image that it was found in."""

from __future__ import annotations

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest

from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.faces import Face, PhotoRef
from fiducia.geometry import affine_apply
from fiducia.images import write_image
from fiducia.measures.align import FIVE_POINTS
from fiducia.schemes.sets import SchemeError, convert, get_scheme, scheme_from_table


def a_face(scheme: str = "ibug68", photo: PhotoRef | None = None) -> tuple[np.ndarray, Face]:
    image, xy, _ = synthetic_face(3, scheme=scheme)
    sure = np.linspace(0, 1, len(xy), dtype=np.float32)
    box = np.r_[xy.min(axis=0), xy.max(axis=0)].astype(np.float32)
    face = Face(xy=xy.astype(np.float32), confidence=sure, box=box, scheme=get_scheme(scheme), photo=photo)
    return image, face


def test_regions_and_points_by_name() -> None:
    _, face = a_face()
    np.testing.assert_array_equal(face["left_eye"], face.xy[42:48])
    np.testing.assert_array_equal(face["eyes"], face.xy[36:48])
    np.testing.assert_array_equal(face["nose_tip"], face.xy[30])
    np.testing.assert_array_equal(face.points["nose_tip"], face.xy[30])
    assert len(face.points) == 68
    assert list(face.points)[8] == "chin"
    assert "chin" in face.points
    assert face.points.get("tail") is None
    assert face.points.get("chin") is not None
    np.testing.assert_array_equal(np.stack(list(face.points.values())), face.xy)
    np.testing.assert_array_equal(np.asarray(face.points), face.xy)
    assert np.asarray(face.points, dtype=np.float64).dtype == np.float64


def test_unknown_names_teach() -> None:
    _, face = a_face()
    with pytest.raises(SchemeError, match=r"no region or point 'left_eey'; did you mean 'left_eye'\?"):
        face["left_eey"]
    with pytest.raises(KeyError):
        face.points["nose_tpi"]
    with pytest.raises(UsageError, match=r"looked up by name, found 30; .* face\.xy"):
        face.points[30]  # type: ignore[index]


def test_a_region_goes_before_a_point_of_its_name() -> None:
    own = scheme_from_table({"names": ["nose", "chin"], "mirror": [], "regions": {"nose": [0, 1]}})
    face = Face(
        xy=np.eye(2, dtype=np.float32), confidence=np.ones(2, np.float32), box=np.zeros(4, np.float32), scheme=own
    )
    assert face["nose"].shape == (2, 2)
    assert face.points["nose"].shape == (2,)


def test_a_face_in_five_points() -> None:
    _, face = a_face()
    five = face.to("five")
    np.testing.assert_allclose(five.xy, convert(face.xy, "ibug68", "five"), atol=1e-4)
    assert five.scheme.name == "five"
    assert five.confidence[0] == pytest.approx(face.confidence[36:42].mean())
    assert five.confidence[2] == face.confidence[30]
    np.testing.assert_array_equal(five.box, face.box)
    with pytest.raises(SchemeError, match="five cannot be converted to ibug68"):
        five.to("ibug68")


def test_the_measures_are_of_its_points() -> None:
    _, face = a_face()
    assert face.inter_ocular == pytest.approx(
        np.linalg.norm(face["right_eye_outer"] - face["left_eye_outer"]), rel=1e-5
    )
    table = face.measures()
    assert table["yaw"] == round(face.pose().yaw, 2)
    assert table["mouth_open"] == pytest.approx(face.mouth_open, abs=1e-4)
    assert table["blink_left"] == pytest.approx(face.blink[1], abs=1e-4)
    assert table["eye_centre_right"] == pytest.approx(face.eye_centres[0].tolist(), abs=1e-3)


def test_align_and_mask_use_the_image_of_the_face(tmp_path: Path) -> None:
    image, face = a_face()
    path = tmp_path / "face.png"
    write_image(path, image)
    height, width = image.shape[:2]
    _, known = a_face(photo=PhotoRef(str(path), width, height))
    crop, matrix = known.align(112)
    np.testing.assert_array_equal(crop, face.align(112, image=image).image)
    found = affine_apply(matrix, known.to("five").xy)
    assert np.abs(found - FIVE_POINTS).max() < 16
    assert known.align(56).image.shape == (56, 56, 3)
    assert known.mask().shape == known.mask("left_eye").shape == (height, width)
    np.testing.assert_array_equal(known.mask("left_eye"), face.mask("left_eye", shape=(height, width)))
    with pytest.raises(UsageError, match=r"image=\.\.\."):
        face.align(112)
    with pytest.raises(UsageError, match="shape="):
        face.mask()


def test_a_face_keeps_no_pixels_alive() -> None:
    image, _ = a_face()
    ref = PhotoRef("array", image.shape[1], image.shape[0], image)
    assert ref.read() is image
    del image
    gc.collect()
    with pytest.raises(FiduciaError, match="not in memory any more"):
        ref.read()


def test_a_file_that_changed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, np.zeros((10, 20, 3), np.uint8))
    assert PhotoRef(str(path), 20, 10).read().shape == (10, 20, 3)
    with pytest.raises(FiduciaError, match=r"was 30 x 10, now 20 x 10; detect again"):
        PhotoRef(str(path), 30, 10).read()


def test_a_face_travels_to_another_process() -> None:
    image, _ = a_face()
    _, face = a_face(photo=PhotoRef("array", image.shape[1], image.shape[0], image))
    again = pickle.loads(pickle.dumps(face))
    np.testing.assert_array_equal(again.xy, face.xy)
    assert again.scheme == face.scheme
    assert (again.photo.name, again.photo.width) == ("array", image.shape[1])
