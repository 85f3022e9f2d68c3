"""Milliseconds of every registered network on one face, in torch and OpenVINO, kept for docs/zoo.md.

Usage: python benchmarks/zoo.py [--networks pfld,slpt] [--seconds 8] [--json benchmarks/zoo.json]

Each network is built as its name says, at its own input size, for the 68 landmarks of 300-W, with random weights: they cost what
trained ones cost. One call takes one uint8 crop to points and confidence, on one thread. What is kept is the least processor
time of all calls that fit into ``--seconds``, at least three: on one thread that is the wall clock of an idle machine, and another
load on the machine hardly changes it. ``--json`` adds the rows to a file: networks that are not run again keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fiducia.errors import FiduciaError
from fiducia.exporting.graphs import to_onnx, to_openvino
from fiducia.exporting.sealed import Sealed
from fiducia.models import LandmarkModel, build_model, models
from fiducia.models.count import count_gmac, count_parameters
from fiducia.models.registry import is_family
from fiducia.runtimes.openvino_runtime import OpenVinoRuntime
from fiducia.runtimes.torch_runtime import TorchRuntime
from fiducia.schemes.sets import Scheme, get_scheme
from fiducia.weights.card import WeightCard

COMMAND = "python benchmarks/zoo.py --json benchmarks/zoo.json"


def least(call: Callable[[np.ndarray], Any], size: int, seconds: float) -> float:
    """Return the least processor time of a call in milliseconds."""
    crop = np.random.default_rng(0).integers(0, 256, (1, 3, size, size), dtype=np.uint8)
    times, started = [], time.monotonic()
    call(crop)
    while len(times) < 3 or time.monotonic() - started < seconds:
        begun = time.process_time()
        call(crop)
        times.append(1000 * (time.process_time() - begun))
    return round(min(times), 3 if min(times) < 10 else 1)


def milliseconds(
    model: LandmarkModel, card: WeightCard, scheme: Scheme, seconds: float = 8.0
) -> dict[str, float | None]:
    """Return ``torch_ms`` and ``openvino_ms`` of one crop on one thread; None where there is no graph."""
    torch.set_num_threads(1)
    found: dict[str, float | None] = {"torch_ms": least(TorchRuntime(model, card, scheme), model.size, seconds)}
    try:
        plain = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        onnx = Sealed(card=card, precision="float32", source="", graph=to_onnx(plain, card))
        xml, weights = to_openvino(onnx.graph, onnx.facts())
        sealed = Sealed(card=card, precision="float32", source="", graph=xml, weights=weights)
        found["openvino_ms"] = least(OpenVinoRuntime(sealed, scheme, 1), model.size, seconds)
    except FiduciaError as error:
        print(f"{card.model}: {error}", flush=True)
        found["openvino_ms"] = None
    return found


def machine() -> str:
    """Return the kind of processor in words, without a name of the machine."""
    kind = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        kind = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), kind)
    return f"{kind}, {os.cpu_count()} CPUs of a virtual machine"


def measured(name: str, seconds: float) -> dict[str, Any]:
    """Build a network and return its row."""
    scheme = get_scheme("ibug68")
    torch.manual_seed(0)
    model = build_model(name, scheme.num_points, scheme=scheme).eval()
    card = WeightCard(name=name, model=name, scheme=scheme.name, num_points=scheme.num_points, size=model.size)
    counts = {"input": model.size, "params": count_parameters(model), "gmac": round(count_gmac(model, model.size), 3)}
    times = milliseconds(model, card, scheme, seconds)
    return counts | times | {"date": datetime.now(UTC).date().isoformat()}


def keep(file: Path, rows: dict[str, Any], **facts: Any) -> None:
    """Add rows to a file, one a line, and set the facts beside them."""
    kept: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": {}}
    kept |= facts | {"rows": kept["rows"] | rows}
    head = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in kept.items() if key != "rows"]
    lines = [f"  {json.dumps(name)}: {json.dumps(kept['rows'][name])}" for name in sorted(kept["rows"])]
    file.write_text("\n".join(["{", *head, ' "rows": {', ",\n".join(lines), " }", "}"]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--networks", help="names, separated by commas; all without it")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    for name in arguments.networks.split(",") if arguments.networks else [n for n in models if not is_family(n)]:
        row = measured(name, arguments.seconds)
        print(name, row, flush=True)
        if arguments.json:
            facts = {"benchmark": "zoo", "command": COMMAND, "machine": machine(), "threads": 1, "landmarks": 68}
            keep(arguments.json, {name: row}, **facts)


if __name__ == "__main__":
    main()
