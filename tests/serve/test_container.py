"""The container's files say what is there: sources that exist, options that the command has, a user without rights."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from fiducia.cli import app

ROOT = Path(__file__).parents[2]


def steps() -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile, continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in text.splitlines() if line.strip()]


def test_what_is_copied_exists_and_reaches_the_build() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for name, rest in steps() if name == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
    assert len(copied) > 5
    for word in copied:
        assert (ROOT / word.removeprefix("./")).exists(), word
        assert word.removeprefix("./") in allowed, word


def test_the_wheel_finds_all_that_it_is_built_from() -> None:
    copied = " ".join(rest for name, rest in steps() if name == "COPY")
    table = (ROOT / "pyproject.toml").read_text()
    for file in ("README.md", "LICENSE", "NOTICE"):
        assert f'"{file}"' in table
        assert file in copied


def test_it_runs_as_a_user_without_rights_and_its_options_exist() -> None:
    names = [name for name, _ in steps()]
    last = dict(steps())
    assert last["USER"] not in ("root", "0")
    assert names.index("USER") < names.index("ENTRYPOINT")
    words = json.loads(last["ENTRYPOINT"])
    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    port = words[words.index("--port") + 1]
    assert last["EXPOSE"] == port
    assert f"127.0.0.1:{port}/healthz" in last["HEALTHCHECK"]


def test_compose_asks_for_a_token_and_gives_no_rights() -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, of the dev extra")
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["environment"]["FIDUCIA_TOKEN"].startswith("${FIDUCIA_TOKEN:?")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_a_linter_finds_nothing() -> None:
    linter = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("needs hadolint, of the dev extra")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
