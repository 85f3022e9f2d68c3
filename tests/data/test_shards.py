"""Shards: what is packed comes back, training sees what it sees of files, and damage is named."""

from __future__ import annotations

import itertools
import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fiducia.augment.views import EvalViews, TrainViews
from fiducia.cli import app
from fiducia.data import stream as stream_module
from fiducia.data.blocks import LARGEST
from fiducia.data.dataset import FaceDataset, collate
from fiducia.data.formats.shards import open_shards, read_shards
from fiducia.data.shards.layout import read_index
from fiducia.data.shards.pack import pack
from fiducia.data.source import label_writers, load_records
from fiducia.data.stream import FaceStream
from fiducia.data.streamed import StreamedFaces
from fiducia.data.synthetic.source import synthetic_face
from fiducia.errors import FiduciaError, UsageError
from fiducia.files import read_bytes
from fiducia.images import read_image, write_image
from fiducia.recipes.sections import AugmentConfig, DataConfig
from fiducia.schemes.sets import get_scheme
from fiducia.structures import Batch, Record
from fiducia.training.faces import mean_face, split_records

FACES = 24


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same faces as single files: 24 on 20 photographs, two of them unusable, one over the border."""
    root = tmp_path_factory.mktemp("drawn")
    faces = list(load_records(f"synthetic:20@{root / 'faces'}", "train", "five"))
    for number in (3, 4, 9, 17):
        faces.append(
            replace(faces[number], xy=faces[number].xy * 0.6, tags={**faces[number].tags, "id": f"second/{number}"})
        )
    faces[5] = replace(faces[5], xy=np.full((5, 2), np.nan), visible=np.zeros(5, np.int8))
    faces[6] = replace(faces[6], xy=faces[6].xy + 9000)
    faces[7] = replace(faces[7], xy=faces[7].xy + np.array([40.0, -60.0]), box=np.array([1.0, 2.0, 30.0, 40.0]))
    faces = [replace(f, tags={**f.tags, "collection": ("even", "odd")[i % 2]}) for i, f in enumerate(faces)]
    order = sorted(range(len(faces)), key=lambda i: str(faces[i].image))  # faces of a photograph stand together
    label_writers["coco"](root / "faces.json", [faces[i] for i in order])
    return f"coco:{root / 'faces.json'}"


@pytest.fixture(scope="module")
def packed(drawn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "shards"
    made = pack(load_records(drawn, "all"), out, source="coco", split="all", shard_bytes=500_000)
    assert made.failures == []
    assert len(made.index.shards) >= 4
    return out


def test_what_is_packed_comes_back(drawn: str, packed: Path) -> None:
    files, back = load_records(drawn, "all"), load_records(f"shards:{packed}", "all")
    assert len(back) == FACES
    for one, other in zip(files, back, strict=True):
        np.testing.assert_array_equal(one.xy, other.xy)
        np.testing.assert_array_equal(one.visible, other.visible)
        assert (one.id, one.scheme, one.tags["photo"]) == (other.id, other.scheme, other.tags["photo"])
        assert (one.box is None) == (other.box is None)
        assert read_bytes(one.image, LARGEST) == read_bytes(other.image, LARGEST), "the photograph's own bytes"
        np.testing.assert_array_equal(read_image(one.image), read_image(other.image))


def test_any_program_for_tar_files_reads_them_and_a_photograph_is_stored_once(drawn: str, packed: Path) -> None:
    ids, pictures = [], 0
    for path in sorted(packed.glob("*.tar")):
        with tarfile.open(path) as tar:
            names = tar.getnames()
            assert names[::2] == sorted(names[::2])
            for picture, labels in zip(names[::2], names[1::2], strict=True):
                assert picture.partition(".")[0] == labels.partition(".")[0], "one key, as WebDataset has it"
                member = tar.extractfile(labels)
                assert member is not None
                table = json.load(member)
                assert table["scheme"] == "five"
                ids += [face["id"] for face in table["faces"]]
                pictures += 1
    records = load_records(drawn, "all")
    assert ids == [record.id for record in records]
    assert pictures == len({record.image for record in records}) == 20


def test_packing_twice_gives_the_same_bytes(drawn: str, packed: Path, tmp_path: Path) -> None:
    pack(load_records(drawn, "all"), tmp_path / "again", source="coco", split="all", shard_bytes=500_000)
    for path in packed.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


CHOICES: list[dict[str, Any]] = [
    {},
    {"val_fraction": 0.0},
    {"val_fraction": 0.4, "val_seed": 3},
    {"exclude": ("train/0000*",)},
    {"only": ("second/*", "train/0001[0-5]")},
    {"limit": 5},
    {"repeat": {"even": 3}},
    {"together": (("train/00000", "train/00001", "train/00002"), ("train/0001?",))},
    {"box_source": "dataset", "val_fraction": 0.0},
]


def test_a_file_of_rejected_faces_is_left_out_of_a_stream_too(packed: Path, tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.txt"
    rejected.write_text("train/00001\nsecond/4\n")
    plain = DataConfig(source=f"shards:{packed}", split="all", val_fraction=0.3)
    before, after = (split_records(c) for c in (plain, plain.model_copy(update={"exclude": (f"@{rejected}",)})))
    ids = [{r.id for r in (*faces.training, *faces.validation)} for faces in (before, after)]
    assert ids[0] - ids[1] == {"train/00001", "second/4"}
    with pytest.raises(FiduciaError, match=r"none\.txt: no such file; expected a file of ids"):
        split_records(plain.model_copy(update={"exclude": (f"@{tmp_path / 'none.txt'}",)}))


@pytest.mark.parametrize("options", CHOICES, ids=lambda options: ",".join(options) or "plain")
def test_the_same_faces_are_chosen_as_from_files(drawn: str, packed: Path, options: dict[str, Any]) -> None:
    one = split_records(DataConfig(source=drawn, split="all", **options))
    other = split_records(DataConfig(source=f"shards:{packed}", split="all", **options))
    assert isinstance(other.training, StreamedFaces)
    assert [r.id for r in one.training] == [r.id for r in other.training]
    assert [r.id for r in one.validation] == [r.id for r in other.validation]
    assert (one.scheme, len(other.training)) == (other.scheme, len(one.training))
    assert [line.partition(";")[0] for line in one.remarks] == [line.partition(";")[0] for line in other.remarks]
    assert other.training[len(other.training) - 1].id == one.training[-1].id
    for part in (slice(None, None, 5), slice(3, 9), slice(7, 2, -2), slice(0, 0)):
        assert [r.id for r in other.training[part]] == [r.id for r in one.training[part]]


def test_the_mean_face_is_that_of_files(drawn: str, packed: Path) -> None:
    data = DataConfig(source=drawn, split="all", size=64)
    one, other = (
        mean_face(split_records(d).training, d) for d in (data, data.model_copy(update={"source": f"shards:{packed}"}))
    )
    assert one is not None
    assert other is not None
    assert torch.equal(one, other)


def test_no_face_left_is_said_as_for_files(packed: Path) -> None:
    with pytest.raises(FiduciaError, match=r"data\.exclude leaves none of 24 faces"):
        split_records(DataConfig(source=f"shards:{packed}", split="all", exclude=("*",)))
    with pytest.raises(FiduciaError, match=r"data\.only matches none of 22 faces"):
        split_records(DataConfig(source=f"shards:{packed}", split="all", only=("nobody",)))
    found = split_records(DataConfig(source=f"shards:{packed}", split="all", repeat={"third": 2}))
    assert found.remarks[-1].endswith("no face of third to repeat; the training faces are of even, odd")
    with pytest.raises(UsageError, match="has no split 'test'; it names no splits"):
        split_records(DataConfig(source=f"shards:{packed}", split="test"))


def supplies(drawn: str, packed: Path, **data: Any) -> tuple[FaceDataset, FaceStream]:
    """Return the training faces from files and from shards, with views of their own for each epoch."""
    config = DataConfig(source=drawn, split="all", size=48, **data)
    files = split_records(config)
    shards = split_records(config.model_copy(update={"source": f"shards:{packed}"}))
    views = TrainViews(config, AugmentConfig(mirror=0.5), files.scheme, 10)
    assert isinstance(shards.training, StreamedFaces)
    stream = FaceStream(shards.training, views, seed=2, buffer=config.shuffle_buffer, lanes=config.interleave)
    return FaceDataset(files.training, views, seed=2), stream


def same(one: Batch, other: Batch) -> bool:
    parts = ("images", "visible", "mask", "to_image", "mirrored", "index")
    equal = all(torch.equal(getattr(one, part), getattr(other, part)) for part in parts)
    return equal and torch.equal(one.xy.nan_to_num(-1), other.xy.nan_to_num(-1))


def test_samples_are_those_of_files_bit_by_bit(drawn: str, packed: Path) -> None:
    files, stream = supplies(drawn, packed, shuffle_buffer=8, interleave=3, repeat={"even": 2})
    for epoch in (1, 2):
        files.set_epoch(epoch)
        order = stream.order(epoch).indices().tolist()
        found = list(stream.batches(batch_size=4, epoch=epoch))
        assert [i for batch in found for i in batch.index.tolist()] == order[: 4 * len(found)]
        assert len(order) - 4 < 4 * len(found) <= len(order)
        for batch in found:
            assert same(batch, collate([files[i] for i in batch.index.tolist()]))


def test_workers_processes_and_a_restart_change_no_batch(drawn: str, packed: Path) -> None:
    _, stream = supplies(drawn, packed, shuffle_buffer=12, interleave=4)
    whole = list(stream.batches(batch_size=6, epoch=3))
    assert len(whole) == 3
    workers = list(stream.batches(batch_size=6, epoch=3, workers=2))
    assert all(same(a, b) for a, b in zip(whole, workers, strict=True))
    rest = list(stream.batches(batch_size=6, epoch=3, start=1))
    assert all(same(a, b) for a, b in zip(whole[1:], rest, strict=True))
    for world in (2, 3, 6):
        shares = [list(stream.batches(batch_size=6, epoch=3, rank=rank, world=world)) for rank in range(world)]
        for step, batch in enumerate(whole):
            for rank in range(world):
                assert shares[rank][step].index.tolist() == batch.index[rank::world].tolist()
    with pytest.raises(UsageError, match="cannot be shared by 7 processes"):
        stream.batches(batch_size=6, epoch=1, world=7)


def test_a_batch_larger_than_all_faces_is_all_faces(drawn: str, packed: Path) -> None:
    _, stream = supplies(drawn, packed)
    (batch,) = stream.batches(batch_size=100, epoch=1)
    assert sorted(batch.index.tolist()) == list(range(len(stream)))
    assert list(stream.batches(batch_size=100, epoch=1, start=1)) == []


def test_no_more_faces_are_held_than_the_buffer_takes(
    drawn: str, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, most = 0, 0
    real = stream_module.read_image

    class Counted(bytes):
        def __del__(self) -> None:
            nonlocal read
            read -= 1

    forwards = stream_module._forwards

    def counting(*arguments: Any) -> Any:
        nonlocal read, most
        for index, record, data in forwards(*arguments):
            read += 1
            most = max(most, read)
            yield index, record, Counted(data)

    monkeypatch.setattr(stream_module, "_forwards", counting)
    monkeypatch.setattr(stream_module, "read_image", lambda data: real(bytes(data)))
    _, stream = supplies(drawn, packed, shuffle_buffer=6, interleave=2)
    assert len(list(stream.batches(batch_size=2, epoch=1))) > 6
    # One more is in the hands of whoever makes its views, and one in those of each lane.
    assert 4 <= most <= 6 + 1 + 2


def test_shards_are_read_forwards(drawn: str, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fiducia.data.shards import block

    seen: list[tuple[str, int]] = []
    real = block.read_at

    def noting(file: Any, tar: Path, name: str, limit: int) -> bytes:
        seen.append((tar.name, int(name[:12])))
        return real(file, tar, name, limit)

    monkeypatch.setattr(block, "read_at", noting)
    _, stream = supplies(drawn, packed, shuffle_buffer=6, interleave=1)
    list(stream.batches(batch_size=2, epoch=1))
    names = [name for name, _ in seen]
    assert sum(a != b for a, b in itertools.pairwise(names)) == len(set(names)) - 1, "one after another"
    for name in set(names):
        places = [place for tar, place in seen if tar == name]
        assert places == sorted(set(places)), "each photograph once, forwards"


def test_shards_and_files_train_together(drawn: str, packed: Path, tmp_path: Path) -> None:
    other = f"synthetic:6@{tmp_path}"
    both = (f"shards:{packed}", other)
    found = split_records(DataConfig(source=both, split="train", scheme="five", val_fraction=0.2))
    plain = [split_records(DataConfig(source=s, split="train", scheme="five", val_fraction=0.2)) for s in both]
    assert [r.id for r in found.training] == [r.id for one in plain for r in one.training]
    assert [r.id for r in found.validation] == [r.id for one in plain for r in one.validation]
    assert {r.tags["source"] for r in found.training} == {"shards", "synthetic"}


def test_several_directories_are_one_source(drawn: str, tmp_path: Path) -> None:
    records = load_records(drawn, "all")
    for number, part in enumerate((records[:10], records[10:])):
        pack(part, tmp_path / f"part-{number}", source="coco", split="all", shard_bytes=500_000)
    assert [r.id for r in read_shards(str(tmp_path / "part-*"))] == [r.id for r in records]
    ibug = load_records(f"synthetic:2@{tmp_path / 'drawn'}", "train")
    pack(ibug, tmp_path / "part-2", source="synthetic", split="train")
    with pytest.raises(FiduciaError, match=r"part-2: its faces are of ibug68, those of .*part-0 of five; train on one"):
        open_shards(str(tmp_path / "part-*"))


def test_a_scheme_of_ones_own_goes_with_the_shards(tmp_path: Path) -> None:
    scheme = tmp_path / "mine.toml"
    scheme.write_text('name = "mine"\nnames = ["a", "b", "c"]\nmirror = "none"\n')
    write_image(tmp_path / "a.png", np.zeros((40, 40, 3), np.uint8))
    face = Record(
        image=tmp_path / "a.png",
        xy=np.array([[3.0, 4.0], [30.0, 8.0], [9.0, 33.0]]),
        visible=np.full(3, 2, np.int8),
        scheme=str(scheme),
    )
    pack([face], tmp_path / "shards", source="csv", split="all")
    scheme.unlink()
    (back,) = read_shards(str(tmp_path / "shards"))
    assert get_scheme(back.scheme).names == ("a", "b", "c")


def test_splits_that_faces_name_are_kept(drawn: str, tmp_path: Path) -> None:
    faces = [
        replace(r, tags={**r.tags, "split": ("train", "test")[i % 3 == 0]})
        for i, r in enumerate(load_records(drawn, "all"))
    ]
    pack(faces, tmp_path / "shards", source="coco", split="all", shard_bytes=300_000)
    source = f"shards:{tmp_path / 'shards'}"
    assert [r.id for r in load_records(source, "test")] == [f.id for f in faces[::3]]
    chosen = split_records(DataConfig(source=source, split="train", val_fraction=0.0))
    assert not {r.id for r in chosen.training} & {f.id for f in faces[::3]}
    with pytest.raises(UsageError, match="its splits are test, train"):
        load_records(source, "val")


# Crops


def test_crops_without_loss_give_the_pixels_of_the_photographs(tmp_path: Path) -> None:
    good = []
    for seed in range(6):
        picture, xy, visible = synthetic_face(seed)
        wide = np.random.default_rng(seed).integers(0, 256, (701, 833, 3), dtype=np.uint8)
        x, y = 211 + seed, 187 - seed
        wide[y : y + 256, x : x + 256] = picture
        write_image(tmp_path / f"{seed}.png", wide)
        good.append(Record(image=tmp_path / f"{seed}.png", xy=xy + np.array([x, y]), visible=visible, scheme="ibug68"))
    pack(good, tmp_path / "crops", source="coco", split="all", crop=2.2)
    back = read_shards(str(tmp_path / "crops"))
    for size in (64, 256):  # blocks of 2 x 2 or 3 x 3 are averaged, and none are
        config = DataConfig(size=size)
        views = TrainViews(config, AugmentConfig(mirror=0.5), get_scheme("ibug68"), 10)
        assert {views.reach(face)[1] for face in good} <= ({2, 3} if size == 64 else {1})
        one, other = (FaceDataset(faces, views, seed=1, cache=False) for faces in (good, back))
        for i in range(len(good)):
            for a, b in zip(one[i], other[i], strict=True):
                np.testing.assert_allclose(a.image.astype(int), b.image.astype(int), atol=1)
                np.testing.assert_allclose(a.xy_crop, b.xy_crop, atol=1e-3)
    whole = read_image(good[0].image)
    left, top, width, height = back[0].tags["cut"]
    part = read_image(back[0].image)
    assert (height, width) == whole.shape[:2]
    np.testing.assert_array_equal(part, whole[top : top + part.shape[0], left : left + part.shape[1]])
    assert part.size < whole.size


def test_a_face_that_cannot_be_cut_out_costs_no_other_face_of_its_photograph(drawn: str, tmp_path: Path) -> None:
    good = next(r for r in load_records(drawn, "all") if np.isfinite(r.xy).all() and r.xy.max() < 1000)
    faces = [
        replace(good, xy=good.xy + shift, tags={"id": name})
        for name, shift in (("nowhere", np.nan), ("first", 0.0), ("outside", 9000.0), ("second", 1.0))
    ]
    made = pack(faces, tmp_path / "crops", source="coco", split="all", crop=2.0)
    assert [r.id for r in read_shards(str(tmp_path / "crops"))] == ["first", "second"]
    assert len(made.failures) == 2
    assert "the face nowhere: no labelled point" in made.failures[0]
    assert "the face outside lies outside of it" in made.failures[1]


def test_crops_that_are_too_narrow_for_the_augmentation_are_refused(drawn: str, tmp_path: Path) -> None:
    good = [r for r in load_records(drawn, "all") if np.isfinite(r.xy).all() and r.xy.max() < 1000]
    pack(good, tmp_path / "crops", source="coco", split="all", crop=1.5, quality=90)
    assert all(name.suffix == ".jpg" for name in (r.image for r in read_shards(str(tmp_path / "crops"))))
    config = DataConfig(source=f"shards:{tmp_path / 'crops'}", split="all", size=48)
    faces = split_records(config)
    assert isinstance(faces.training, StreamedFaces)
    wide = TrainViews(config, AugmentConfig(), faces.scheme, 10)
    with pytest.raises(
        UsageError, match=r"its crops show 1\.5 times the face's box, .* reach 1\.8\d; pack with --crop 1\.9"
    ):
        FaceStream(faces.training, wide, seed=0, buffer=8, lanes=1)
    FaceStream(faces.training, EvalViews(config), seed=0, buffer=8, lanes=1)


def test_crops_round_other_boxes_than_the_run_takes_are_refused(drawn: str, tmp_path: Path) -> None:
    """The face's own box may lie anywhere about its landmarks: what the crop lacks would be black."""
    good = [r for r in load_records(drawn, "all") if np.isfinite(r.xy).all() and r.xy.max() < 1000][:4]
    own = [replace(r, box=np.array([*r.xy.min(axis=0) - 9, *r.xy.max(axis=0) + 31])) for r in good[:3]]
    for source, other in (("dataset", "landmarks"), ("landmarks", "dataset")):
        pack([*good[3:], *own], tmp_path / source, source="coco", split="all", crop=2.5, box_source=source)  # type: ignore[arg-type]
        same, wrong = (
            DataConfig(source=f"shards:{tmp_path / source}", split="all", size=48, val_fraction=0, box_source=box)  # type: ignore[arg-type]
            for box in (source, other)
        )
        FaceStream(split_records(same).training, EvalViews(same), seed=0, buffer=8, lanes=1)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=f'round the boxes "{source}", .* data.box_source = "{other}"; set that'):
            FaceStream(split_records(wrong).training, EvalViews(wrong), seed=0, buffer=8, lanes=1)  # type: ignore[arg-type]


def test_faces_and_photographs_that_cannot_be_packed_are_told_and_the_others_are_packed(
    drawn: str, tmp_path: Path
) -> None:
    records = list(load_records(drawn, "all"))[:4]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no more")
    records[1] = replace(records[1], image=broken)
    records[2] = replace(records[2], image=tmp_path / "gone.png")
    made = pack(records, tmp_path / "shards", source="coco", split="all")
    assert made.index.faces == 2
    assert len(made.failures) == 2
    assert str(broken) in made.failures[0]
    assert "gone.png: no such file" in made.failures[1]


# Bad input


def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(folder: Path) -> None:
    path = folder / "faces-00001.tar"
    path.write_bytes(path.read_bytes()[:-2000])


def grow(folder: Path) -> None:
    with (folder / "faces-00001.npz").open("ab") as file:
        file.write(b"more")


def miscount(folder: Path) -> None:
    edit(folder, faces=FACES + 1)


def miscount_shard(folder: Path) -> None:
    table = json.loads((folder / "index.json").read_text())
    table["shards"][0]["faces"] += 1
    table["faces"] += 1
    edit(folder, **table)


def rehash(folder: Path) -> None:
    table = json.loads((folder / "index.json").read_text())
    table["shards"][2]["labels_sha256"] = "0" * 64
    edit(folder, **table)


def swap_schemes(folder: Path) -> None:
    """Labels of another landmark set, of the right size and hash."""
    from hashlib import sha256

    table = json.loads((folder / "index.json").read_text())
    path = folder / table["shards"][0]["labels"]
    with np.load(path) as arrays:
        held = dict(arrays)
    held["scheme"] = np.frombuffer(b'"cofw29"', dtype=np.uint8)
    np.savez(path, **held)
    table["shards"][0] |= {"labels_bytes": path.stat().st_size, "labels_sha256": sha256(path.read_bytes()).hexdigest()}
    edit(folder, **table)


FAULTS = {
    "cut": (cut, r"faces-00001\.tar: has [\d,]+ bytes, but index\.json says [\d,]+; it was cut short"),
    "grown": (grow, r"faces-00001\.npz: has [\d,]+ bytes, but index\.json says [\d,]+; it has grown"),
    "missing": (lambda f: (f / "faces-00002.tar").unlink(), r"faces-00002\.tar: is missing; index\.json lists it"),
    "unlisted": (lambda f: (f / "faces-00099.tar").touch(), r"faces-00099\.tar: is not in index\.json"),
    "no index": (lambda f: (f / "index.json").unlink(), "has no index.json: its packing did not finish"),
    "no json": (lambda f: (f / "index.json").write_text("{"), r"index\.json: line 1, column 2"),
    "version": (
        lambda f: edit(f, version=9),
        r"index\.json: format 'fiducia shards', version 9; expected .* version 1",
    ),
    "types": (lambda f: edit(f, shards=[{"tar": 3}]), r"index\.json: is not the index of shards"),
    "count": (miscount, r"index\.json: says 25 faces, but its shards have 24"),
    "shard count": (miscount_shard, r"faces-00000\.npz: holds \d faces, but index\.json says \d"),
    "hash": (rehash, r"faces-00002\.npz: is not the file that index\.json means \(SHA-256\)"),
    "points": (lambda f: edit(f, points=6), r"index\.json: says 6 points, but five has 5"),
    "scheme": (lambda f: edit(f, scheme="nine"), r"index\.json: no landmark set is called 'nine'"),
    "other scheme": (swap_schemes, r"faces-00000\.npz: its faces are of cofw29 .* but index\.json says five"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_shards_that_contradict_their_index_stop_training_before_it_starts(
    name: str, packed: Path, tmp_path: Path
) -> None:
    folder = copy(packed, tmp_path)
    damage, said = FAULTS[name]
    damage(folder)
    with pytest.raises(FiduciaError, match=said) as caught:
        split_records(DataConfig(source=f"shards:{folder}", split="all"))
    assert "\n" not in str(caught.value)


def change_a_byte(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_changed_byte_of_a_photograph_is_seen_when_it_is_read_and_by_check(
    drawn: str, packed: Path, tmp_path: Path
) -> None:
    folder = copy(packed, tmp_path)
    change_a_byte(folder / "faces-00000.tar", 4000)
    assert read_index(folder).faces == FACES
    _, stream = supplies(drawn, folder)
    said = r"faces-00000\.tar: the bytes of 000000000000-[0-9a-f]{8}\.png have changed \(CRC-32\)"
    with pytest.raises(FiduciaError, match=said):
        list(stream.batches(batch_size=4, epoch=1))
    result = CliRunner().invoke(app, ["data", "check", f"shards:{folder}"])
    assert result.exit_code == 1
    assert "faces-00000.tar: is not the file that index.json means (SHA-256)" in result.output


def test_a_worker_that_meets_damage_says_so_in_one_line(drawn: str, packed: Path, tmp_path: Path) -> None:
    folder = copy(packed, tmp_path)
    change_a_byte(folder / "faces-00000.tar", 600)
    _, stream = supplies(drawn, folder)
    with pytest.raises(FiduciaError, match=r"faces-00000\.tar: the bytes of .* have changed") as caught:
        list(stream.batches(batch_size=4, epoch=1, workers=1))
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_cut_or_replaced_while_training_is_named(drawn: str, packed: Path, tmp_path: Path) -> None:
    folder = copy(packed, tmp_path)
    _, stream = supplies(drawn, folder)
    path = folder / "faces-00000.tar"
    whole = path.read_bytes()
    for data, said in (
        (whole[:3000], "ends inside .*cut short"),
        (b"x" * len(whole), "is damaged where"),
        ((folder / "faces-00001.tar").read_bytes(), "holds .* where .* should start|ends inside|is damaged where"),
    ):
        path.write_bytes(data)
        with pytest.raises(FiduciaError, match=rf"faces-00000\.tar: {said}"):
            list(stream.batches(batch_size=4, epoch=1))
    path.unlink()
    with pytest.raises(FiduciaError, match=r"faces-00000\.tar: cannot be read \(No such file"):
        list(stream.batches(batch_size=4, epoch=1))


def test_a_place_that_is_no_directory_of_shards_is_told(packed: Path, tmp_path: Path) -> None:
    for root, said in (
        ("", "shards: gives no path"),
        (str(tmp_path / "none*"), "no such directory"),
        (str(packed / "index.json"), "is a file; expected the directory"),
        (str(tmp_path), "has no index.json: it holds no shards"),
    ):
        with pytest.raises(FiduciaError, match=said):
            read_shards(root)


# The command


def test_the_command_packs_says_what_it_did_and_refuses_a_full_directory(drawn: str, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    result = CliRunner().invoke(app, ["data", "pack", drawn, "--out", str(out), "--shard-size", "1", "--crop", "2"])
    # Two faces have no box: they are told, and the exit status says so.
    assert result.exit_code == 1
    assert "22 faces in 1 shards" in result.output
    assert read_index(out).faces == 22
    again = CliRunner().invoke(app, ["data", "pack", drawn, "--out", str(out)])
    assert isinstance(again.exception, UsageError)
    assert "holds shards already; delete it, or give another --out" in str(again.exception)
    for words in (["--jpeg-quality", "90"], ["--box-source", "mouth"]):
        wrong = CliRunner().invoke(app, ["data", "pack", drawn, "--out", str(tmp_path / "new"), *words])
        assert isinstance(wrong.exception, UsageError), words


@pytest.mark.parametrize("form", ["coco", "pts", "csv"])
def test_shards_are_converted_like_any_other_data_set(form: str, tmp_path: Path) -> None:
    records = load_records(f"synthetic:3@{tmp_path / 'drawn'}", "train")
    pack(records, tmp_path / "shards", source="synthetic", split="train")
    out = tmp_path / ("folder" if form == "pts" else f"faces.{form}")
    label_writers[form](out, read_shards(str(tmp_path / "shards")))
    for one, other in zip(records, load_records(f"{form}:{out}", "all"), strict=True):
        np.testing.assert_array_equal(one.xy, other.xy)
        np.testing.assert_array_equal(read_image(one.image), read_image(other.image))
