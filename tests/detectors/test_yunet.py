"""YuNet: its files, one look, and what it may not touch."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import FACE, astronaut, overlap, same, scaled

from fiducia.detectors.pool import Pool
from fiducia.detectors.registry import get_detector
from fiducia.detectors.views import View
from fiducia.detectors.yunet import YuNet, YuNetDetector
from fiducia.detectors.yunet_constants import CALIBRATION, STEP
from fiducia.detectors.yunet_file import own_file, shipped_file
from fiducia.errors import UsageError

FOLDER = files("fiducia.detectors") / "files"


@pytest.mark.parametrize("name", ["yunet_n", "yunet_s"])
def test_the_files_are_the_ones_of_the_model_card(name: str) -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    data = shipped_file(name).data
    assert f"| `{name}.onnx` |" in card
    assert f"| {len(data):,} | `{hashlib.sha256(data).hexdigest()}` |" in card
    notice = (Path(__file__).parents[2] / "NOTICE").read_text(encoding="utf-8")
    assert f"detectors/files/{name}.onnx" in notice


def test_a_copy_of_a_shipped_file_gets_its_constants(tmp_path: Path) -> None:
    for name in ("yunet_n", "yunet_s"):
        path = tmp_path / f"{name}_copy.onnx"
        path.write_bytes(shipped_file(name).data)
        file = own_file(path)
        assert file.step is STEP[name]
        assert file.calibration == CALIBRATION[name]
    found = get_detector(f"yunet:{tmp_path}/yunet_s_copy.onnx")
    assert same(found(astronaut()), get_detector("yunet_s")(astronaut()))  # type: ignore[operator]


def damaged() -> dict[str, bytes]:
    data = shipped_file("yunet_s").data
    return {
        "empty": b"",
        "text": b"not onnx at all",
        "cut": data[:-1000],
        "half": data[: len(data) // 2],
        "longer": data + b"\x0a\xff",
        "other": data.replace(b"kps_8", b"xps_8"),
        "endless": b"\xff" * 64,
    }


@pytest.mark.parametrize("kind", list(damaged()))
def test_a_damaged_file_is_one_line_and_nothing_on_standard_error(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "yunet.onnx"
    path.write_bytes(damaged()[kind])
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(
        UsageError, match=r"--detector yunet:.*yunet.onnx: .*; get face_detection_yunet_2023mar"
    ) as caught:
        get_detector(f"yunet:{path}")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""
    assert cv2.utils.logging.getLogLevel() == level


def test_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; expected an ONNX file") as caught:
        get_detector(f"yunet:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_boxes_come_back_in_photograph_pixels() -> None:
    for factor in (0.5, 1.0, 2.0, 5.0):
        image, face = scaled(factor)
        (found,) = get_detector("yunet")(image)  # type: ignore[operator]
        assert overlap([found], face) > 0.8


def test_one_look_shows_no_more_than_it_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    original = YuNet.rows

    def watched(self: YuNet, views: list[View]) -> list[np.ndarray]:
        shown.extend(view.bgr.shape[:2] for view in views)
        return original(self, views)

    monkeypatch.setattr(YuNet, "rows", watched)
    detector = YuNetDetector(longest=400)
    for shape in ((900, 1200), (350, 300), (200, 100), (20, 30)):
        detector(np.zeros((*shape, 3), np.uint8))
    # Larger ones are reduced, smaller ones shown as they are, small ones enlarged to 320, tiny ones four times.
    assert shown == [(300, 400), (350, 300), (320, 160), (80, 120)]


def test_a_face_that_a_tile_cuts_is_left_to_the_next_tile() -> None:
    network = YuNet(shipped_file("yunet_n"))
    bgr = np.ascontiguousarray(astronaut()[60:200, int(FACE[0]) + 15 : 360, ::-1])  # her right cheek is cut off
    same_place = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert (network(View(bgr, same_place)).score > 0.6).sum() == 1
    assert (network(View(bgr, same_place, (False, False, True, True))).score > 0.6).sum() == 1
    assert (network(View(bgr, same_place, (True, False, False, False))).score > 0.6).sum() == 0


def test_rows_that_are_not_finite_or_too_small_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    good = np.arange(1.0, 16.0, dtype=np.float32)[None]
    good[0, 2:4] = 4.0
    rows = np.repeat(good, 6, axis=0)
    rows[1, 0], rows[2, 9], rows[3, 2], rows[4, 2], rows[5, 3] = np.inf, np.nan, 0.0, 1e-15, 3.9

    def network_of(self: YuNet) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
        return lambda pictures: [rows for _ in pictures]

    monkeypatch.setattr(YuNet, "_make", network_of)
    network = YuNet(shipped_file("yunet_n"))
    picture = np.zeros((30, 40, 3), np.uint8)
    picture[:, 20:] = 200
    flat = np.full((30, 40, 3), 127, np.uint8)
    kept = network.rows([View(flat, np.eye(2, 3)), View(picture, np.eye(2, 3)), View(flat, np.eye(2, 3))])
    assert [rows.tolist() for rows in kept] == [[], good.tolist(), []]


def test_a_pool_lends_each_object_once_and_forgets_one_that_failed() -> None:
    made = []

    def make() -> list[int]:
        made.append([len(made)])
        return made[-1]

    pool = Pool(make)
    with pool.lend() as first, pool.lend() as second:
        assert first is not second
    with pool.lend() as again:
        assert again in (first, second)
    assert len(made) == 2
    with pytest.raises(KeyError), pool.lend(), pool.lend():
        raise KeyError
    with pool.lend():
        assert len(made) == 3


def test_a_process_that_forks_after_a_call_goes_on_in_both() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    code = """
import os, sys, numpy as np
sys.path.insert(0, sys.argv[1])
from pictures import astronaut, same
from fiducia.detectors.registry import get_detector
for name in ("auto", "yunet"):
    detector = get_detector(name)
    wanted = detector(astronaut())
    assert wanted
    child = os.fork()
    if child == 0:
        os._exit(0 if same(detector(astronaut()), wanted) else 3)
    assert os.waitpid(child, 0)[1] == 0
    assert same(detector(astronaut()), wanted)
"""
    source = Path(__file__).parents[2] / "src"
    subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


def test_nothing_of_the_process_is_changed() -> None:
    before = cv2.utils.logging.getLogLevel(), cv2.getNumThreads(), cv2.ocl.useOpenCL(), sorted(os.environ)
    get_detector("auto")(astronaut())  # type: ignore[operator]
    assert before == (cv2.utils.logging.getLogLevel(), cv2.getNumThreads(), cv2.ocl.useOpenCL(), sorted(os.environ))
