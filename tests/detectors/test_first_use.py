"""Threads that use the network for the first time at the same moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

CODE = """
import threading, time
import numpy as np
from numpy.lib import _version
look = _version.NumpyVersion.__init__
def slowly(self, text):
    time.sleep(0.3)  # another thread comes to the same place meanwhile
    look(self, text)
_version.NumpyVersion.__init__ = slowly
from fiducia.detectors.yunet_file import shipped_file
from fiducia.detectors.yunet_network import YuNetNetwork
start = threading.Barrier(3)
picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
def use(network):
    start.wait()
    network(picture)
threads = [threading.Thread(target=use, args=(YuNetNetwork(shipped_file("yunet_n")),), daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


def test_threads_may_come_to_openvino_together() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=90)
    assert done.stdout.strip() == "done", done.stderr
