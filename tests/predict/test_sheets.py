from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from test_outputs import FindsTwo, photo, run

from fiducia.draw import sheet as drawing
from fiducia.draw.faces import Style
from fiducia.errors import UsageError
from fiducia.faces.face import Face
from fiducia.images import Image, read_image
from fiducia.predict.inputs import open_photo
from fiducia.predict.outputs import Origin, Result, result_table, sheet
from fiducia.predict.outputs.base import writers


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
    image = read_image(source)
    (tmp_path / "out").mkdir()
    table = result_table(Result(str(source), "a", image, tmp_path / "out", ()))
    source.unlink()
    writers["sheet"].close(tmp_path / "out", FindsTwo().runtime.scheme, Origin(), lambda: iter([table]))
    assert read_image(tmp_path / "out" / "sheet.jpg").size > 0


@pytest.mark.parametrize("name", ["sheet.jpg", "sheet~2.jpg"])
def test_a_sheet_never_replaces_an_input(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    source = photo(tmp_path / "out" / name)
    before = source.read_bytes()
    with pytest.raises(UsageError, match=rf"{name}: is an input, and the results would replace it"):
        run(tmp_path, [photo(tmp_path / "a.png"), source], "sheet,png")
    assert source.read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    report, _ = run(tmp_path, [photo(tmp_path / "sheet.jpg")], "sheet")  # of that name, but elsewhere
    assert report.failed == []


def test_no_photograph_gives_an_empty_sheet(tmp_path: Path) -> None:
    report, _ = run(tmp_path, [tmp_path / "missing.png"], "sheet")
    assert len(report.failed) == 1
    assert (tmp_path / "out" / "sheet.jpg").is_file()


def test_a_doubtful_face_is_dashed_on_the_sheet_as_in_its_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float | None] = []

    def keep(image: Image, faces: Sequence[Face], style: Style) -> Image:
        drawn.extend(face.quality for face in faces)
        return image

    monkeypatch.setattr(drawing, "draw_faces", keep)
    source = photo(tmp_path / "a.png")
    found = FindsTwo().faces(open_photo(str(source)))[0]
    faces = [replace(found, quality=0.2), replace(found, quality=None)]
    (tmp_path / "out").mkdir()
    table = result_table(Result(str(source), "a", read_image(source), tmp_path / "out", faces))
    writers["sheet"].close(tmp_path / "out", found.scheme, Origin(), lambda: iter([table]))
    assert drawn == [0.2, None]
