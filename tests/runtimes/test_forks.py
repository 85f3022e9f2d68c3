"""A process that forks after a runtime was loaded: the child computes, or is told in one line that it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from networks import small, write_small

BODY = """
import importlib.util, json, os, signal, sys
import numpy as np
import torch
from fiducia.errors import FiduciaError
from fiducia.runtimes.opening import open_runtime

torch.set_num_threads(2)
crops = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 64), dtype=np.uint8)
loaded = {}
for name in ("torch", "onnx", "openvino"):
    try:
        runtime = open_runtime(sys.argv[1], name)[0]
    except FiduciaError as error:
        print(json.dumps([name, "missing", str(error)]))
        continue
    side = runtime.size
    loaded[name] = (runtime, crops[..., :side, :side], runtime(crops[..., :side, :side]))
for name, (runtime, images, before) in loaded.items():
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            found = runtime(images)
            told = ["computed", float(np.abs(found[0] - before[0]).max())]
        except FiduciaError as error:
            told = ["refused", str(error)]
        print(json.dumps([name, *told]), flush=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    again = runtime(images)
    print(json.dumps([name, "parent", status, bool((again[0] == before[0]).all()), torch.get_num_threads()]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_computes_or_refuses_and_the_parent_goes_on(tmp_path: Path) -> None:
    weights = write_small(tmp_path / "small.safetensors", small(size=64))
    done = subprocess.run([sys.executable, "-c", BODY, str(weights)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    told = {row[0]: row[1:] for row in rows if row[1] in ("computed", "refused")}
    assert told["torch"][0] == "computed"
    assert told["torch"][1] < 1e-3
    for name in told.keys() - {"torch"}:
        how, line = told[name]
        assert how == "refused"
        assert f"forked after --runtime {name} was loaded" in line
        assert "\n" not in line
    parents = {row[0]: row[2:] for row in rows if row[1] == "parent"}
    assert parents == {name: [0, True, 2] for name in told}
