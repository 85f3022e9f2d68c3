"""``--detector NAME``: what there is, and what is said of what there is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fiducia.annotate.job import Job
from fiducia.cli import main
from fiducia.detectors.registry import DEFAULT, describe_detectors, detectors, fingerprint, get_detector, no_file
from fiducia.detectors.whole import WholeImage
from fiducia.errors import UsageError


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("dlip", "did you mean 'dlib'"),
        ("dlib:x", "dlib takes no file; use --detector dlib"),
        ("auto:x", "auto takes no file"),
        ("haar", "cascades were removed; use --detector yunet"),
        ("haar_alt2", "cascades were removed; use --detector yunet"),
        ("yunet:none.onnx", "none.onnx: no such file"),
        ("model.onnx", "use --detector yunet:model.onnx"),
        ("boxes.json", "no such file"),
        ("", "no such detector"),
    ],
)
def test_a_wrong_name_is_one_line(wrong: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        get_detector(wrong)
    assert "\n" not in str(caught.value)


def test_a_detector_comes_back_as_it_is() -> None:
    own = WholeImage()
    assert get_detector(own) is own
    assert get_detector(own, min_score=0.9) is own  # it has no scores to filter by


def test_the_list_says_what_each_is() -> None:
    rows = describe_detectors()
    assert [r["name"] for r in rows] == list(detectors)
    assert [r["name"] for r in rows if r["default"]] == [DEFAULT]
    assert all(r["what"] and "\n" not in r["what"] for r in rows)


def test_the_least_score_reaches_the_detector() -> None:
    assert get_detector("yunet", min_score=0.25).min_score == 0.25  # type: ignore[union-attr]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="expected a probability from 0 to 1"):
            get_detector("yunet", min_score=wrong)


def test_no_file_lets_an_empty_text_pass() -> None:
    no_file("mine", "")


def test_detectors_import_no_torch() -> None:
    code = (
        "import sys; from fiducia.detectors.registry import detectors; names = list(detectors); "
        "detectors['auto'](''); assert len(names) > 3; sys.exit('torch' in sys.modules)"
    )
    source = Path(__file__).parents[2] / "src"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(source), "FIDUCIA_PLUGINS": "off"})


def test_a_min_score_does_not_change_the_callers_detector() -> None:
    """Of two predictors with one detector the second changed what the first left out."""
    own = WholeImage()
    own.min_score = 0.5  # type: ignore[attr-defined]
    first, second = get_detector(own, min_score=0.9), get_detector(own, min_score=0.1)
    assert [one.min_score for one in (own, first, second)] == [0.5, 0.9, 0.1]  # type: ignore[union-attr]
    assert get_detector(own) is own


def test_a_run_that_goes_on_knows_another_file_of_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of boxes that was changed between the two parts of a run gave one result of both."""
    path = tmp_path / "boxes.json"
    path.write_text("{}")
    asked: list[object] = []

    def keep(*told: object, settings: Mapping[str, object], **more: object) -> None:
        asked.append(settings["detector"])
        raise UsageError("enough")

    monkeypatch.setattr("fiducia.predict.detect.detect_paths", keep)
    for text in ("{}", '{"a.png": []}', "{}"):
        path.write_text(text)
        asked.append(Job(out=str(tmp_path), detector=str(path)).facts()["detector"])
        with pytest.raises(SystemExit):
            main(["detect", "a.png", "--detector", str(path), "--runtime", "torch", "--device", "cpu"])
    assert asked == [asked[0], asked[0], asked[2], asked[2], asked[0], asked[0]]
    assert asked[0] != asked[2]
    assert [fingerprint(name) for name in ("auto", "missing.json", "yunet:missing.onnx")] == [
        *("auto", "missing.json", "yunet:missing.onnx"),
    ]
    assert fingerprint(f"yunet:{path}").startswith(f"yunet:{path}@")
