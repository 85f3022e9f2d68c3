"""Folders, globs, braces, shards and tables: what is in them, and what is said of those that cannot be used."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fiducia.annotate.shards import ShardFile
from fiducia.annotate.sources import collect
from fiducia.annotate.tables import TableFile
from fiducia.annotate.units import FAULT, FILE, MEMBER, ROW, VIDEO, Chunk, Unit, chunk_size, cut
from fiducia.errors import FiduciaError, UsageError

Write = Callable[[Sequence[int]], Path]
BYTES = {f"{i:04d}.jpg": bytes([i]) * (100 + i) for i in range(9)}


def shard(path: Path, members: dict[str, bytes] = BYTES) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name, data in members.items():
            for entry, content in ((name, data), (f"{Path(name).stem}.json", b"{}")):
                info = tarfile.TarInfo(entry)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def parquet(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=40)
    return path


def ids(units: Sequence[Unit]) -> list[str]:
    return [Path(unit.id).name for unit in units]


def test_a_folder_gives_all_that_is_in_it_in_order(tmp_path: Path, photographs: Write) -> None:
    folder = photographs([40, 40])
    (folder / "film.mp4").touch()
    (folder / "notes.gz").touch()
    shard(folder / "s.tar", {"b.jpg": b"1", "a/c.png": b"22"})
    parquet(folder / "t.parquet", image=[b"1", b"2"])
    out = folder / "out"
    out.mkdir()
    (out / "old.jpg").touch()
    units = collect([str(folder)], out)
    assert ids(units) == ["000.png", "001.png", "film.mp4", "b.jpg", "c.png", "t.parquet:0", "t.parquet:1"]
    assert [unit.kind for unit in units] == [FILE, FILE, VIDEO, MEMBER, MEMBER, ROW, ROW]
    assert units[4].id == f"{folder}/s.tar/a/c.png"


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("*.png", ["000.png", "001.png", "002.png"]),
        ("00[02].png", ["000.png", "002.png"]),
        ("{001..002}.png", ["001.png", "002.png"]),
        ("0{02,00}.png", ["002.png", "000.png"]),
        ("{000,001}.p{n,}g", ["000.png", "000.pg", "001.png", "001.pg"]),
    ],
)
def test_globs_and_braces(photographs: Write, tmp_path: Path, word: str, names: list[str]) -> None:
    folder = photographs([40, 40, 40])
    assert ids(collect([str(folder / word)], tmp_path / "out")) == names


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("s3://bucket/shard.tar", "s3://bucket/shard.tar: an address; expected files of this machine"),
        ("pipe:cat a.tar", "an address"),
        ("nothing/*.jpg", "nothing/*.jpg: no file matches"),
    ],
)
def test_what_is_no_path_is_wrong_use(tmp_path: Path, word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("*", r"\*")):
        collect([word], tmp_path / "out")


def test_where_nothing_can_be_used_nothing_is_begun(tmp_path: Path) -> None:
    with pytest.raises(FiduciaError, match=r"no/such: no such file or folder$"):
        collect(["no/such"], tmp_path / "out")


@pytest.mark.parametrize("name", ["s.tar", "s.tar.gz", "s.tgz"])
def test_a_shard_is_read_by_place_in_any_order(tmp_path: Path, name: str) -> None:
    units = collect([str(shard(tmp_path / name))], tmp_path / "out")
    assert ids(units) == list(BYTES)
    file = ShardFile(units[0].path)
    for i in (3, 4, 8, 0, 5):
        assert file.read(units[i]) == BYTES[f"{i:04d}.jpg"]
    file.close()


@pytest.mark.parametrize("packed", [False, True])
def test_a_torn_shard_keeps_its_photographs_and_says_where_it_ends(tmp_path: Path, packed: bool) -> None:
    path = shard(tmp_path / "s.tar")
    path.write_bytes(path.read_bytes()[: 4 * 2048 + 700])
    if packed:
        whole = gzip.compress(shard(tmp_path / "w.tar").read_bytes(), 0)
        path.write_bytes(whole[: len(whole) // 2])
    units = collect([str(path)], tmp_path / "out")
    assert 3 <= len(units) <= 6
    assert [unit.kind for unit in units] == [MEMBER] * (len(units) - 1) + [FAULT]
    assert units[-1].error.startswith(f"{path}: a shard that cannot be read after {len(units) - 1} photographs (")


def test_names_that_a_shard_has_twice_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as tar:
        for data in (b"1", b"22"):
            info = tarfile.TarInfo("a.jpg")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert ids(collect([str(path)], tmp_path / "out")) == ["a.jpg", "a.jpg~2"]


def test_a_table_is_read_by_row_in_any_order(tmp_path: Path) -> None:
    values = [bytes([i]) * 10 for i in range(200)]
    path = parquet(tmp_path / "t.parquet", name=[str(i) for i in range(200)], photo=values)
    units = collect([str(path)], tmp_path / "out", "photo")
    assert len(units) == 200
    file = TableFile(units[0].path, "photo")
    for i in (0, 1, 17, 39, 40, 41, 130, 131, 3, 199, 90):
        assert file.read(units[i]) == values[i]


def test_a_table_without_rows_is_told(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", image=pa.array([], pa.binary()))
    with pytest.raises(FiduciaError, match="a table without rows"):
        collect([str(path)], tmp_path / "out")


def test_a_column_of_hugging_face_is_read(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", image=[{"bytes": b"one", "path": "1.jpg"}, {"bytes": None, "path": "2.jpg"}])
    units = collect([str(path)], tmp_path / "out")
    file = TableFile(units[0].path, "image")
    assert file.read(units[0]) == b"one"
    with pytest.raises(FiduciaError, match=r"t\.parquet:1: the column 'image' is empty in this row"):
        file.read(units[1])


def test_a_missing_column_is_one_line_that_lists_the_columns(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", name=["a"], jpg=[b"1"])
    with pytest.raises(UsageError) as error:
        collect([str(path)], tmp_path / "out")
    assert str(error.value) == f"{path}: no column 'image'; it has name (string), jpg (binary); name one with --column"
    with pytest.raises(UsageError, match="the column 'name' holds string, expected the bytes of image files"):
        collect([str(path)], tmp_path / "out", "name")


def test_a_damaged_table_is_a_fault(tmp_path: Path, photographs: Write) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    units = collect([str(photographs([40])), str(tmp_path / "t.parquet")], tmp_path / "out")
    assert [unit.kind for unit in units] == [FILE, FAULT]
    assert "cannot be read as Parquet" in units[1].error


def test_chunks_cover_everything_once_and_a_video_stands_alone() -> None:
    units = [Unit(str(i), VIDEO if i in (5, 6, 20) else FILE, "p") for i in range(30)]
    chunks = cut(units, 4)
    assert [unit for chunk in chunks for unit in chunk.units] == units
    assert [chunk.first for chunk in chunks] == [0, 4, 5, 6, 7, 11, 15, 19, 20, 21, 25, 29]
    assert all(len(chunk.units) == 1 for chunk in chunks if chunk.units[0].kind == VIDEO)
    assert Chunk.from_json(chunks[3].to_json()) == chunks[3]


@pytest.mark.parametrize(("count", "size"), [(1, 64), (200_000, 64), (1_000_000, 245), (50_000_000, 1024)])
def test_chunks_grow_with_the_number_of_photographs(count: int, size: int) -> None:
    assert chunk_size(count) == size


def test_links_in_a_shard_are_photographs_and_those_to_nothing_are_told(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("one/a.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
        kinds = {"hard.jpg": (tarfile.LNKTYPE, "one/a.jpg"), "two/soft.jpg": (tarfile.SYMTYPE, "../one/a.jpg")}
        kinds |= {
            "lost.jpg": (tarfile.SYMTYPE, "/etc/a.jpg"),
            "._a.jpg": (tarfile.REGTYPE, ""),
            "d.jpg": (tarfile.DIRTYPE, ""),
        }
        for name, (kind, target) in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    units = collect([str(path)], tmp_path / "out")
    assert [(unit.id.removeprefix(f"{path}/"), unit.kind) for unit in units] == [
        *(("one/a.jpg", MEMBER), ("hard.jpg", MEMBER), ("two/soft.jpg", MEMBER)),
        ("lost.jpg", FAULT),
    ]
    file = ShardFile(str(path))
    assert [file.read(unit) for unit in units[:3]] == [b"abc"] * 3
    file.close()
    assert (
        units[3].error
        == f"{path}/lost.jpg: no file of its own in the shard, and no link to one before it; pack it with its bytes"
    )
