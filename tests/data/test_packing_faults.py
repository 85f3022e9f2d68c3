"""Packing what is hostile, where something lies already, on a full disk, killed in the middle, and twice at once."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fiducia import files
from fiducia.cli import app
from fiducia.data.formats.shards import read_shards
from fiducia.data.shards.layout import read_index
from fiducia.data.shards.pack import pack
from fiducia.data.source import load_records
from fiducia.errors import FiduciaError, PlaceLost, UsageError
from fiducia.images import write_image

POINTS = [10, 10, 2, 40, 10, 2, 25, 30, 2, 15, 45, 2, 35, 45, 2]


def labelled(folder: Path, names: list[str]) -> str:
    """Write a COCO file of one face of five points on each of some photographs."""
    table = {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [{"id": i, "image_id": i, "keypoints": POINTS} for i in range(len(names))],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "f.json").write_text(json.dumps(table))
    return f"coco:{folder / 'f.json'}"


def photograph(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.random.default_rng(seed).integers(0, 255, (60, 60, 3), dtype=np.uint8))
    return path


@pytest.fixture
def source(tmp_path: Path) -> str:
    names = [photograph(tmp_path / "in" / f"{i}.png", i).name for i in range(6)]
    return labelled(tmp_path / "in", names)


def packed(source: str, out: Path, **options: Any) -> Any:
    """Pack into three shards."""
    return pack(load_records(source, "all", "five"), out, source="coco", split="all", shard_bytes=26_000, **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("crop", [None, 2.0])
def test_images_anywhere_are_packed_and_what_is_none_is_told(
    tmp_path: Path, crop: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIPE_WAIT", 0.05)
    folder = tmp_path / "a" / "in"
    good = [
        photograph(tmp_path / "far.png", 1),
        photograph(tmp_path / "a" / "up.png", 2),
        photograph(folder / "x.png", 3),
    ]
    whole = good[2].read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder.png").mkdir()
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "nowhere.png").symlink_to("gone.png")
    (folder / "endless.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    (tmp_path / "secret").write_text("root:x:0:0\n")
    bad = ["cut.png", "empty.png", "folder.png", "loop.png", "nowhere.png", "endless.png", "pipe.png", "gone.png"]
    bad += [str(tmp_path / "secret"), "../../secret", f"{'n' * 300}.png"]
    source = labelled(folder, [str(good[0]), "../up.png", *bad, "x.png"])
    before = {path for path in tmp_path.rglob("*") if path.name != "shards"}
    made = pack(load_records(source, "all", "five"), tmp_path / "shards", source="coco", split="all", crop=crop)
    back = read_shards(str(tmp_path / "shards"))
    assert [record.id for record in back] == [str(good[0].with_suffix(""))[1:], "up", "x"]
    assert len(made.failures) == len(bad)
    for line, name in zip(made.failures, bad, strict=True):
        assert name.rpartition("/")[2] in line
        assert "\n" not in line
    with tarfile.open(tmp_path / "shards" / "faces-00000.tar") as tar:
        names = tar.getnames()
        assert not [name for name in names if "/" in name or ".." in name]
        assert all(b"root:" not in tar.extractfile(name).read() for name in names)  # type: ignore[union-attr]
    after = {path for path in tmp_path.rglob("*") if "shards" not in path.parts}
    assert {path for path in after if path.name != "shards"} == before
    assert sorted(contents(tmp_path / "shards")) == ["faces-00000.npz", "faces-00000.tar", "index.json"]


def test_a_directory_with_something_else_stays_as_it_is(tmp_path: Path, source: str) -> None:
    for name, inside in {
        "mine": {"notes.txt": b"x"},
        "tars": {"faces-00000.tar": b"x"},
        "lock": {".lock": b"", "a": b"x"},
    }.items():
        out = tmp_path / name
        out.mkdir()
        for file, data in inside.items():
            (out / file).write_bytes(data)
        with pytest.raises(UsageError, match=f"{name}: is not an empty directory; delete it, or give another"):
            packed(source, out)
        assert contents(out) == inside
    (tmp_path / "file").write_bytes(b"x")
    for name in ("file", "file/below", "n" * 300):
        with pytest.raises(UsageError, match=r"is not an empty directory \((Not a directory|File name too long)\)"):
            packed(source, tmp_path / name)
    assert (tmp_path / "file").read_bytes() == b"x"
    with pytest.raises(FiduciaError, match="no face"):
        pack([], tmp_path / "none", source="coco", split="all")
    assert not (tmp_path / "none").exists()


def test_a_full_disk_at_any_file_is_told_and_the_same_command_starts_anew(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed(source, tmp_path / "whole")
    wanted = contents(tmp_path / "whole")
    assert len(wanted) == 7, "three shards and the index"
    out, real, left = tmp_path / "out", os.fsync, 0

    def full(file: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    for written in range(8):
        left = written
        with monkeypatch.context() as patched:
            patched.setattr(files.os, "fsync", full)
            with pytest.raises(PlaceLost, match="No space left on device") as caught:
                packed(source, out)
        assert "\n" not in str(caught.value)
        assert not [name for name in contents(out) if name.endswith(".tmp") or name == "index.json"]
        with pytest.raises(FiduciaError, match=r"has no index\.json"):
            read_index(out)
    packed(source, out)
    assert contents(out) == wanted
    with pytest.raises(UsageError, match="holds shards already"):
        packed(source, out)


DYING = """
import os, signal, sys
from pathlib import Path
from fiducia import files
from fiducia.data.formats import coco
from fiducia.data.shards.pack import pack
fsync, left = os.fsync, int(sys.argv[3])
def dead(file):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(file)
os.fsync = dead
pack(coco.read_coco(sys.argv[1], "all", "five"), sys.argv[2], source="coco", split="all", shard_bytes=26_000)
"""


def test_a_packing_that_was_killed_starts_anew_and_leaves_nothing_of_the_first(tmp_path: Path, source: str) -> None:
    out = tmp_path / "out"
    packed(source, tmp_path / "whole")
    words = [source.partition(":")[2], str(out), "5"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    died = subprocess.run([sys.executable, "-c", DYING, *words], env=environment, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL
    left = set(contents(out))
    assert {"faces-00000.tar", "faces-00000.npz", "faces-00001.tar", ".packing", ".lock"} < left
    assert any(name.endswith(".tmp") for name in left)
    with pytest.raises(FiduciaError, match="its packing did not finish; pack it again"):
        read_index(out)
    # What somebody put there meanwhile is nobody's to delete.
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.txt beside a packing that did not finish; take it out"):
        packed(source, out)
    assert set(contents(out)) == left | {"notes.txt"}
    (out / "notes.txt").unlink()
    # With other faces than the first time: no shard of the first may stay.
    result = CliRunner().invoke(app, ["data", "pack", source, "--scheme", "five", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert sorted(contents(out)) == ["faces-00000.npz", "faces-00000.tar", "index.json"]
    assert len(read_shards(str(out))) == 6


def test_two_packings_of_one_directory_do_not_meet(tmp_path: Path, source: str) -> None:
    packed(source, tmp_path / "whole")
    out, told = tmp_path / "out", []

    def meanwhile(done: int, total: int) -> None:
        if done == 4:
            with pytest.raises(FiduciaError) as caught:
                packed(source, out)
            told.append(str(caught.value))

    packed(source, out, on_progress=meanwhile)
    assert len(told) == 1
    assert "fiducia data pack (process" in told[0]
    assert "is writing into it; wait until it ends, or choose another" in told[0]
    assert contents(out) == contents(tmp_path / "whole")
