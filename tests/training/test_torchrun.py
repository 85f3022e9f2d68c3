"""torchrun: two processes on one node, and two nodes (on this machine), take the steps of one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fiducia.data.shards.pack import pack
from fiducia.data.source import load_records
from fiducia.recipes.files import load_recipe
from fiducia.training.run import train

TINY = [
    "data.size=64",
    "data.shuffle_buffer=8",
    "data.interleave=4",
    "model.options.backbone={width=32, heads=2, depth=3, stem_base=8}",
    "model.options.hourglass={channels=16}",
    "model.options.norm=group",
    "train.batch_size=6",
    "train.epochs=2",
    "train.threads=1",
    "train.device=cpu",
    "optim.lr=1e-4",
]
"""Group norm: nothing but the losses sees the batch, so the gradients are those of the joint batch."""
IN_USE = "EADDRINUSE"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def torchrun(out: Path, sets: list[str], nodes: int, processes: int) -> list[subprocess.Popen[str]]:
    """Start one torchrun a node, as a user would on each of several machines."""
    where = [
        f"--nnodes={nodes}",
        f"--nproc-per-node={processes}",
        "--master-addr=127.0.0.1",
        f"--master-port={free_port()}",
    ]
    job = ["-m", "fiducia", "train", "smoke", *(word for one in sets for word in ("--set", one)), "--out", str(out)]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *where, f"--node-rank={node}", *job],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(nodes)
    ]


def finished(out: Path, sets: list[str], nodes: int, processes: int) -> None:
    """Wait for all nodes; a port that another program took meanwhile is tried again."""
    for _ in range(3):
        running = torchrun(out, sets, nodes, processes)
        try:
            said = [one.communicate(timeout=300)[1] for one in running]
        finally:
            for one in running:
                one.kill()
                one.wait()
        if not any(IN_USE in text for text in said):
            break
    assert [one.returncode for one in running] == [0] * nodes, "\n".join(said)


def last_row(out: Path) -> dict[str, float]:
    head, *rows = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    assert len(rows) == 2, "one process writes the log"
    return {name: float(value) for name, value in zip(head, rows[-1], strict=True)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the run of one process, and its settings."""
    root = tmp_path_factory.mktemp("alone")
    records = load_records(f"synthetic:24@{root / 'drawn'}", "train")
    pack(records, root / "shards", source="synthetic", split="train", shard_bytes=400_000)
    sets = [f'data.source="shards:{root / "shards"}"', *TINY]
    train(load_recipe("smoke", sets), root / "run")
    return root / "run", sets


@pytest.mark.slow
@pytest.mark.parametrize(("nodes", "processes"), [(1, 2), (2, 1)], ids=["two processes", "two nodes"])
def test_the_result_is_that_of_one_process(
    nodes: int, processes: int, alone: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """AdamW turns the rounding of a gradient that is zero but for rounding into a whole step: a few weights may differ."""
    whole, sets = alone
    finished(tmp_path / "run", sets, nodes, processes)
    one, two = (load_file(run / "weights" / "last.safetensors") for run in (whole, tmp_path / "run"))
    assert one.keys() == two.keys()
    far = sum(int(((one[k] - two[k]).abs() > 1e-4).sum()) for k in one)
    assert far <= 1e-3 * sum(value.numel() for value in one.values())
    mine, theirs = last_row(whole), last_row(tmp_path / "run")
    for name in ("train_total", "train_heatmap", "train_coord", "train_similarity", "val_nme"):
        assert mine[name] == pytest.approx(theirs[name], rel=1e-4, abs=1e-4), name
