"""A minute's fuzz of ``benchmarks/fuzz_labels.py`` in small, and the readers of results on damaged files."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from benchmark_files import photograph

from fiducia.data.check import check
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("fuzz_labels")


def test_the_same_seed_gives_the_same_files(fuzz: ModuleType) -> None:
    assert list(fuzz.cases(3, 20)) == list(fuzz.cases(3, 20))
    assert list(fuzz.cases(3, 20)) != list(fuzz.cases(4, 20))
    assert {suffix for suffix, _ in fuzz.cases(0, 200)} == set(fuzz.SOURCES)


def test_every_damaged_file_is_read_or_refused_in_one_line(fuzz: ModuleType, tmp_path: Path) -> None:
    fuzz.place(tmp_path)
    for suffix, data in fuzz.cases(0, 120):
        assert fuzz.read_case(tmp_path, suffix, data) == [], data[:300]


def test_whole_files_of_every_kind_are_read(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz.place(tmp_path)
    # Without faults every file must be accepted: else the fuzz would test the first refusal alone.
    monkeypatch.setattr(fuzz, "_faulty", lambda table, rng: table)
    for suffix, (pattern, where) in fuzz.SOURCES.items():
        accepted = 0
        for seed in range(40):
            (tmp_path / where).write_bytes(fuzz.MAKERS[suffix](fuzz.random.Random(seed)))
            scheme = str(tmp_path / where) if suffix == ".scheme.toml" else None
            try:
                split = "test" if suffix in (".wflw.txt", ".lapa.txt") else "all"
                accepted += len(load_records(pattern.format(tmp_path), split, scheme)) > 0
            except FiduciaError:
                continue
        assert accepted > 4, suffix


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": 7}, "faces is 7; expected a list"),
        ({"faces": [[]]}, "faces[0] is []; expected an object"),
        ({"faces": [{"points": []}]}, "a face has no point"),
        ({"faces": [{"points": [[1, 2, 3]] * 5}]}, "faces[0].points[0] holds 3 numbers; expected 2"),
        ({"faces": [{"points": [[1, None]] * 5}]}, "faces[0].points[0][1] is null; expected a number"),
        ({"faces": [{"points": [[1, 2]] * 5, "box": [5, 5, 1, 9]}]}, "box is [5, 5, 1, 9]; expected x1 y1 x2 y2"),
        ({"faces": [{"points": [[1, 2]] * 5, "scheme": "ibug68"}]}, "5 points found, but ibug68 has 68"),
        ({"image": None}, "image is null; expected a text"),
        ({"width": "wide"}, 'width is "wide"; expected a number'),
        ({"image": "x" * 5000}, "5000 characters; expected at most 1000"),
    ],
)
def test_damaged_results_are_told_by_their_place(change: dict, message: str, tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    face = {"points": [[1, 2], [9, 2], [5, 5], [2, 9], [8, 9]], "scheme": "five"}
    path = tmp_path / "out" / "a.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"image": "../a.png", "width": 60, "height": 40, "faces": [face], **change}))
    for source in (f"json:{path.parent}", f"json:{path}"):
        with pytest.raises(FiduciaError) as caught:
            load_records(source, "all")
        assert message in str(caught.value)
        assert str(caught.value).startswith(f"{path}: ")
        assert any(message in line for line in check(source).broken)
