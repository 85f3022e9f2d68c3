"""Weights are safetensors with a card in their header; nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from ..recipes.sections import ModelConfig, Options, Recipe
from ..files import write_atomic
from ..registry import did_you_mean
from ..schemes.sets import Scheme
from ..errors import FiduciaError, UsageError
from ..models.build import build_model, models
from ..models.ensemble import member_state
from .grow import grow

__all__ = [
    "WeightCard",
    "average_weights",
    "describe_weights",
    "find_weights",
    "init_from",
    "load_card",
    "load_weights",
    "pack_weights",
    "save_weights",
]

_SHIPPED = Path(__file__).parents[1] / "weights"


class WeightCard(BaseModel):
    """What a weight file is: enough to rebuild the network, to use it rightly, and to weigh its numbers."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    format: int = 1
    name: str
    model: str
    """The registered network."""
    options: Options = Field(default_factory=dict)
    """All that the network was built with, the preset's own too, so that a later preset cannot break old weights."""
    scheme: str
    scheme_table: dict[str, Any] = Field(default_factory=dict)
    """The landmark set itself (names, mirror, edges, normaliser), so that own sets need no second file."""
    num_points: int
    size: int
    """Side of the square input crop in pixels."""
    scale: float = 0.8
    """The face box's share of the crop's side."""
    box_source: str = "landmarks"
    decode: str = "expectation"
    flip: bool = False
    """Whether the weights are meant to be run with the flip test (:class:`fiducia.runtimes.flip.FlipTest`)."""
    mirror_bias: float = 0.0
    """How far to the right the weights put their points, as their labels did, in sides of the box (``augment.mirror_bias``)."""
    which: str = "ema"
    """``ema``, ``last`` or ``best`` of the run, ``average`` of several runs, or a ``committee`` of them."""
    licence: str = "research use only: see the training data"
    training: dict[str, Any] = Field(default_factory=dict)
    """Data, split, exclusions, epochs, seed."""
    numbers: list[dict[str, Any]] = Field(default_factory=list)
    """Rows of data, split, faces, metric, value and the command that measured it."""
    command: str = ""
    date: str = ""
    notes: str = ""
    params: int = 0
    sha256: str = ""
    """Of the file's tensors, computed when it is read; never stored."""

    @classmethod
    def for_run(
        cls,
        *,
        recipe: Recipe,
        scheme: Scheme,
        name: str,
        which: str,
        numbers: list[dict[str, Any]],
        command: str,
        date: str,
    ) -> WeightCard:
        """Return the card of a training run's weights."""
        return cls(
            name=name,
            model=recipe.model.name,
            options={**models[recipe.model.name].options, **recipe.model.options},
            scheme=scheme.name,
            scheme_table=scheme.to_table(),
            num_points=scheme.num_points,
            size=recipe.data.size,
            scale=recipe.data.scale,
            box_source=recipe.data.box_source,
            decode=recipe.heatmap.decode,
            mirror_bias=recipe.augment.mirror_bias,
            which=which,
            training={
                "data": recipe.data.source.partition(":")[0],
                "split": recipe.data.split,
                "exclude": list(recipe.data.exclude),
                **({"only": list(recipe.data.only)} if recipe.data.only else {}),
                **({"style": recipe.data.style} if recipe.data.style is not None else {}),
                **({"teacher_share": recipe.data.teacher_share} if recipe.data.teacher else {}),
                "val_fraction": recipe.data.val_fraction,
                "epochs": recipe.train.epochs,
                "batch_size": recipe.train.batch_size,
                "views": recipe.augment.views,
                "similarity": recipe.loss.similarity,
                "seed": recipe.train.seed,
            },
            numbers=numbers,
            command=command,
            date=date,
        )


def save_weights(path: Path, state: dict[str, Tensor], card: WeightCard, *, half: bool = False) -> None:
    """Write tensors and card into one safetensors file, beside and then renamed.

    Args:
        path: the file, ``*.safetensors``.
        state: a network's ``state_dict``.
        card: goes into the header as JSON.
        half: store float32 as float16, half the size; a face's points move by less than 0.01 pixels.
    """
    tensors = {
        k: (v.half() if half and v.dtype == torch.float32 else v).detach().cpu().contiguous() for k, v in state.items()
    }
    card = card.model_copy(update={"params": sum(v.numel() for v in tensors.values()), "sha256": ""})
    write_atomic(path, to_bytes(tensors, metadata={"fiducia": card.model_dump_json()}))


def find_weights(name: str | Path) -> Path:
    """Return the file of weights given by shipped name, file, or a run's directory.

    Raises:
        UsageError: there is no such name, file or run.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        for inside in (path / "weights" / "ema.safetensors", path / "weights" / "best.safetensors"):
            if inside.is_file():
                return inside
        raise UsageError(
            f"{path}: no weights/ema.safetensors in this directory; is it a run's directory, and has it finished?"
        )
    shipped = _SHIPPED / f"{name}.safetensors"
    if shipped.is_file():
        return shipped
    raise UsageError(
        f"{name}: neither a weight file nor the name of shipped weights{did_you_mean(str(name), _shipped())}"
    )


def load_card(name: str | Path) -> WeightCard:
    """Read the card of weights, named as in :func:`find_weights`.

    Raises:
        UsageError: no such weights.
        FiduciaError: the file is damaged, is not safetensors, or has no card.
    """
    return _read(find_weights(name))[1]


def load_weights(name: str | Path = "fifa_tiny", *, device: str | torch.device = "cpu") -> tuple[nn.Module, WeightCard]:
    """Build the network that weights belong to, and load them; float32, in evaluation mode.

    Raises:
        UsageError: no such weights, or a network that this version does not know.
        FiduciaError: a damaged file, or tensors that do not fit the network that its card names.
    """
    path = find_weights(name)
    state, card = _read(path)
    config = ModelConfig(name=card.model, options=card.options)
    model = build_model(config, card.num_points, card.size, preset_options=False)
    try:
        model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:200]
        raise FiduciaError(f"{path}: does not fit the network {card.model} that its card names: {detail}") from error
    return model.to(device).eval(), card


def init_from(model: nn.Module, name: str | Path) -> list[str]:
    """Start ``model`` from trained weights; a head for another number of landmarks stays new, and so does a refinement.

    A network with more blocks, more pixels or another crop side starts by computing what the weights' own did, one with
    leaner hourglasses near it (:func:`fiducia.weights.grow.grow`). Of a committee's weights a single network takes those of
    the member of its name.

    Returns:
        names of the tensors that were not taken over.

    Raises:
        UsageError: no such weights, or a network that they cannot grow into: beside depth, ``fold`` and side, only the
            head, ``refine`` and ``shape`` may differ, and ``down_kernel`` and ``hourglass_depth`` be smaller.
        FiduciaError: a damaged file.
    """
    path = find_weights(name)
    state, card = _read(path)
    own = model.state_dict()
    if card.model == "committee" and model.name != "committee":
        state = member_state(state, card.options["members"], str(model.name))  # type: ignore[arg-type]
    state = grow(state, model)
    fits = {k: v.to(own[k].dtype) for k, v in state.items() if k in own and own[k].shape == v.shape}
    new = sorted(set(own) - set(fits))
    strange = [k for k in new if not k.startswith(("head.", "aux_heads.", "refine.", "shape."))]
    if strange:
        raise UsageError(
            f"{path}: holds a {card.model} at {card.size} pixels with options {json.dumps(card.options)}, which this recipe's "
            f"network does not match ({strange[0]} and {len(strange) - 1} more); take the same width, channels and maps"
        )
    model.load_state_dict(fits, strict=False)
    return new


def describe_weights() -> list[dict[str, Any]]:
    """Return one row for each shipped weight file."""
    rows = []
    for name in _shipped():
        card = load_card(name)
        best = next((f"{r['metric']} {r['value']:.2f} on {r['data']} {r['split']}" for r in card.numbers), "")
        rows.append(
            {
                "name": name,
                "model": card.model,
                "scheme": card.scheme,
                "input": card.size,
                "megabytes": round((_SHIPPED / f"{name}.safetensors").stat().st_size / 1e6, 1),
                "measured": best,
                "licence": card.licence,
            }
        )
    return rows


def pack_weights(
    source: str | Path,
    out: Path,
    *,
    name: str,
    numbers: list[dict[str, Any]],
    notes: str = "",
    command: str = "",
    flip: bool = False,
) -> WeightCard:
    """Write weights anew in half precision, under a name and with measured numbers in their card: a file to hand on.

    Args:
        source: weights, named as in :func:`find_weights`.
        out: the file.
        name: what the card calls them.
        numbers: rows of data, split, faces, metric, value and command; they replace the run's own where there are any.
        notes: what else a user should know.
        command: how a stranger trains them, in place of the run's own with its folders.
        flip: they are meant to be run with the flip test; what the source's card asks for stays.

    Raises:
        UsageError, FiduciaError: as :func:`load_weights`.
    """
    state, card = _read(find_weights(source))
    update: dict[str, Any] = {"name": name, "notes": notes or card.notes, "flip": flip or card.flip}
    update["command"] = command or card.command
    if numbers:
        update["numbers"] = numbers
    card = card.model_copy(update=update)
    save_weights(out, state, card, half=True)
    return load_card(out)


def average_weights(sources: Sequence[str | Path], out: Path) -> WeightCard:
    """Write the mean of several weights of one network, with the first one's card: a "model soup" (Wortsman et al. 2022).

    Only runs that share their beginnings have a mean that is any good: measure it on held-out faces.

    Args:
        sources: two or more, named as in :func:`find_weights`.
        out: the file, in the precision of the first.

    Raises:
        UsageError: fewer than two, or weights of different networks, landmarks or crops.
        FiduciaError: as :func:`load_weights`.
    """
    if len(sources) < 2:
        raise UsageError("an average takes two weights or more")
    (state, card), *others = (_read(find_weights(source)) for source in sources)
    for source, (tensors, other) in zip(sources[1:], others, strict=True):
        for key in (
            "model",
            "options",
            "scheme_table",
            "num_points",
            "size",
            "scale",
            "box_source",
            "decode",
            "mirror_bias",
        ):
            if getattr(other, key) != getattr(card, key):
                raise UsageError(
                    f"{source}: {key} is {getattr(other, key)!r}, that of {sources[0]} {getattr(card, key)!r}; "
                    "only weights of one network can be averaged"
                )
        if {k: v.shape for k, v in tensors.items()} != {k: v.shape for k, v in state.items()}:
            raise FiduciaError(f"{source}: its tensors are not those of {sources[0]}, though their cards agree")
    for key, value in state.items():
        if value.is_floating_point():
            every = [value.double(), *(tensors[key].double() for tensors, _ in others)]
            state[key] = torch.stack(every).mean(0).to(value.dtype)
    training = {**card.training, "averaged_with": [other.training for _, other in others]}
    card = card.model_copy(update={"training": training, "numbers": [], "which": "average"})
    save_weights(out, state, card)
    return load_card(out)


def _digest(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 of names and tensors; the card is left out, so that writing a number into it changes nothing."""
    digest = hashlib.sha256()
    for key in sorted(state):
        digest.update(key.encode())
        digest.update(state[key].contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _shipped() -> list[str]:
    return sorted(p.stem for p in _SHIPPED.glob("*.safetensors"))


def _read(path: Path) -> tuple[dict[str, Tensor], WeightCard]:
    """Return a file's tensors and card. Pickles, archives and torn files are refused before anything is done with them."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FiduciaError(
            f"{path}: not a readable safetensors file ({' '.join(str(error).split())}); "
            "get it again, or convert a backbone's .pth with: fiducia weights convert"
        ) from error
    if "fiducia" not in metadata:
        raise FiduciaError(
            f"{path}: safetensors without a fiducia card, so its network and landmarks are unknown; "
            "a bare backbone goes into a recipe's model.backbone_weights"
        )
    try:
        card = WeightCard.model_validate_json(metadata["fiducia"])
    except ValidationError as error:
        raise FiduciaError(
            f"{path}: its card cannot be read ({error.errors()[0]['msg']}); get the file again"
        ) from error
    bad = next((k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())), None)
    if bad is not None:
        raise FiduciaError(f"{path}: tensor {bad} is not finite; the file is damaged or its training diverged")
    return state, card.model_copy(update={"sha256": _digest(state)})
