"""Used as a library, the package leaves its process as it found it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from networks import small, write_small

IMPORT = """
import gc, json, os, signal, sys, threading, warnings


def state():
    open_files = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    handlers = [repr(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    return dict(os.environ), list(warnings.filters), os.getcwd(), open_files, handlers


before = state()
import fiducia
after = state()
heavy = sorted({"torch", "cv2", "numpy", "pydantic", "typer", "matplotlib"} & set(sys.modules))
print(json.dumps([before == after, heavy, threading.active_count()]))
"""

USE = """
import json, locale, os, random, signal, sys, warnings
import cv2, numpy as np, torch
try:
    import matplotlib
except ImportError:
    matplotlib = None

torch.set_num_threads(2)
cv2.setNumThreads(3)


def state():
    fds = {}
    if os.path.isdir("/proc/self/fd"):
        for name in os.listdir("/proc/self/fd"):
            try:
                fds[name] = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                pass  # that of the listing itself
    known = [n for n in signal.Signals if n not in (signal.SIGKILL, signal.SIGSTOP)]
    return {
        "signals": [repr(signal.getsignal(n)) for n in known],
        "filters": [repr(f) for f in warnings.filters],
        "locale": locale.setlocale(locale.LC_ALL),
        "descriptors": fds,
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads(), cv2.getNumThreads()],
        "torch": [torch.is_grad_enabled(), str(torch.get_default_dtype()), torch.are_deterministic_algorithms_enabled()],
        "draws": [torch.initial_seed(), torch.get_rng_state().sum().item(), repr(random.getstate())[:200],
                  int(np.random.get_state()[1].sum())],
        "backend": matplotlib.rcParams._get_backend_or_none() if matplotlib and hasattr(matplotlib.rcParams, "_get_backend_or_none")
                   else matplotlib and matplotlib.rcParams.get("backend"),
        "environment": dict(os.environ),
        "streams": [id(sys.stdin), id(sys.stdout), id(sys.stderr), sys.stdout.errors],
        "hooks": [repr(sys.excepthook), sys.getrecursionlimit(), os.getcwd()],
    }


import fiducia

before = state()
predictor = fiducia.load(sys.argv[1], device="cpu")
image = np.zeros((120, 160, 3), np.uint8)
assert predictor(image) == []
assert len(predictor(image, boxes=[[10, 10, 60, 60]])) == 1
assert len(predictor([sys.argv[2]])[0]) == 1
try:
    predictor(b"no photograph")
except fiducia.FiduciaError:
    pass
after = state()
print(json.dumps({key: [before[key], after[key]] for key in before if before[key] != after[key]}))
"""


def run(body: str, *arguments: str) -> object:
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", body, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_importing_it_does_nothing() -> None:
    assert run(IMPORT) == [True, [], 1]


def test_a_predictor_changes_nothing_of_the_process(tmp_path: Path) -> None:
    weights = write_small(tmp_path / "small.safetensors", small())
    assert run(USE, str(weights), str(Path(__file__).parents[2] / "assets" / "astronaut.jpg")) == {}
