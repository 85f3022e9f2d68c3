"""What ``fiducia evaluate`` prints: whole figures whatever the width, and how many faces they are of."""

from __future__ import annotations

from typing import Any

import pytest

from fiducia.commands.evaluate import _show

KEYS = ("fr10_ic", "fr8_ic", "fr5_ic", "auc10_ic", "auc5_ic", "auc7_box")


def row(faces: int) -> dict[str, Any]:
    return {
        "faces": faces,
        **{f"nme_{kind}": 12.3456 for kind in ("ic", "ip", "box", "diag")},
        **dict.fromkeys(KEYS, 100.0),
    }


def printed(capsys: pytest.CaptureFixture[str], ic: int) -> str:
    measured = {"ic": ic, "ip": 6, "box": 25, "diag": 25}
    subsets = {"righthalf/trainset": row(5)}
    _show({**row(25), "detected": 25, "measured": measured, "subsets": subsets}, ["the protocol"])
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_figure_is_cut_off(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = printed(capsys, 10)
    assert "…" not in text
    assert text.count("12.346") == 8
    assert text.count("100.00") == 12


def test_a_unit_that_some_faces_lack_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "by ic of 10, ip of 6 of 25 faces; the others lack labels at an eye" in printed(capsys, 10)
    assert "by ip of 6 of 25 faces" in printed(capsys, 25)
