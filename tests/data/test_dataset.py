from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from fiducia.augment.views import EvalViews, TrainViews
from fiducia.data import dataset as module
from fiducia.data.dataset import EpochSampler, FaceDataset, collate
from fiducia.errors import FiduciaError, UsageError
from fiducia.geometry import box_to_crop, tight_box
from fiducia.images import crop, read_image, write_image
from fiducia.recipes.sections import AugmentConfig, DataConfig
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Batch, Record, Sample

SCHEME = get_scheme("five")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Seven faces on four photographs of several sizes, some over the border, one point unlabelled."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    found: list[Record] = []
    for photo, (height, width, faces) in enumerate([(90, 120, 1), (333, 401, 2), (260, 200, 1), (901, 703, 3)]):
        path = folder / f"{photo}.png"
        image = np.kron(rng.integers(0, 256, (height // 10 + 1, width // 10 + 1, 3), np.uint8), np.ones((10, 10, 1)))
        write_image(path, image.astype(np.uint8)[:height, :width])
        for _ in range(faces):
            side = rng.uniform(0.3, 0.7) * min(height, width)
            xy = rng.uniform(0, side, (5, 2)) + rng.uniform(-0.1, 0.5, 2) * (width, height)
            if len(found) == 2:
                xy[3] = np.nan
            visible = np.where(np.isfinite(xy[:, 0]), 2, 0).astype(np.int8)
            found.append(
                Record(image=path, xy=xy, visible=visible, scheme="five", tags={"id": f"{photo}_{len(found)}"})
            )
    return found


def training(
    records: list[Record], *, size: int = 48, seed: int = 3, cache: bool = True, **augment: object
) -> FaceDataset:
    config = AugmentConfig.model_validate({"mirror": 0.5, "rotation": 0.6, "scale": 0.3, "shift": 0.2} | augment)
    return FaceDataset(records, TrainViews(DataConfig(size=size), config, SCHEME, 100), seed=seed, cache=cache)


def equal(a: list[Sample], b: list[Sample]) -> bool:
    return all(
        np.array_equal(x.image, y.image)
        and np.array_equal(x.xy_crop, y.xy_crop, equal_nan=True)
        and np.array_equal(x.visible, y.visible)
        and np.array_equal(x.to_image, y.to_image)
        and x.index == y.index
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("size", [24, 48, 200])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_the_cache_changes_no_pixel(records: list[Record], size: int, interpolation: str) -> None:
    cached = training(records, size=size, interpolation=interpolation)
    fresh = training(records, size=size, interpolation=interpolation, cache=False)
    for epoch in range(1, 6):
        cached.set_epoch(epoch)
        fresh.set_epoch(epoch)
        for i in range(len(records)):
            assert equal(cached[i], fresh[i])


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("size", [24, 128])
def test_evaluation_sees_what_detection_crops(records: list[Record], size: int, cache: bool) -> None:
    dataset = FaceDataset(records, EvalViews(DataConfig(size=size)), seed=0, cache=cache)
    for record, (sample,) in zip(records, (dataset[i] for i in range(len(dataset))), strict=True):
        expected = crop(read_image(record.image), box_to_crop(tight_box(record.xy), size, 0.8), size)
        np.testing.assert_array_equal(sample.image.transpose(1, 2, 0), expected)


def test_the_cache_decodes_each_photograph_once_and_keeps_only_the_faces(
    records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counting(path: Path) -> np.ndarray:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(module, "read_image", counting)
    dataset = training(records, size=24, rotation=0.1, scale=0.1, shift=0.0)
    for _ in range(3):
        for i in range(len(dataset)):
            dataset[i]
    assert sorted(read) == sorted({record.image for record in records})
    for patch in dataset._patches.values():
        assert patch.image.base is None, "a view would keep the whole photograph alive"
        # Reach 1.4 x 24 px at up to twice the resolution, and a margin.
        assert max(patch.image.shape[:2]) < 2 * 1.4 * 24 + 8
    read.clear()
    other = training(records)
    other.fill(threads=2)
    assert sorted(read) == sorted({record.image for record in records})
    assert len(other._patches) == len(records)


def test_a_face_that_a_recipe_repeats_is_cached_once_and_drawn_anew(records: list[Record]) -> None:
    twice = training([records[0], *records, records[0]])
    twice.fill(1)
    last = len(records) + 1
    assert twice._patches[0] is twice._patches[1] is twice._patches[last]
    assert twice._patches[0] is not twice._patches[2]
    fresh = training([records[0], *records, records[0]], cache=False)
    for i in (0, 1, last):
        assert equal(twice[i], fresh[i])
    assert not equal(twice[0], twice[last]), "a repeated face has draws of its own"


def test_a_draw_depends_on_seed_epoch_and_face_alone(records: list[Record]) -> None:
    dataset, again = training(records), training(records)
    first = [dataset[i] for i in range(7)]
    assert all(equal(first[i], again[i]) for i in reversed(range(7)))
    assert all(equal(first[i], dataset[i]) for i in range(7)), "asking twice changes nothing"
    again.set_epoch(2)
    assert not any(equal(first[i], again[i]) for i in range(7))
    again.set_epoch(1)
    assert all(equal(first[i], again[i]) for i in range(7))
    other = training(records, seed=4)
    assert not any(equal(first[i], other[i]) for i in range(7))


def batches(dataset: FaceDataset, workers: int, epoch: int) -> list[Batch]:
    dataset.set_epoch(epoch)
    sampler = EpochSampler(len(dataset), batch_size=3, seed=1, epoch=epoch)
    return list(DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers))


def test_workers_change_nothing(records: list[Record]) -> None:
    dataset = training(records)
    for epoch in (1, 2):
        alone, shared = batches(dataset, 0, epoch), batches(dataset, 2, epoch)
        assert len(alone) == len(shared) == 2
        for a, b in zip(alone, shared, strict=True):
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.xy.nan_to_num(-1), b.xy.nan_to_num(-1))
            assert torch.equal(a.mask, b.mask)
            assert torch.equal(a.to_image, b.to_image)
            assert torch.equal(a.index, b.index)


def test_a_photograph_that_cannot_be_read_and_a_negative_seed_are_told(records: list[Record], tmp_path: Path) -> None:
    gone = Record(image=tmp_path / "gone.png", xy=records[0].xy, visible=records[0].visible, scheme="five")
    dataset = training([gone])
    with pytest.raises(FiduciaError, match=r"gone\.png: no such file"):
        dataset[0]
    with pytest.raises(FiduciaError, match=r"gone\.png"):
        dataset.fill()
    with pytest.raises(UsageError, match="seed"):
        training(records, seed=-1)
    empty = Record(image=tmp_path / "e.png", xy=np.full((5, 2), np.nan), visible=np.zeros(5, np.int8), scheme="five")
    with pytest.raises(FiduciaError, match=r"e\.png.*no labelled point"):
        training([*records, empty])


def sample(xy: np.ndarray, index: int = 0, size: tuple[int, int] = (8, 8)) -> Sample:
    return Sample(
        image=np.full((3, *size), index, np.uint8),
        xy_crop=xy.astype(np.float32),
        visible=np.full(len(xy), 2, np.int8),
        to_image=np.eye(2, 3) * (index + 1),
        index=index,
    )


def test_collate_stacks_and_masks_what_a_loss_can_use() -> None:
    xy = np.array([[0, 0], [-0.5, 3], [-0.49, 3], [7.49, 7.49], [7.5, 3], [3, 7.5], [np.nan, np.nan], [3, np.nan]])
    batch = collate([[sample(xy, 4), sample(xy[::-1], 4)], [sample(xy, 9), sample(xy, 9)]])
    usable = [True, False, True, True, False, False, False, False]
    assert batch.images.shape == (2, 2, 3, 8, 8)
    assert batch.images.dtype == torch.uint8
    assert (batch.xy.shape, batch.xy.dtype) == ((2, 2, 8, 2), torch.float32)
    assert (batch.to_image.shape, batch.to_image.dtype) == ((2, 2, 2, 3), torch.float64)
    assert batch.mask.tolist() == [[usable, usable[::-1]], [usable, usable]]
    assert batch.index.tolist() == [4, 9]
    assert batch.views == 2
    assert int(batch.images[1].unique()) == 9
    assert batch.to_image[1, 0, 0, 0] == 10


def test_collate_passes_visibility_mirroring_and_tags_on() -> None:
    xy = np.zeros((3, 2))
    first, second = sample(xy, 1), replace(sample(xy, 1), mirrored=True, visible=np.array([2, 1, 0], np.int8))
    batch = collate([[replace(first, tags={"pose": True}), second], [first, first]])
    assert batch.visible.dtype == torch.int8
    assert batch.visible.tolist() == [[[2, 2, 2], [2, 1, 0]], [[2, 2, 2], [2, 2, 2]]]
    assert batch.mirrored.tolist() == [[False, True], [False, False]]
    assert [dict(tags) for tags in batch.tags] == [{"pose": True}, {}]


def test_bare_points_are_never_mirrored() -> None:
    bare = get_scheme("none:5")
    with pytest.raises(UsageError, match=r"augment\.mirror = 0\.5: the landmark set none:5 does not say which points"):
        TrainViews(DataConfig(), AugmentConfig(mirror=0.5), bare, 10)
    TrainViews(DataConfig(), AugmentConfig(mirror=0.0), bare, 10)


def test_the_mask_knows_width_from_height() -> None:
    batch = collate([[sample(np.array([[11.0, 3.0], [3.0, 11.0]]), size=(8, 16))]])
    assert batch.mask.tolist() == [[[True, False]]]


@given(
    n=st.integers(0, 40),
    batch_size=st.integers(1, 12),
    world=st.integers(1, 4),
    start=st.integers(0, 5),
    epoch=st.integers(1, 3),
)
def test_the_sampler_shares_each_global_batch(n: int, batch_size: int, world: int, start: int, epoch: int) -> None:
    if min(batch_size, n or batch_size) < world:
        with pytest.raises(UsageError, match="cannot be shared"):
            EpochSampler(n, batch_size=batch_size, seed=0, epoch=epoch, world=world)
        return
    whole = list(EpochSampler(n, batch_size=batch_size, seed=0, epoch=epoch))
    assert [len(b) for b in whole] == ([batch_size] * (n // batch_size) if n >= batch_size else [n] if n else [])
    seen = [i for batch in whole for i in batch]
    assert len(set(seen)) == len(seen), "no face twice an epoch"
    shares = []
    for rank in range(world):
        sampler = EpochSampler(n, batch_size=batch_size, seed=0, epoch=epoch, rank=rank, world=world, start=start)
        shares.append(list(sampler))
        assert len(shares[-1]) == len(sampler) == max(0, len(whole) - start)
    for step, parts in enumerate(zip(*shares, strict=True), start=start):
        assert sorted(i for part in parts for i in part) == sorted(whole[step])
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_order_is_new_every_epoch_and_every_seed() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [i for batch in EpochSampler(50, batch_size=10, seed=seed, epoch=epoch) for i in batch]

    assert sorted(order(0, 1)) == list(range(50))
    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(1, 4)}) == 9


@pytest.mark.shared
def test_real_faces_are_cached_without_a_difference(shared_data: Path) -> None:
    paths = sorted((shared_data / "300w" / "lfpw" / "testset").glob("*.pts"))[:6]
    faces = []
    for path in paths:
        xy = np.array([line.split() for line in path.read_text().splitlines()[3:71]], dtype=np.float64) - 1
        image = path.with_suffix(".jpg")
        faces.append(Record(image=image, xy=xy, visible=np.full(68, 2, np.int8), scheme="ibug68"))
    config = AugmentConfig(mirror=0.5)
    pair = [
        FaceDataset(faces, TrainViews(DataConfig(size=128), config, get_scheme("ibug68"), 50), seed=0, cache=cache)
        for cache in (True, False)
    ]
    assert all(equal(pair[0][i], pair[1][i]) for i in range(6))
