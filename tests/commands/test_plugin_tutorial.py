"""docs/plugins.md, followed as it stands: its plugin trains, evaluates, detects, exports and joins an ensemble."""

from __future__ import annotations

import json
import os
import re
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


@pytest.mark.slow
def test_the_tutorial_trains_evaluates_detects_exports_and_joins(tmp_path: Path) -> None:
    for name, body in saved_files().items():
        (tmp_path / name).write_text(body, encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    blocks = SHELL.findall(PAGE)
    assert len(blocks) == 5
    for body in blocks:
        done = subprocess.run(
            ["bash", "-ec", body], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{body}\n{done.stderr}"

    assert (tmp_path / "runs" / "plugin" / "plugins" / "plugin.py").read_text() == (tmp_path / "plugin.py").read_text()
    # A network that learned nothing is above 30; 1 % of the box is less than half a pixel of these images.
    for result in ("plugin.json", "both.json"):
        assert json.loads((tmp_path / result).read_text())["nme_box"] < 2
    assert json.loads((tmp_path / "dots.onnx.json").read_text())["passed"]
    truth = np.array(drawn_points(tmp_path, environment))
    for folder in ("out", "out_onnx"):
        found = json.loads((tmp_path / folder / "dots.json").read_text())["faces"]
        assert len(found) == 1
        assert np.linalg.norm(np.array(found[0]["points"]) - truth, axis=1).max() < 1.0
    assert (tmp_path / "out" / "dots.png").stat().st_size > 1000


def drawn_points(folder: Path, environment: dict[str, str]) -> list[list[float]]:
    """Return the true landmarks of dots.png; the plugin is not imported into the process of the tests."""
    code = "import json, plugin; print(json.dumps(plugin.draw(99_999)[1].tolist()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, check=True)
    points: list[list[float]] = json.loads(done.stdout)
    return points
