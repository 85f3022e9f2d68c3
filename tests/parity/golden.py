"""Parity goldens: deterministic weights and images, and comparison with recorded outputs. The rule is the folder's README."""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

FOLDER = Path(os.environ.get("FIDUCIA_PARITY") or Path(__file__).parents[2].parent / "shared/reference/parity")


def rnd(n: int, key: int) -> np.ndarray:
    """Return n numbers in [-1, 1) from exact integer arithmetic."""
    u, m = np.uint64, np.uint64(0xFFFFFFFF)
    h = (np.arange(n, dtype=u) * u(2654435761) + u(key) * u(2246822519) + u(374761393)) & m
    h ^= h >> u(15)
    h = (h * u(2246822519)) & m
    h ^= h >> u(13)
    h = (h * u(3266489917)) & m
    h ^= h >> u(16)
    return h.astype(np.float64) / 2.0**31 - 1.0


def uniform(shape: tuple[int, ...], key: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Return ``U(shape, key, low, high)`` of the losses' goldens, float32."""
    n = int(np.prod(shape))
    return (low + (high - low) * (rnd(n, key) + 1) / 2).reshape(shape).astype(np.float32)


def fill(k: int, name: str, shape: tuple[int, ...], seed: int, gain: float) -> np.ndarray:
    """Return the tensor at position k of a state dict."""
    n = int(np.prod(shape)) if len(shape) else 1
    r, leaf = rnd(n, k + 100003 * seed).reshape(shape), name.rsplit(".", 1)[-1]
    if leaf == "running_mean":
        return 0.1 * r
    if leaf == "running_var":
        return 1.0 + 0.2 * r
    if len(shape) <= 1:
        return 1.0 + 0.1 * r if leaf == "weight" else 0.1 * r
    return gain * np.sqrt(3.0 * shape[0] / n) * r


def image(shape: list[int], seed: int) -> np.ndarray:
    """Return the golden image, float32 ``(B, C, H, W)`` of values about 0 to 1."""
    b, c, y, x = np.meshgrid(*[np.arange(v, dtype=np.float64) for v in shape], indexing="ij")
    noise = rnd(int(np.prod(shape)), 900001 + seed).reshape(shape)
    waves = 0.25 * np.sin(0.11 * x + 0.05 * y + 1.9 * c + 0.7 * b + seed)
    waves = waves + 0.2 * np.sin(0.031 * x - 0.083 * y + 0.6 * c + 2.3 * b + 2 * seed)
    return (0.5 + waves + 0.05 * noise).astype(np.float32)


def written_point(words: str) -> tuple[float, float]:
    """Return the last point that a golden's words write out, such as "third replaced by (63.4, 0.7)"."""
    x, y = re.findall(r"\((\d[\d.]*), (\d[\d.]*)\)", words)[-1]
    return float(x), float(y)


def written_face(words: str, points: int) -> np.ndarray:
    """Return the face ``(K, 2)`` of "x_j = a+b*sin(c*j+d), y_j = a+b*cos(c*j+d)", float64."""
    j, columns = np.arange(points), []
    for axis, wave in (("x", np.sin), ("y", np.cos)):
        found = re.search(rf"{axis}_j = ([\d.]+)\+([\d.]+)\*{wave.__name__}\(([\d.]+)\*j\+([\d.]+)\)", words)
        assert found is not None, words
        middle, height, rate, phase = (float(number) for number in found.groups())
        columns.append(middle + height * wave(rate * j + phase))
    return np.stack(columns, axis=1)


@lru_cache(maxsize=4)
def read(path: Path) -> dict[str, Any]:
    """Return a golden file's content; not to be changed."""
    return json.loads(path.read_text())


def load(system: str) -> dict[str, Any]:
    """Return a golden file's content, or skip the test with the reason."""
    path = FOLDER / f"{system}.json"
    if not path.is_file():
        pytest.skip(f"no golden {path}")
    return read(path)


def cases(system: str) -> list[int]:
    """Return the golden cases' numbers of a system, for parametrisation; empty where the file is absent."""
    path = FOLDER / f"{system}.json"
    return list(range(len(read(path)["golden"]))) if path.is_file() else []


def entries(golden: dict[str, Any], variant: str) -> list[tuple[str, list[int], str, bool]]:
    """Return a variant's state-dict entries in order."""
    variants = golden["variants"]
    first = variants[0]["entries"]
    chosen = next(v for v in variants if v["name"] == variant)
    if "entries" in chosen:
        return [tuple(e) for e in chosen["entries"]]
    difference = chosen.get("entries_vs_first", {})
    removed, changed = set(difference.get("removed", [])), difference.get("changed", {})
    if isinstance(changed, list):
        changed = {e[0]: e for e in changed}
    result: list[Any] = []
    for entry in first:
        if entry[0] in removed:
            continue
        new = changed.get(entry[0])
        result.append(tuple(entry) if new is None else tuple(new) if len(new) == 4 else (entry[0], new, *entry[2:]))
    added = difference.get("added", [])
    if isinstance(added, str):
        return _with_layers(result, added)
    result += [tuple(e) for e in added]
    return result


def _with_layers(listed: list[Any], words: str) -> list[tuple[str, list[int], str, bool]]:
    """Add the layers that SLPT's deeper variants have: "layers 6 to 11: the entries of X repeated ... after Y"."""
    first, last, model, place = re.fullmatch(  # type: ignore[union-attr]
        r"layers (\d+) to (\d+): the entries of (\S+) repeated .* after (\S+)", words
    ).groups()
    stem = model.rpartition(".")[0]
    pattern = [e for e in listed if e[0].startswith(f"{model}.")]
    more = [(f"{stem}.{i}{e[0][len(model) :]}", *e[1:]) for i in range(int(first), int(last) + 1) for e in pattern]
    at = next(i for i, e in enumerate(listed) if e[0] == place) + 1
    return [*listed[:at], *more, *listed[at:]]


def state_dict(golden: dict[str, Any], variant: str) -> dict[str, Tensor]:
    """Return the published network's filled state dict; entries that keep their constructed values are left out."""
    rule, state = golden["fill"], {}
    for k, (name, shape, kind, _) in enumerate(entries(golden, variant)):
        if any(re.search(pattern, name) for pattern in rule["untouched"]):
            continue
        if not kind.startswith("float"):
            state[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        gain = next((g for pattern, g in rule["gains"] if re.search(pattern, name)), 1.0)
        state[name] = torch.from_numpy(np.asarray(fill(k, name, tuple(shape), rule["seed"], gain), dtype=np.float32))
    return state


def check(found: Tensor, recorded: dict[str, Any], what: str, tolerance: float = 1e-4) -> None:
    """Compare a tensor with a recorded output: shape, mean, std, and single values."""
    assert list(found.shape) == recorded["shape"], f"{what}: shape {list(found.shape)}, recorded {recorded['shape']}"
    flat = found.detach().double().flatten().numpy()
    std = recorded["std"]
    for name, value in (("mean", flat.mean()), ("std", flat.std())):
        assert abs(value - recorded[name]) <= tolerance * max(abs(recorded[name]), std), f"{what}: {name} {value}"
    values = np.asarray(recorded["all"] if "all" in recorded else recorded["val"])
    ours = flat if "all" in recorded else flat[np.asarray(recorded["idx"])]
    off = np.abs(ours - values) / np.maximum(np.abs(values), std)
    assert off.max() <= tolerance, f"{what}: {off.max():.2e} at {int(off.argmax())}"
