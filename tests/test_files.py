"""Outputs: whole or as before; pipes, devices and links are written to or followed, never replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fiducia.files
from fiducia.errors import FiduciaError, UsageError
from fiducia.files import open_output, printable, read_bytes, require_writable, write_atomic


def run(body: str, *arguments: str | Path, command: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    line = [*(command or []), sys.executable, "-c", body, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, env=environment, check=False)


def test_writing_is_atomic_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"], "nothing is left beside it"
    with pytest.raises(FiduciaError, match="cannot be written"):
        write_atomic(path / "below a file", b"")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FiduciaError, match=r"file\.bin: cannot be written \(No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_streamed_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with open_output(path) as file:
        file.write(b"1\n")
        assert not path.exists()
        file.write(b"2\n")
    assert path.read_bytes() == b"1\n2\n"
    with pytest.raises(KeyError), open_output(path) as file:
        file.write({}[b"half"])
    assert path.read_bytes() == b"1\n2\n"
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_an_error_of_the_caller_is_not_taken_for_one_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), open_output(tmp_path / "x"):
        raise ValueError("mine")
    with pytest.raises(FileNotFoundError), open_output(tmp_path / "x"):
        (tmp_path / "another").read_bytes()


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    target, link = tmp_path / "deep" / "target.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to("deep/target.json")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    target.unlink()
    write_atomic(link, b"again")
    assert link.is_symlink()
    assert target.read_text() == "again"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FiduciaError, match="loop of links"):
        write_atomic(tmp_path / "loop", b"")


def test_permissions_of_the_old_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0o640)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_name_of_full_length_can_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("x" * 255), b"1")
    with pytest.raises(FiduciaError, match="too long"):
        write_atomic(tmp_path / ("x" * 256), b"1")


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_atomic(pipe, b"x" * 200_000)
    reader.join(5)
    assert got == [b"x" * 200_000]
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fiducia.files, "PIPE_WAIT", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FiduciaError, match="nobody reads this pipe"):
        write_atomic(tmp_path / "pipe", b"x")


def test_a_pipe_whose_reader_goes_away_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["head", "-c", "1", str(pipe)], stdout=subprocess.DEVNULL)
    with pytest.raises(FiduciaError, match=r"pipe: cannot be written \(its reader stopped reading\)"):
        write_atomic(pipe, b"x" * 10_000_000)
    reader.wait(10)


def test_devices_are_written_to_and_stay() -> None:
    before = Path("/dev/null").stat()
    write_atomic("/dev/null", b"x" * 100)
    after = Path("/dev/null").stat()
    assert (before.st_ino, before.st_rdev) == (after.st_ino, after.st_rdev)
    with pytest.raises(FiduciaError, match=r"/dev/full: cannot be written \(No space left"):
        write_atomic("/dev/full", b"x")


def test_a_folder_and_a_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FiduciaError, match="it is a folder"):
        write_atomic(tmp_path, b"")
    path = tmp_path / "disk"
    path.write_bytes(b"")
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: False)
    monkeypatch.setattr(stat, "S_ISBLK", lambda mode: True)
    with pytest.raises(FiduciaError, match="it is a disk"):
        write_atomic(path, b"")


WRITE = """
import sys
from fiducia.files import write_atomic
print("before")
write_atomic(sys.argv[1], b"result\\n")
print("after")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
@pytest.mark.parametrize("to_file", [False, True])
def test_standard_output_by_name(name: str, to_file: bool, tmp_path: Path) -> None:
    if name == "link":
        name = str(tmp_path / "link")
        Path(name).symlink_to("/dev/stdout")
    out = tmp_path / "out.txt"
    out.write_text("kept\n")
    command = ["sh", "-c", f'exec "$@" >> {out}', "sh"] if to_file else None
    done = run(WRITE, name, command=command)
    assert done.stderr == ""
    text = out.read_text().removeprefix("kept\n") if to_file else done.stdout
    assert text == "before\nresult\nafter\n"
    assert out.read_text().startswith("kept\n")


@pytest.mark.parametrize("call", ["write_atomic('/dev/stdout', b'x' * 1000000)", "write_stdout('x' * 1000000)"])
@pytest.mark.parametrize("closed", ["| head -c 1 > /dev/null", "> /dev/full", ">&-"])
def test_a_closed_or_full_standard_output_is_one_line(call: str, closed: str) -> None:
    body = f"""
import sys
from fiducia.errors import FiduciaError
from fiducia.files import write_atomic, write_stdout
try:
    {call}
    {call}
except FiduciaError as error:
    print(error, file=sys.stderr)
"""
    done = run(body, command=["sh", "-c", f'"$@" {closed}', "sh"])
    assert len(done.stderr.splitlines()) == 1
    assert "cannot be written (" in done.stderr


def test_names_of_no_encoding_can_be_printed() -> None:
    name = os.fsdecode(b"caf\xe9 \xc3\xa9.jpg")
    assert printable(name) == "caf\\xe9 é.jpg"
    assert printable("é", "ascii") == "\\xe9"
    body = "import sys\nfrom fiducia.files import write_stdout\nwrite_stdout(sys.argv[1] + '\\n')\n"
    done = subprocess.run(
        [sys.executable, "-c", body, b"caf\xe9"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONUTF8": "1"},
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"caf\\xe9\n", b"")


def test_printing_goes_through_a_replaced_stream(capsys: pytest.CaptureFixture[str]) -> None:
    fiducia.files.write_stdout("one\n")
    assert capsys.readouterr().out == "one\n"


# --- before the work -----------------------------------------------------------------------------------------------


def test_places_that_can_be_written_are_let_through(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere yet")
    for place in ("/dev/null", "/dev/stdout", "/dev/fd/1", tmp_path / "a" / "b", tmp_path / "pipe", tmp_path / "link"):
        require_writable(place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"], "nothing is made"


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (lambda p: p, "is a directory"),
        (lambda p: p / "file" / "x", "is a file|Not a directory"),
        (lambda p: p / "loop", "loop of links"),
        (lambda p: p / ("x" * 300), "too long"),
        (lambda p: "a\0b", "null"),
    ],
)
def test_places_that_cannot_be_written_are_refused(
    place: Callable[[Path], str | Path], says: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match=says):
        require_writable(place(tmp_path))
    with pytest.raises(FiduciaError, match="cannot be written"):
        write_atomic(place(tmp_path), b"")


def test_reading_names_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", 5) == b"12345"
    with pytest.raises(FiduciaError, match="larger than 0 MB"):
        read_bytes(tmp_path / "x", 4)
    with pytest.raises(FiduciaError, match="no such file; expected a table"):
        read_bytes(tmp_path / "y", 9, "a table")
