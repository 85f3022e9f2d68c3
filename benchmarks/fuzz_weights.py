"""Weight files for ``fuzz.py``: whole ones with faults in their bytes, header, card and pickles, and files built to harm.

``cases(SEED, N)`` yields them as pairs of a suffix and bytes.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import os
import pickle
import random
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mutate import fault_in_bytes, fault_in_values

from fiducia.errors import FiduciaError
from fiducia.exporting.sealed import Sealed, read_sealed, seal_onnx, write_openvino
from fiducia.models.build import build_model
from fiducia.models.registry import models
from fiducia.runtimes.torch_runtime import TorchRuntime
from fiducia.schemes.sets import get_scheme
from fiducia.weights.backbone import load_backbone
from fiducia.weights.card import WeightCard, card_scheme
from fiducia.weights.convert import convert_checkpoint, kinds
from fiducia.weights.info import look_at
from fiducia.weights.store import load_weights, save_weights
from fiducia.weights.transfer import init_from

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 7, 1000, 99_999, 10**9, 10**30, 1 << 63, 0.5, -0.5, 1e308, 1e-308, float("nan"), float("inf")),
    *(True, None, "", "128", "NaN", "x" * 5000, "a\nb", "\x1b[31m", "\ud800", [], {}, [[]], [0], [1, 2], {"a": 1}),
)
ABSURD = {
    "format": (0, -1, 3, 999, 1.5, "new", True, None),
    "scale": (0.0, -1.0, 1e12, 5, "wide", None, [], float("nan"), float("inf")),
    "size": (0, -128, 7, 10**9, 127.5, None, "128", "big", True),
    "num_points": (0, -1, 67, 10**9, 68.5, None, "68", True),
    "mirror_bias": (1.0, -0.2, "left", None, float("nan")),
    "name": (None, 5, [], "a\nb", "\x1b[2J"),
    "model": (None, 5, "", "no_such", "timm:", "timm:no_such", "..", "\x00"),
    "scheme": (None, 5, "wflw98", "a\tb"),
    "box_source": (None, "", "somewhere"),
    "options": (None, 5, "x", [], {"width": 10**9}, {"no_such": 1}, {"backbone": 5}),
    "decode": (5, "no_such", "\n"),
}
"""Values of a card's keys with which it must not be used."""


def _small(name: str, **options: Any) -> tuple[dict[str, torch.Tensor], WeightCard]:
    scheme = get_scheme("five")
    torch.manual_seed(0)
    table = {**models[name].options, **options}
    model = build_model(name, 5, 64, options=table, scheme=scheme, preset=False)
    card = WeightCard(
        name="w", model=name, options=table, scheme="five", scheme_table=scheme.to_table(), num_points=5, size=64
    )
    return model.state_dict(), card


@functools.cache
def seeds() -> dict[str, bytes]:
    """Return one small whole file of every kind, by suffix and a word."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.safetensors"
        state, card = _small("fifa_tiny", **_options("fifa_tiny"))
        save_weights(path, state, card)
        found["one.safetensors"] = path.read_bytes()
        member = {"model": "fifa_tiny", "size": 64, **card.options}
        options = {"members": [member, member]}
        joined = {f"members.{i}.{k}": v.clone() for i in range(2) for k, v in state.items()}
        save_weights(path, joined, card.model_copy(update={"model": "ensemble", "options": options}))
        found["two.safetensors"] = path.read_bytes()
        sealed = Sealed(card=card, precision="float32", source="", graph=b"\x08\x07" * 40)
        found["g.onnx"] = seal_onnx(sealed)
        facts = sealed.facts().replace("&", "&amp;").replace('"', "&quot;")
        graph = f'<net name="n"><rt_info><fiducia value="{facts}"/></rt_info></net>'.encode()
        xml = Path(folder) / "g.xml"
        write_openvino(xml, Sealed(card=card, precision="float32", source="", graph=graph, weights=b"\0" * 64))
        found["g.xml"] = xml.read_bytes()
    buffer = io.BytesIO()
    torch.save(dict(list(state.items())[:20]), buffer)
    found["zip.pth"] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save(dict(_vit().encoder().state_dict().items()), buffer)
    found["vit.pth"] = buffer.getvalue()
    buffer = io.BytesIO()
    torch.save({"state_dict": dict(list(state.items())[:4])}, buffer, _use_new_zipfile_serialization=False)
    found["old.pth"] = buffer.getvalue()
    return found


def _options(name: str) -> dict[str, Any]:
    """Return the options of a network so small that a file takes some hundred kilobytes."""
    table = copy.deepcopy(dict(models[name].options))
    for key, value in (("width", 32), ("depth", 3), ("heads", 2), ("channels", 16), ("stem_base", 8)):
        for part in (table, *(v for v in table.values() if isinstance(v, dict))):
            if key in part:
                part[key] = value
    return table


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file as a table, and the bytes of its tensors."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: Any, body: bytes) -> bytes:
    """Return a safetensors file of a header and bytes, however wrong they are."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _in_card(draw: random.Random, data: bytes) -> tuple[str, bytes, bool]:
    """Return a file with another card; True where it must be refused."""
    header, body = split(data)
    card = json.loads(header["__metadata__"]["fiducia"])
    must = draw.random() < 0.5
    if must:
        key = draw.choice(sorted(ABSURD))
        value = copy.deepcopy(draw.choice(ABSURD[key]))
        card[key] = value
        word = f"card {key} = {str(value)[:30]!r}"
        must = not (key == "decode" and value is None)
    else:
        for _ in range(draw.choice((1, 1, 2, 5))):
            fault_in_values(card.get("options") if draw.random() < 0.4 else card, draw, NUMBERS)
        word = "card"
    header["__metadata__"]["fiducia"] = json.dumps(card)
    return word, joined(header, body), must


def _in_header(draw: random.Random, data: bytes) -> bytes:
    header, body = split(data)
    for _ in range(draw.choice((1, 1, 3))):
        one = header[draw.choice([k for k in header if k != "__metadata__"])]
        fault_in_values(header if draw.random() < 0.5 else one, draw, NUMBERS)
        if not any(k != "__metadata__" for k in header):
            break
    return joined(header, body + draw.choice((b"", b"", b"\0" * 8)))


def damaged(draw: random.Random, data: bytes) -> bytes:
    """Return a file with faults in its bytes; most of them where they do most harm."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        limit = draw.choice((16, 3000, len(changed))) if draw.random() < 0.7 else -200
        at = (
            draw.randrange(max(1, min(limit, len(changed))))
            if limit > 0
            else max(0, len(changed) - draw.randrange(200))
        )
        fault_in_bytes(changed, draw, at)
    return bytes(changed)


class _Runs:
    """Would run a command when unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/fiducia-fuzz-was-here",)


def hostile(draw: random.Random) -> tuple[str, str, bytes]:
    """Return a word, a suffix and a file that was built to fill memory, to hang a reader, or to run code."""
    header, body = split(seeds()["one.safetensors"])
    card = json.loads(header["__metadata__"]["fiducia"])
    word = draw.choice(HOSTILE)
    if word == "code":
        return word, draw.choice((".pth", ".safetensors")), pickle.dumps({"a": _Runs()}, protocol=draw.choice((2, 4)))
    if word == "clip names":
        buffer = io.BytesIO()
        rows, width = draw.choice(((0, 32), (1, 32), (17, 32), (18, 0), (17, 1))), draw.choice((32, 0, 7))
        state = {
            "class_embedding": torch.zeros(width),
            "positional_embedding": torch.zeros(*rows),
            "proj": torch.zeros(3),
        }
        state |= {f"transformer.resblocks.{i}.ln_1.weight": torch.zeros(draw.choice((0, 32))) for i in range(3)}
        if draw.random() < 0.5:
            state["positional_embedding"] = torch.tensor(1.0)
        torch.save({f"visual.{k}": v for k, v in state.items()}, buffer)
        return word, ".pth", buffer.getvalue()
    if word == "spread number":
        buffer = io.BytesIO()
        side = draw.choice((10, 10**4, 10**9))
        torch.save({"class_embedding": torch.zeros(1).expand(side, side), "blocks.0.x": torch.zeros(1)}, buffer)
        return word, ".pth", buffer.getvalue()
    if word == "other tensors":
        buffer = io.BytesIO()
        tensor = draw.choice(
            (
                torch.eye(3).to_sparse(),
                torch.empty(3, device="meta"),
                torch.zeros(2, dtype=torch.complex64),
                torch.tensor(float("nan")),
            )
        )
        torch.save({"class_embedding": tensor, "blocks.0.x": tensor}, buffer)
        return word, ".pth", buffer.getvalue()
    if word == "entities":
        head = b'<!DOCTYPE x [<!ENTITY a "' + b"x" * 5000 + b'"><!ENTITY b "' + b"&a;" * 5000 + b'">]>'
        body = head + b'<net><rt_info><fiducia value="' + b"&b;" * 5000 + b'"/></rt_info></net>\n'
        seal = hashlib.sha256(body + b"\0" * 64).hexdigest().encode()
        return word, ".xml", body + b"<!-- fiducia %s -->\n" % seal
    if word == "zip bomb":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
            archive.writestr("archive/data/0", bytes(200_000_000))
        return word, ".pth", buffer.getvalue()
    if word == "deep pickle":
        depth = draw.choice((100, 100_000))
        return word, ".pth", b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."
    if word == "deep header":
        deep = draw.choice((b"[", b'{"a":')) * draw.choice((100, 100_000))
        return word, ".safetensors", struct.pack("<Q", len(deep) + 1) + b"{" + deep
    if word == "long header":
        length = draw.choice((30_000_000, 1 << 40, (1 << 64) - 1))
        return word, ".safetensors", struct.pack("<Q", length) + b"{" + bytes(1000)
    if word == "many tensors":
        for i in range(draw.choice((1000, 25_000))):
            header[f"t{i}"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(body), len(body)]}
        return word, ".safetensors", joined(header, body)
    if word == "huge tensor":
        name = next(key for key in header if key != "__metadata__")
        header[name]["shape"] = draw.choice(([1 << 40], [1 << 62, 1 << 62], [-1, -4], [0, 1 << 62], [1] * 100))
        return word, ".safetensors", joined(header, body)
    if word == "key twice":
        text = json.dumps(header).encode()
        text = text[:-1] + b',"__metadata__":{}}'
        return word, ".safetensors", struct.pack("<Q", len(text)) + text + body
    if word == "deep network":
        for part in (card["options"], *(v for v in card["options"].values() if isinstance(v, dict))):
            part.update(
                {key: draw.choice((3000, 99_999)) for key in ("depth", "width", "hourglass_depth") if key in part}
            )
    elif word == "ensemble in itself":
        options, first = card["options"], {"model": "fifa_tiny", "size": 64, **card["options"]}
        depth, twice = draw.choice(((2, True), (9, True), (9, False), (200, False)))
        for _ in range(depth):
            inner = {"model": "ensemble", "size": 64, **options}
            options = {"members": [inner, inner] if twice else [first, inner]}
        card.update(model="ensemble", options=options)
    elif word == "other network":
        card["model"] = draw.choice([*models, "timm:resnet18"])
        card["options"] = draw.choice(
            ({}, dict(models[card["model"]].options) if card["model"] in models else {}, card["options"])
        )
        card["size"] = draw.choice((64, 128, 256, 4096, 8))
        card["num_points"] = draw.choice((5, 5, 10_000))
        if card["num_points"] != 5:
            card["scheme"], card["scheme_table"] = "many", {"name": "many", "points": card["num_points"], "mirror": []}
    header["__metadata__"]["fiducia"] = json.dumps(card)
    return word, ".safetensors", joined(header, body)


HOSTILE = (
    *(
        "code",
        "spread number",
        "other tensors",
        "zip bomb",
        "deep pickle",
        "deep header",
        "long header",
        "many tensors",
    ),
    *("huge tensor", "key twice", "deep network", "ensemble in itself", "other network"),
    *("clip names", "entities"),
)


def draw_weights(draw: random.Random) -> tuple[str, tuple[str, bytes, bool]]:
    """Return what it is, and (suffix, bytes, whether it must be refused)."""
    chance = draw.random()
    if chance < 0.25:
        word, suffix, data = hostile(draw)
        return word, (
            suffix,
            data,
            word not in ("many tensors", "other network", "huge tensor", "other tensors", "clip names"),
        )
    name = draw.choice(sorted(seeds()))
    suffix, data = Path(name).suffix, seeds()[name]
    if suffix == ".safetensors" and chance < 0.65:
        word, changed, must = _in_card(draw, data)
        return f"{name}: {word}", (suffix, changed, must)
    if suffix == ".safetensors" and chance < 0.8:
        return f"{name}: header", (suffix, _in_header(draw, data), False)
    if suffix == ".onnx" and chance < 0.65:
        return _sealed_card(draw)
    return f"{name}: bytes", (suffix, damaged(draw, data), False)


def _sealed_card(draw: random.Random) -> tuple[str, tuple[str, bytes, bool]]:
    """Return an export whose seal is right and whose card is not."""
    sealed = Sealed(
        card=_small("fifa_tiny", **_options("fifa_tiny"))[1], precision="float32", source="", graph=b"\x08\x07"
    )
    table = json.loads(sealed.facts())
    fault_in_values(table, draw, NUMBERS)
    text = json.dumps(table)

    class Changed(Sealed):
        def facts(self) -> str:
            return text

    data = seal_onnx(Changed(card=sealed.card, precision="float32", source="", graph=b"\x08\x07"))
    return "g.onnx: card", (".onnx", data, False)


def cases(seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield ``n`` pairs of a suffix and a file's bytes; the same for the same seed."""
    for number in range(n):
        suffix, data, _ = draw_weights(random.Random(f"{seed} weights {number}"))[1]
        yield suffix, data


def read(given: tuple[str, bytes, bool]) -> Any:
    """Read a file in every way that its kind is read, compute with it, and return what came of it.

    Raises:
        FiduciaError: it is refused.
    """
    suffix, data, _ = given
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"w{suffix}"
        path.write_bytes(data)
        if suffix == ".xml":
            path.with_suffix(".bin").write_bytes(b"\0" * 64)
        info = look_at(path)
        if "\n" in info.wrong or not all(line.isprintable() for line in info.tensors):
            raise ValueError(f"weights info prints {info.wrong!r} {info.tensors}")
        if suffix in (".onnx", ".xml"):
            return read_sealed(path).card
        if suffix == ".pth":
            return _read_checkpoint(path)
        model, card = load_weights(path)
        crops = np.zeros((1, 3, card.size, card.size), np.uint8)
        runtime = TorchRuntime(model, card, card_scheme(card))
        points, confidence = runtime(crops)
        if points.shape != (1, card.num_points, 2) or confidence.shape != (1, card.num_points):
            raise ValueError(f"points {points.shape}, confidence {confidence.shape}")
        init_from(_fresh(), path, kind="fifa_tiny", twin=_twin)
        return card


def _fresh() -> Any:
    return build_model("fifa_tiny", 5, 64, options=_options("fifa_tiny"), scheme=get_scheme("five"), preset=False)


def _vit() -> Any:
    options = {"width": 32, "depth": 2, "heads": 2, "channels": 16}
    return build_model("vit_base", 5, 64, options=options, scheme=get_scheme("five"), preset=False)


def _twin(points: int) -> Any:
    return build_model("fifa_tiny", points, 64, options=_options("fifa_tiny"), scheme=get_scheme("five"), preset=False)


def _read_checkpoint(path: Path) -> Any:
    """Convert a checkpoint as three kinds, and load it as a backbone; a kind that takes it is the answer."""
    refused: FiduciaError | None = None
    taken = []
    for kind in ("vit", *random.Random(path.stat().st_size).sample(kinds(), 2)):
        try:
            convert_checkpoint(kind, path, path.with_name("out.safetensors"))
            taken.append(kind)
        except FiduciaError as error:
            refused = error
            if "\n" in str(error):
                raise
    try:
        load_backbone(_vit(), path)
        taken.append("backbone")
    except FiduciaError as error:
        refused = error
    if not taken and refused is not None:
        raise refused
    return taken


def judge(given: tuple[str, bytes, bool], found: Any) -> str:
    """Return what is wrong with a file that was read: its card cannot be right, or it ran code."""
    if Path("/tmp/fiducia-fuzz-was-here").exists():
        return "code in the file was run"
    return "a card that cannot be right was used" if given[2] else ""


KIND = SimpleNamespace(draw=draw_weights, read=read, judge=judge)
