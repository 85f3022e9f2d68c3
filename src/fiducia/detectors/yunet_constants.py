"""Constants of the YuNet detectors; this file is what ``benchmarks/detector_fit.py`` prints.

Fitted on 3053 training faces:
``python benchmarks/detector_fit.py --data 300w:ROOT --data merl:ROOT``.
"""

from __future__ import annotations

import numpy as np

from .base import Array

__all__ = ["CALIBRATION", "STEP"]

STEP: dict[str, Array] = {
    "yunet_n": np.array(
        [
            [0.0000, 0.1079, 0.0047, -0.4141],
            [0.0000, -0.1092, 0.3455, -0.1406],
            [0.1447, 0.2832, -0.0185, 0.1511],
            [-0.4210, 0.2772, -0.0531, -0.4505],
            [0.1447, -0.2832, 0.0185, -0.1511],
            [0.4210, 0.2772, -0.0531, -0.4505],
            [-0.5222, 0.0000, 0.0000, 0.0000],
            [0.0000, -0.1145, 0.0637, -0.4252],
            [0.2359, -0.4054, 0.1629, -0.1277],
            [0.3754, 0.1195, 0.0056, 0.3005],
            [0.2359, 0.4054, -0.1629, 0.1277],
            [-0.3754, 0.1195, 0.0056, 0.3005],
        ]
    ),
    "yunet_s": np.array(
        [
            [0.0000, 0.1058, -0.0744, -0.4734],
            [0.0000, -0.1011, 0.3422, -0.1441],
            [0.0695, 0.1428, 0.2664, 0.1254],
            [-0.0344, 0.2961, 0.0030, -0.4891],
            [0.0695, -0.1428, -0.2664, -0.1254],
            [0.0344, 0.2961, 0.0030, -0.4891],
            [-0.4150, 0.0000, 0.0000, 0.0000],
            [0.0000, -0.1719, -0.1842, -0.3289],
            [0.2123, -0.2810, -0.2398, -0.1385],
            [-0.0370, 0.1295, 0.1808, 0.3565],
            [0.2123, 0.2810, 0.2398, 0.1385],
            [0.0370, 0.1295, 0.1808, 0.3565],
        ]
    ),
}
"""Network → ``(12, 4)`` weights of :func:`fiducia.detectors.landmark_step.landmark_boxes`."""

CALIBRATION: dict[str, tuple[float, float]] = {
    "auto": (3.23, 0.19),
    "yunet_n": (2.89, 0.01),
    "yunet_s": (2.65, 0.12),
}
"""Detector → slope and offset: log-odds of the network's score → log-odds that the box holds a face."""
