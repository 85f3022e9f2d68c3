"""Every real face through every format and back: nothing may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark_files import real_lapa, real_merl

from fiducia.data.formats.coco import write_coco
from fiducia.data.formats.csv_table import write_csv
from fiducia.data.formats.cvat import write_cvat
from fiducia.data.formats.folder import write_folder
from fiducia.data.source import load_records
from fiducia.structures import Record

FORMATS: dict[str, tuple[Callable[[Path, Sequence[Record]], Any], str]] = {
    "coco": (write_coco, "faces.json"),
    "csv": (write_csv, "faces.csv"),
    "cvat": (write_cvat, "faces.xml"),
}


def sources(shared: Path, tmp: Path) -> list[tuple[str, str, int]]:
    """Return each source of the shared faces, a split, and the least number of faces that it must have."""
    real_merl(shared, tmp / "merl")
    real_lapa(shared, tmp / "lapa")
    return [
        (f"300w:{shared / '300w'}", "train", 2000),
        (f"300w:{shared / '300w'}", "lfpw/testset", 224),
        (f"pts:{shared / 'multi_face'}", "all", 40),
        (f"pts:{shared / 'pts_bare'}", "all", 2),
        (f"pts:{shared / 'pts_headered'}", "all", 10),
        (f"wflw:{shared / 'wflw_sample'}", "test", 4),
        (f"aflw2000:{shared / 'aflw2000_sample'}", "test", 16),
        (f"merl:{tmp / 'merl'}", "test", 1),
        (f"lapa:{tmp / 'lapa'}", "test", 1),
        (f"coco:{next((shared / 'coco_style' / 'cofw').glob('*.json'))}", "all", 1),
        (f"coco:{next((shared / 'coco_style' / 'aflw').glob('*.json'))}", "all", 1),
    ]


def assert_same(found: Sequence[Record], given: Sequence[Record]) -> None:
    assert len(found) == len(given)
    for after, before in zip(found, given, strict=True):
        assert after.xy.dtype == np.float64
        np.testing.assert_allclose(after.xy, before.xy, rtol=0, atol=1e-6)
        np.testing.assert_array_equal(after.visible, before.visible)
        assert after.scheme == before.scheme
        assert dict(after.tags) == dict(before.tags)
        assert after.image.resolve() == before.image.resolve()
        assert (after.box is None) == (before.box is None)
        if before.box is not None:
            np.testing.assert_allclose(after.box, before.box, rtol=0, atol=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize("name", FORMATS)
def test_all_real_faces_come_back_as_they_were(name: str, shared_data: Path, tmp_path: Path) -> None:
    write, file = FORMATS[name]
    total = 0
    for number, (source, split, least) in enumerate(sources(shared_data, tmp_path)):
        given = load_records(source, split)
        assert len(given) >= least, source
        path = tmp_path / str(number) / file
        path.parent.mkdir()
        write(path, given)
        assert_same(load_records(f"{name}:{path}", "all"), given)
        total += len(given)
    assert total > 2300


@pytest.mark.shared
def test_all_fully_labelled_faces_come_back_from_pts(shared_data: Path, tmp_path: Path) -> None:
    """``.pts`` holds places alone, so places alone are compared, of faces with every point labelled."""
    total = 0
    for number, (source, split, _) in enumerate(sources(shared_data, tmp_path)):
        given = [record for record in load_records(source, split) if np.isfinite(record.xy).all()]
        if split == "train":
            given = given[::10]  # a folder copies the photographs
        if not given:
            continue
        write_folder(tmp_path / f"pts{number}", given)
        found = load_records(f"pts:{tmp_path / f'pts{number}'}", "all")
        assert len(found) == len(given)
        by_place = {tuple(record.xy[0].round(6)): record for record in found}
        for record in given:
            np.testing.assert_allclose(by_place[tuple(record.xy[0].round(6))].xy, record.xy, rtol=0, atol=1e-6)
        total += len(given)
    assert total > 400
