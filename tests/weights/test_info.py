"""``fiducia weights info`` looks at a stranger's file: its header alone, nothing executed, and all that prints prints."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fiducia.cli import main
from fiducia.errors import UsageError
from fiducia.weights.info import look_at
from fiducia.weights.store import save_weights
from networks import small, small_card


def info(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> tuple[int, str, str]:
    """Return status, standard output and standard error of ``fiducia weights info``."""
    status = 0
    try:
        main(["weights", "info", str(path), *more])
    except SystemExit as end:
        status = int(end.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_whole_file_is_shown_and_its_texts_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, small().state_dict(), small_card().model_copy(update={"notes": "red \x1b[31m text"}))
    status, out, err = info(capsys, path)
    assert (status, err) == (0, "")
    assert "red \\x1b[31m text" in out
    assert "\x1b" not in out
    assert json.loads(info(capsys, path, "--json")[1])["scheme"] == "five"


def test_tensors_without_a_card_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.safetensors"
    save_file({f"block.{i:02}.weight": torch.zeros(2, 3) for i in range(10)}, path)
    status, out, err = info(capsys, path)
    assert status == 1
    assert out.splitlines()[:2] == ["10 tensors (10 F32), 60 numbers", "block.00.weight: F32 (2, 3)"]
    assert out.splitlines()[-1] == "..."
    assert "safetensors without a model card" in err


class Bomb:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.path, "executed")


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_pickle_is_refused_and_not_executed(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, witness = tmp_path / "evil.pth", tmp_path / "witness"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Bomb(witness)))
    else:
        torch.save(Bomb(witness), path, _use_new_zipfile_serialization=kind == "zip")
    status, out, err = info(capsys, path)
    assert status == 1
    assert "unpickling" in out
    assert "not safetensors; convert it with: fiducia weights convert" in err
    assert not witness.exists()


def test_an_archive_with_a_broken_end_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"x")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    # A ZIP64 locator that speaks of two disks, as an end of the archive may be preceded by.
    locator = b"PK\6\7" + struct.pack("<LQL", 1, 0, 2)
    path.write_bytes(bytes(data[:end]) + locator + bytes(data[end:]))
    assert "not safetensors" in look_at(path).wrong


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    body = torch.zeros(3).numpy().tobytes()
    table = json.dumps({"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, len(body)]}}).encode()
    path.write_bytes(struct.pack("<Q", 0x0280) + table.ljust(0x0280) + body)
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert look_at(path).tensors[0] == "1 tensors (1 F32), 3 numbers"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes, which is too short"),
        (struct.pack("<Q", 1 << 62) + b"{}", "its header would be"),
        (struct.pack("<Q", 2) + b"[]", "no JSON object"),
        (struct.pack("<Q", 4) + b"{\xff\xff}", "not UTF-8"),
        (b"<html>" + b" " * 100, "its header would be"),
    ],
)
def test_other_files_are_one_line(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)
    wrong = look_at(path).wrong
    assert words in wrong
    assert "\n" not in wrong


def test_an_absurd_shape_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    table = json.dumps({"x": {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 1 << 62]}}).encode()
    path.write_bytes(struct.pack("<Q", len(table)) + table)
    assert "not a readable safetensors file" in look_at(path).wrong


def test_a_name_that_no_system_takes_is_no_file() -> None:
    with pytest.raises(UsageError, match="neither a weight file nor the name"):
        look_at("x" * 5000)
