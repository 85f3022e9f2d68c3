"""docs/plugins.md, followed as it stands: its plugin trains, evaluates, detects, exports and joins an ensemble."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILES = re.compile(r'```\w+ title="([\w.]+)"\n(.*?)```', re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def saved_files() -> dict[str, str]:
    """Return the files of the page; blocks of one title are one file."""
    files: dict[str, str] = {}
    for name, body in FILES.findall(PAGE):
        files[name] = files.get(name, "") + body + "\n\n"
    return files


def lines(text: str) -> list[str]:
    """Return the lines that are not blank."""
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", ["plugin.py", "plugin.toml"])
def test_the_page_shows_the_example_of_the_repository(name: str) -> None:
    assert lines(saved_files()[name]) == lines((ROOT / "examples" / name).read_text(encoding="utf-8"))


# Every command gets a process of its own, forked from one that has imported the package but no plugin: importing torch for
# each of them would take most of the time.
FORKS = """
import json, os, sys
import fiducia.evaluation.exporting, fiducia.evaluation.report, fiducia.predict.detect, fiducia.training.run
from fiducia.cli import main
sys.path.insert(0, "")
for words in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        if words[0] == "python":
            exec(words[2], {})
            os._exit(0)
        main(words[1:])
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        sys.exit(f"failed: {words}")
"""
TRUTH = "import json, plugin; json.dump(plugin.draw(99_999)[1].tolist(), open('truth.json', 'w'))"


@pytest.mark.slow
def test_the_tutorial_trains_evaluates_detects_exports_and_joins(tmp_path: Path) -> None:
    for name, body in saved_files().items():
        (tmp_path / name).write_text(body, encoding="utf-8")
    commands = [shlex.split(line) for body in SHELL.findall(PAGE) for line in body.splitlines()]
    assert [words[0] for words in commands].count("fiducia") == 7
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", FORKS, json.dumps([*commands, ["python", "-c", TRUTH]])]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    assert (tmp_path / "runs" / "plugin" / "plugins" / "plugin.py").read_text() == (tmp_path / "plugin.py").read_text()
    # A network that learned nothing is above 30; 1 % of the box is less than half a pixel of these images.
    for result in ("plugin.json", "both.json"):
        assert json.loads((tmp_path / result).read_text())["nme_box"] < 2
    assert json.loads((tmp_path / "dots.onnx.json").read_text())["passed"]
    truth = np.array(json.loads((tmp_path / "truth.json").read_text()))
    for folder in ("out", "out_onnx"):
        found = json.loads((tmp_path / folder / "dots.json").read_text())["faces"]
        assert len(found) == 1
        assert np.linalg.norm(np.array(found[0]["points"]) - truth, axis=1).max() < 1.0
    assert (tmp_path / "out" / "dots.png").stat().st_size > 1000
