"""Reading touches nothing of the process: no descriptor, no temporary folder, no warning filter, no output."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import pytest
from whole_files import FILES

import fiducia.files
from fiducia.errors import FiduciaError
from fiducia.images import read_image, read_photo


def run(body: str, *arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", body, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole files, and the first two thirds of each."""
    folder = tmp_path_factory.mktemp("photographs")
    for name, data in FILES.items():
        (folder / f"{name}.img").write_bytes(data)
        (folder / f"{name} cut.img").write_bytes(data[: len(data) * 2 // 3])
    return folder


READ_ALL = """
import sys, pathlib
from fiducia.errors import FiduciaError
from fiducia.images import read_image
counts = [0, 0]
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        read_image(path)
        counts[0] += 1
    except FiduciaError:
        counts[1] += 1
"""


def test_no_descriptor_is_touched_and_nothing_is_printed(folder: Path) -> None:
    body = "import os\nbefore = [os.fstat(i)[:3] for i in range(3)]\n" + READ_ALL + LOOK
    done = run(body, folder)
    assert (done.stdout, done.stderr) == ("", f"{[len(FILES), len(FILES)]}\n")


LOOK = """
assert before == [os.fstat(i)[:3] for i in range(3)]
assert sorted(os.listdir("/proc/self/fd"))[:3] == ["0", "1", "2"] and len(os.listdir("/proc/self/fd")) == 4
sys.exit(f"{counts}")
"""


def test_no_temporary_folder_is_needed(folder: Path) -> None:
    body = "import tempfile\n" + (
        "def nowhere(*a, **k): raise FileNotFoundError('No usable temporary directory found')\n"
        "tempfile.gettempdir = tempfile._get_default_tempdir = nowhere; tempfile.tempdir = None\n"
    )
    done = run(body + READ_ALL + "print(counts)", folder, cwd="/proc")
    assert (done.stdout.strip(), done.stderr) == (f"[{len(FILES)}, {len(FILES)}]", "")


def test_standard_error_may_be_closed(folder: Path) -> None:
    body = "import os\nos.close(2)\n" + READ_ALL + "print(counts)"
    assert run(body, folder).stdout.strip() == f"[{len(FILES)}, {len(FILES)}]"


def test_what_other_processes_print_meanwhile_arrives(folder: Path) -> None:
    body = """
import pathlib, subprocess, sys, threading
from fiducia.errors import FiduciaError
from fiducia.images import read_image
stop, files = False, [p.read_bytes() for p in sorted(pathlib.Path(sys.argv[1]).glob("jpeg*"))]
def work():
    while not stop:
        for data in files:
            try: read_image(data)
            except FiduciaError: pass
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
for i in range(30): subprocess.run(["sh", "-c", f"echo line-{i} >&2"])
stop = True
[t.join() for t in threads]
"""
    done = run(body, folder)
    assert done.stderr.splitlines() == [f"line-{i}" for i in range(30)]


def test_warning_filters_stay_as_they_are() -> None:
    before = list(warnings.filters)
    for data in FILES.values():
        read_image(data)
    assert warnings.filters == before


# --- what is no plain file -----------------------------------------------------------------------------------------


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    data = FILES["png"]

    def write() -> None:
        with pipe.open("wb") as file:
            for i in range(0, len(data), 5000):
                file.write(data[i : i + 5000])
                file.flush()
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    assert (read_image(pipe) == read_image(data)).all()
    writer.join()


def test_a_pipe_without_a_writer_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fiducia.files, "PIPE_WAIT", 0.1)
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    with pytest.raises(FiduciaError, match=r"pipe\.jpg: is a pipe to which nothing was written for 0.1 seconds"):
        read_image(pipe)


def test_a_pipe_without_end_is_bounded(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", f"cat /dev/zero > '{pipe}'"], stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(FiduciaError, match="is larger than 17 MB"):
            read_image(pipe, max_pixels=100_000)
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str, tmp_path: Path) -> None:
    link = tmp_path / "zero.jpg"
    link.symlink_to(device)
    with pytest.raises(FiduciaError, match=r"zero\.jpg: is a device; expected an image"):
        read_image(link)


def test_a_loop_of_links_a_long_name_and_a_socket_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(FiduciaError, match=r"loop\.jpg: is a loop of links"):
        read_image(tmp_path / "loop.jpg")
    with pytest.raises(FiduciaError, match="name that is too long"):
        read_image(tmp_path / ("x" * 300 + ".jpg"))
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.jpg")
        with pytest.raises(FiduciaError, match=r"s\.jpg: is a socket"):
            read_image("s.jpg")
    with pytest.raises(FiduciaError, match="no such file"):
        read_image(tmp_path / "loop.png" / "x.jpg")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(FiduciaError, match=r"file/x\.jpg: "):
        read_image(tmp_path / "file" / "x.jpg")


def test_a_file_without_permission_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "secret.png")
        path.write_bytes(FILES["png"])
        path.chmod(0)
        # The superuser may read all, so another user tries.
        body = "import os, sys\nfrom fiducia.images import read_image\nif os.getuid() == 0: os.setuid(65534)\n"
        told = run(
            body + "try: read_image(sys.argv[1])\nexcept Exception as e: print(type(e).__name__, e)", path
        ).stdout
    assert told.startswith("FiduciaError ")
    assert "secret.png: may not be read: permission denied" in told


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    start = time.process_time()
    with pytest.raises(FiduciaError, match="is larger than 417 MB"):
        read_image(path)
    assert time.process_time() - start < 0.5


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "grows.png"
    path.write_bytes(FILES["png"] + bytes(30_000_000))
    real = os.fstat

    def smaller(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[6] = 100
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", smaller)
    with pytest.raises(FiduciaError, match="is larger than 17 MB"):
        read_image(path, max_pixels=100_000)


def test_names_may_be_bytes_of_no_encoding(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes(FILES["png"])
    assert read_photo(name).name == name
