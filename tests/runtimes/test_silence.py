"""Nothing that runs here reports its use to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino")

CODE = """
import sys, fiducia
from fiducia.data.synthetic.source import synthetic_face
predictor = fiducia.load(device="cpu", runtime="auto")
predictor(synthetic_face(1)[0])
from fiducia.runtimes.auto import describe
assert describe(predictor.runtime)[0].startswith("openvino"), describe(predictor.runtime)
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__, "openvino_telemetry" in sys.modules)
"""


def test_openvino_reports_nothing_when_it_is_used_from_here(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "FIDUCIA_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=env, timeout=120)
    assert done.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "False"], done.stderr
    assert not list(home.rglob("*intel*"))
