"""Forward of one crop, crop → points and confidence: torch, onnxruntime and OpenVINO, as a table and JSON.

Usage: python benchmarks/forward.py [--weights fifa_tiny] [--beside RUN ...] [--threads 1 2] [--calls 150] [--json FILE]

All take the same uint8 crop and give points and confidence, normalisation and decoding included. They take turns, block by
block, so that another load on the machine falls on all of them. Beside the wall clock stands the processor time of a call,
of all threads together, which another load on the machine hardly changes. Beside the median of all calls stands that of the best
block: on a virtual machine two threads are worth one for seconds at a time (``stages.py`` says why).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fiducia.exporting.graphs import to_onnx, to_openvino
from fiducia.exporting.rewrite import fold_batch_norms
from fiducia.exporting.sealed import Sealed
from fiducia.models.base import LandmarkModel
from fiducia.runtimes.onnx_runtime import OnnxRuntime
from fiducia.runtimes.openvino_runtime import OpenVinoRuntime
from fiducia.runtimes.torch_runtime import TorchRuntime
from fiducia.structures import ModelOutput, Prediction
from fiducia.weights.card import card_scheme
from fiducia.weights.store import load_weights

BLOCK = 15
Call = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class LastChannels(LandmarkModel):
    """A network with its norms folded, in channels_last."""

    def __init__(self, model: LandmarkModel) -> None:
        super().__init__(model.num_points, model.size)
        self.decoders = model.decoders
        self.model = copy.deepcopy(model)
        fold_batch_norms(self.model)
        self.model.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> ModelOutput:
        return self.model(images.contiguous(memory_format=torch.channels_last))

    def decode(self, output: ModelOutput, method: str | None = None) -> Prediction:
        return self.model.decode(output, method)


def in_turn(calls: dict[str, tuple[int, Call]], crop: np.ndarray, count: int) -> dict[str, dict[str, float]]:
    """Return each call's milliseconds (least, median, the best block's median) and its median processor time."""
    times: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in calls}
    for _ in range(max(1, count // BLOCK)):
        for name, (threads, call) in calls.items():
            torch.set_num_threads(threads)
            block: list[tuple[float, float]] = []
            for i in range(BLOCK + 3):
                start, busy = time.perf_counter(), time.process_time()
                call(crop)
                if i >= 3:
                    block.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - busy)))
            times[name].append(block)
            # Worker threads spin for a moment after a call, on the next one's core.
            time.sleep(0.05)
    found = {}
    for name, blocks in times.items():
        every = np.array(blocks)
        found[name] = {
            "ms_least": round(float(every[..., 0].min()), 2),
            "ms_best_block": round(float(np.median(every[..., 0], axis=1).min()), 2),
            "ms_median": round(float(np.median(every[..., 0])), 2),
            "cpu_ms_median": round(float(np.median(every[..., 1])), 2),
        }
    return found


def beside(name: str) -> Callable[[int], Call]:
    """Return the OpenVINO form of other weights, by threads; it takes a crop of its own size whatever it is called with."""
    model, card = load_weights(name)
    scheme = card_scheme(card)
    first = Sealed(card=card, precision="float32", source=card.sha256, graph=to_onnx(model, card, "float32"))
    graph, weights = to_openvino(first.graph, first.facts())
    sealed = Sealed(card=card, precision="float32", source=card.sha256, graph=graph, weights=weights)
    own = np.random.default_rng(0).integers(0, 256, (1, 3, card.size, card.size), dtype=np.uint8)

    def made(threads: int) -> Call:
        runtime = OpenVinoRuntime(sealed, scheme, threads)
        return lambda crop: runtime(own)

    return made


def _apart(points: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(points - truth, axis=-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--beside", nargs="*", default=[], help="other weights, timed in turns in OpenVINO float32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    model, card = load_weights(arguments.weights)
    scheme = card_scheme(card)
    plain = TorchRuntime(model, card, scheme)
    lasting = TorchRuntime(LastChannels(model), card, scheme)

    def sealed(precision: str, graph: bytes, weights: bytes | None = None) -> Sealed:
        return Sealed(card=card, precision=precision, source=card.sha256, graph=graph, weights=weights)

    graphs = {p: sealed(p, to_onnx(model, card, p)) for p in ("float32", "int8")}
    converted = to_openvino(graphs["float32"].graph, graphs["float32"].facts())
    full, half = sealed("float32", *converted), sealed("bfloat16", *converted)
    ways: dict[str, Callable[[int], Call]] = {
        "torch": lambda n: plain,
        "torch, norms folded, channels_last": lambda n: lasting,
        "onnxruntime float32": lambda n: OnnxRuntime(graphs["float32"], scheme, n),
        "onnxruntime int8 (linear layers)": lambda n: OnnxRuntime(graphs["int8"], scheme, n),
        "openvino float32": lambda n: OpenVinoRuntime(full, scheme, n),
        "openvino bfloat16": lambda n: OpenVinoRuntime(half, scheme, n),
    }
    for name in arguments.beside:
        ways[f"openvino float32: {name}"] = beside(name)
    crop = np.random.default_rng(0).integers(0, 256, (1, 3, card.size, card.size), dtype=np.uint8)
    rows = []
    for threads in arguments.threads:
        calls = {name: (threads, make(threads)) for name, make in ways.items()}
        truth = plain(crop)[0]
        times = in_turn(calls, crop, arguments.calls)
        for name, row in times.items():
            rows.append(
                {
                    "what": name,
                    "threads": threads,
                    **row,
                    "times_torch": round(times["torch"]["ms_least"] / row["ms_least"], 2),
                    # Other weights have other points, in pixels of another crop.
                    "pixels_from_torch": None if ": " in name else _apart(calls[name][1](crop)[0], truth),
                }
            )
    result = {
        "benchmark": "forward",
        "weights": card.name,
        "sha256": card.sha256,
        "input": card.size,
        "params": card.params,
        "batch": 1,
        "cpus": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "rows": rows,
    }
    print(f"{card.name}, {card.params / 1e6:.2f} M parameters, {card.size} px, batch 1, load {result['load_before']}\n")
    print("| forward, crop -> points | threads | ms, least | best block | median | CPU ms | x torch | px from torch |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row['what']} | {row['threads']} | {row['ms_least']:.2f} | {row['ms_best_block']:.2f} | {row['ms_median']:.2f} | "
            f"{row['cpu_ms_median']:.2f} | {row['times_torch']:.2f} | "
            f"{'–' if row['pixels_from_torch'] is None else format(row['pixels_from_torch'], '.5f')} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
