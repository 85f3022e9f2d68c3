from __future__ import annotations

from pathlib import Path

import pytest
from test_outputs import photo, run

from fiducia.images import read_image
from fiducia.predict.outputs import sheet


def test_all_photographs_stand_on_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MOST", 2)
    sources = [photo(tmp_path / f"{name}.png", faces=name != "b") for name in "abc"]
    report, _ = run(tmp_path, sources, "sheet,svg")
    assert report.failed == []
    out = tmp_path / "out"
    assert sorted(p.name for p in out.iterdir()) == ["a.svg", "b.svg", "c.svg", "sheet.jpg", "sheet~2.jpg"]
    first, second = read_image(out / "sheet.jpg"), read_image(out / "sheet~2.jpg")
    assert first.shape[1] > second.shape[1]
    assert out / "sheet.jpg" in report.written


def test_a_photograph_that_went_away_leaves_a_gap(tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    from test_outputs import FindsTwo

    from fiducia.predict.outputs import Origin, Result, result_table
    from fiducia.predict.outputs.base import writers

    image = read_image(source)
    (tmp_path / "out").mkdir()
    table = result_table(Result(str(source), "a", image, tmp_path / "out", ()))
    source.unlink()
    writers["sheet"].close(tmp_path / "out", FindsTwo().runtime.scheme, Origin(), lambda: iter([table]))
    assert read_image(tmp_path / "out" / "sheet.jpg").size > 0


def test_no_photograph_gives_an_empty_sheet(tmp_path: Path) -> None:
    report, _ = run(tmp_path, [tmp_path / "missing.png"], "sheet")
    assert len(report.failed) == 1
    assert (tmp_path / "out" / "sheet.jpg").is_file()
