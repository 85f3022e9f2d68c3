"""What ``fiducia evaluate`` prints: whole figures whatever the width, and how many faces they are of."""

from __future__ import annotations

from typing import Any

import pytest

from fiducia.commands.evaluate import _show
from fiducia.evaluation.report import unmeasured

KEYS = ("fr10_ic", "fr8_ic", "fr5_ic", "auc10_ic", "auc5_ic", "auc7_box")


def row(faces: int) -> dict[str, Any]:
    return {
        "faces": faces,
        **{f"nme_{kind}": 12.3456 for kind in ("ic", "ip", "box", "diag")},
        **dict.fromkeys(KEYS, 100.0),
    }


def result(ic: int, detected: int = 25, box: int = 25) -> dict[str, Any]:
    measured = {"ic": ic, "ip": 6, "box": box, "diag": box}
    return {**row(25), "detected": detected, "measured": measured, "subsets": {"righthalf/trainset": row(5)}}


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_figure_is_cut_off(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    _show(result(10), [*unmeasured(result(10)), "the protocol"])
    text = capsys.readouterr().out
    assert "…" not in text
    assert text.count("12.346") == 8
    assert text.count("100.00") == 12


def test_a_unit_that_some_faces_lack_is_told() -> None:
    (line,) = unmeasured(result(10))
    assert line == "NME, FR and AUC by ic of 10, ip of 6 of 25 faces; the others lack labels at an eye"
    assert "by ip of 6 of 25 faces" in unmeasured(result(25))[0]
    # Also where as many faces were found, though not the same ones.
    assert "by ic of 24, ip of 6 of 25 faces" in unmeasured(result(24, detected=20))[0]
    assert (
        unmeasured(result(25, box=23))[1]
        == "NME and AUC by the box of 23 of 25 faces; the others have no box with an area"
    )
