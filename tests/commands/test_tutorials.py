"""The tutorials' own commands, run as they stand on the page, so that no page goes stale."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"(?:Save as `([\w.]+)`:\n\n)?```(sh|python|toml)\n(.*?)```", re.DOTALL)


def run_page(page: Path, folder: Path) -> None:
    """Run every block of a page in its order, in ``folder``; those that the page says to save are written there."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert len(blocks) > 5
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    for name, language, body in blocks:
        if name:
            (folder / name).write_text(body, encoding="utf-8")
            continue
        words = ["bash", "-ec", body] if language == "sh" else [sys.executable, "-c", body]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{body}\n{done.stderr}"


@pytest.mark.slow
def test_own_landmarks_from_the_first_face_to_the_detector(tmp_path: Path) -> None:
    run_page(DOCS / "tutorial_own_landmarks.md", tmp_path)
    result = json.loads((tmp_path / "twelve.json").read_text())
    assert result["faces"] == 50
    # From the shipped weights in five epochs; a network that learned nothing is far above 30.
    assert result["nme_ic"] < 8
    face = json.loads((tmp_path / "out" / "00000.json").read_text())
    assert "00000" in json.dumps(face)
    assert (tmp_path / "out" / "00000.png").stat().st_size > 1000
    assert (tmp_path / "report" / "report.html").stat().st_size > 1000
