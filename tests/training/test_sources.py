"""Several sources in one run: which faces, and how they are validated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fiducia.data.dataset import collate
from fiducia.errors import UsageError
from fiducia.losses.base import LossContext
from fiducia.losses.objective import Objective
from fiducia.recipes.files import parse_recipe
from fiducia.recipes.sections import DataConfig, LossConfig
from fiducia.schemes.sets import get_scheme
from fiducia.structures import ModelOutput, Record, Sample
from fiducia.training.collections import collections_of
from fiducia.training.faces import split_records
from fiducia.training.setup import completed

SCHEME = get_scheme("ibug68")


def face(collection: str, source: str, absent: int = 0) -> Record:
    xy = np.random.default_rng(0).uniform(0, 50, (68, 2))
    xy[:absent] = np.nan
    tags = {"collection": collection, "source": source}
    return Record(image=Path("x.jpg"), xy=xy, visible=np.full(68, 2, dtype=np.int8), scheme="ibug68", tags=tags)


def test_each_source_is_split_by_itself(tmp_path: Path) -> None:
    sources = (f"synthetic:30@{tmp_path}/a", f"synthetic:20@{tmp_path}/b")
    both = split_records(DataConfig(source=sources, val_fraction=0.2))
    alone = [split_records(DataConfig(source=source, val_fraction=0.2)) for source in sources]
    for side in ("training", "validation"):
        assert [r.image for r in getattr(both, side)] == [r.image for one in alone for r in getattr(one, side)]
    assert len(both.validation) == 10
    assert {r.tags["source"] for r in both.training} == {"synthetic"}


def test_a_collection_is_repeated_in_training_alone_and_a_foreign_one_is_told(tmp_path: Path) -> None:
    data = DataConfig(source=f"synthetic:20@{tmp_path}", val_fraction=0.2)
    plain, more = split_records(data), split_records(data.model_copy(update={"repeat": {"synthetic": 3}}))
    assert len(more.training) == 3 * len(plain.training)
    assert len(more.validation) == len(plain.validation)
    other = split_records(data.model_copy(update={"repeat": {"profile": 2}}))
    assert other.remarks[-1].endswith("no face of profile to repeat; the training faces are of synthetic")
    assert len(other.training) == len(plain.training)


@pytest.mark.parametrize("seed", range(8))
def test_images_of_a_group_stay_on_one_side(tmp_path: Path, seed: int) -> None:
    data = DataConfig(source=f"synthetic:12@{tmp_path}", val_fraction=0.4, val_seed=seed)
    ids = [r.id for r in split_records(data).training][:3]
    found = split_records(data.model_copy(update={"together": (tuple(ids),)}))
    inside = {r.id for r in found.training}
    assert len(inside & set(ids)) in (0, 3)
    assert len(found.training) + len(found.validation) == 12


def test_sources_are_checked_one_by_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one source or several different ones"):
        parse_recipe({"data": {"source": ["synthetic:4", "synthetic:4"]}})
    with pytest.raises(UsageError, match="no data set is called 'merk'"):
        completed(parse_recipe({"data": {"source": ["synthetic:4", "merk:x"]}}))


def test_a_source_whose_faces_lack_points_is_measured_by_the_box_and_others_by_the_eyes() -> None:
    records = [face("lfpw", "300w"), face("profile", "merl", absent=30), face("frontal", "merl"), face("lfpw", "300w")]
    found = [(c.name, c.kind, c.faces) for c in collections_of(records, SCHEME)]
    assert found == [("frontal", "box", (2,)), ("lfpw", "ic", (0, 3)), ("profile", "box", (1,))]


def test_absent_points_have_no_part_in_the_losses_of_a_heatmap_network() -> None:
    """The gradient of the absent points' maps is zero, and the loss that of the others alone."""
    torch.manual_seed(0)
    k, half = 68, 34
    xy = np.random.default_rng(1).uniform(8, 56, (k, 2)).astype(np.float32)
    profile = xy.copy()
    profile[:half] = np.nan
    one = Sample(
        image=np.zeros((3, 64, 64), np.uint8),
        xy_crop=profile,
        visible=np.where(np.isfinite(profile[:, 0]), 2, 0).astype(np.int8),
        to_image=np.eye(2, 3),
        index=0,
    )
    logits = torch.randn(1, k, 16, 16, requires_grad=True)
    tables = {"heatmap": LossConfig(kind="bce"), "coord": LossConfig(kind="coord"), "star": LossConfig(kind="star")}
    output = ModelOutput(heatmaps=[logits])
    objective = Objective(tables, LossContext.of(output, SCHEME, 64))
    loss, values = objective(output, collate([[one]]))
    loss.backward()
    assert torch.isfinite(loss)
    grad = logits.grad
    assert grad is not None
    assert float(grad[:, :half].abs().max()) == 0.0
    assert float(grad[:, half:].abs().amax((-2, -1)).min()) > 0.0
    assert all(torch.isfinite(value) for value in values.values())


@pytest.mark.shared
def test_the_shared_profiles_are_trained_on_with_their_far_side_left_out() -> None:
    root = Path(__file__).parents[3] / "shared/data/merl_rav"
    if not root.is_dir():
        pytest.skip(f"{root} is not here")
    pair = ("*/image03892", "*/image03893")
    found = split_records(DataConfig(source=f"merl:{root}", val_fraction=0.08, together=(pair,)))
    groups = {c.name: c for c in collections_of([*found.training, *found.validation], found.scheme)}
    assert {name: len(c.faces) for name, c in groups.items()} == {"frontal": 799, "half": 146, "profile": 297}
    assert {c.kind for c in groups.values()} == {"box"}
    assert len({r.tags["photo"] for r in found.training} & {r.tags["photo"] for r in found.validation}) == 0
