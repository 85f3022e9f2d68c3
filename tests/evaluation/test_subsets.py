"""Figures of a part must not pass for those of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fiducia.data.readers.wflw import ATTRIBUTES
from fiducia.data.source import datasets, load_records
from fiducia.evaluation.plan import make_plan
from fiducia.evaluation.subsets import is_partial
from fiducia.images import write_image
from fiducia.schemes.sets import get_scheme

STAMP = {"crop_source": "landmarks", "crop_scale": 0.8, "decode": "expectation", "size": 64, "weights": "x"}


def test_one_face_less_is_a_part_and_no_number_is_none() -> None:
    assert is_partial(2500, 2499)
    assert not is_partial(2500, 2500)
    assert not is_partial(None, 3)


@pytest.mark.parametrize("split", ["test", next(iter(ATTRIBUTES))])
def test_a_short_benchmark_is_stamped_as_a_part(split: str, tmp_path: Path) -> None:
    folder = tmp_path / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    folder.mkdir(parents=True)
    xy = np.stack([np.linspace(5, 45, 98), np.linspace(30, 5, 98)], axis=-1).ravel()
    lines = [f"{' '.join(map(str, xy + i))} 1 2 50 35 {flag} 0 0 0 0 0 {i}.png" for i, flag in enumerate((1, 0))]
    (folder / "list_98pt_rect_attr_test.txt").write_text("\n".join(lines))
    for i in range(2):
        write_image(tmp_path / "WFLW_images" / f"{i}.png", np.full((40, 60, 3), 90, np.uint8))
    records = load_records(f"wflw:{tmp_path}", split)
    official = datasets["wflw"].counts[split]
    stamp = {**STAMP, "data": "wflw", "split": split, "official": official, "runtime": "torch"}
    protocol = make_plan(records, get_scheme("wflw98"), stamp, "auto").protocol
    assert protocol.partial
    assert f"PARTIAL: no match for published figures, which are of all {official} faces" in protocol.words()
    assert protocol.model_dump(mode="json")["partial"] is True
    whole = make_plan(records, get_scheme("wflw98"), {**stamp, "official": len(records)}, "auto").protocol
    assert not whole.partial
    assert not any("PARTIAL" in line for line in whole.words())


def test_every_benchmark_knows_how_many_faces_its_test_split_has() -> None:
    for name in ("300w", "300w-private", "wflw", "cofw", "cofw68", "aflw", "merl", "aflw2000", "lapa"):
        spec = next(spec for spec in (datasets[n] for n in datasets) if spec.name.startswith(name))
        assert {split: spec.counts.get(split) for split in spec.splits if split in ("full", "test")}, name
        assert all(split in spec.counts for split in spec.splits if split in ("full", "test")), name
