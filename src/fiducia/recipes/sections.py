"""Recipes: what a training run is, as a short TOML file that names only what differs from the defaults here.

Every default says where it comes from: the paper (P), FacePerceiver/FaRL where the paper is silent (FaRL), or a
measurement of ours (M). ``recipes/paper_literal.toml`` holds the paper's words to the letter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "ExtraConfig",
    "FiFAConfig",
    "HeatmapConfig",
    "GroupRule",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "Options",
    "Recipe",
    "TrainConfig",
]

Probability = Field(ge=0.0, le=1.0)
Options = dict[str, Any]
"""A network's keyword options: values, and tables for its option groups; the network itself checks them."""


class _Section(BaseModel):
    """A frozen part of a recipe; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)


class DataConfig(_Section):
    """Which faces, and how they are cropped."""

    source: str = "synthetic:"
    """``NAME:ROOT``, e.g. ``300w:/data/300w``; ``synthetic:`` needs no files."""
    split: str = "train"
    """A split or part of the source."""
    scheme: str | None = None
    """A landmark set's name or a TOML file, for sources that do not imply it; None = the source's own."""
    exclude: tuple[str, ...] = ()
    """Glob patterns on a face's id (its photograph's path below the root): faces that must not be trained on."""
    only: tuple[str, ...] = ()
    """Glob patterns on a face's id: after the carving, which stays what it was, faces that match none are dropped, from
    training and validation; () = keep all. For a last leg on the part of a collection whose labels are wanted."""
    val_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the photographs carved from training for validation, by seed; faces of one photograph stay together."""
    val_seed: int = 0
    """Of the choice of validation photographs."""
    limit: PositiveInt | None = None
    """Use only so many faces (after the carving), for quick trials."""
    size: PositiveInt | None = None
    """Side of the square crop in pixels (P: 512); None = the network's own."""
    scale: PositiveFloat = 0.8
    """The box's share of the crop (FaRL: 0.8, a crop 1.25 times as wide as the box)."""
    box_source: Literal["landmarks", "dataset"] = "landmarks"
    """``landmarks``: the tight box of the points (FaRL on 300W, WFLW, COFW); ``dataset``: the annotated box (AFLW)."""
    cache: bool = True
    """Keep decoded faces in memory, cut down to what the largest training crop can reach."""

    @property
    def side(self) -> int:
        """Side of the crop in pixels, once it is known."""
        if self.size is None:
            raise ValueError("data.size is not set, and no network has said its own")
        return self.size


class FiFAConfig(_Section):
    """Fiducial Focus Augmentation, f_A2 (Sect. 3.2, eqs 5-6, Alg. 1)."""

    enabled: bool = True
    """Draw the patches."""
    n: PositiveInt = 5
    """First side of the square patches (P: 5, best of Table 4)."""
    epoch_interval: PositiveInt | Literal["auto"] = "auto"
    """Epochs between two sizes (the paper's E); auto = max(1, round(T / 50)), which is 5 at the paper's 250 epochs."""
    patch_extent: Literal["full", "half"] = "full"
    """``full``: side n (Alg. 1, Fig. 1); ``half``: n is half the side, 2n pixels in all (eq. 5 read literally)."""
    fifa_unit: Literal["ref512_px", "crop_px"] = "ref512_px"
    """``ref512_px``: n is in pixels of the paper's 512 crop and scales with the crop; ``crop_px``: literal pixels."""


class ExtraConfig(_Section):
    """One augmentation of your own; any further key is an option of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=(), use_attribute_docstrings=True)

    kind: str
    """A registered augmentation; see ``fiducia list augmentations``."""
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    """How often it fires, for each view."""

    def options(self) -> dict[str, Any]:
        """Return the options of the kind."""
        return dict(self.model_extra or {})


class AugmentConfig(_Section):
    """The standard augmentation f_A1 (FaRL's, Sect. 4 and Table 5) and the two views (eqs 3-4)."""

    warp: bool = True
    """RM read as a random similarity *matrix* (FaRL)."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """BI of Table 5: bilinear instead of nearest resampling."""
    rotation: float = Field(default=0.174, ge=0.0)
    """Radians, uniform in +-rotation (FaRL)."""
    scale: float = Field(default=0.1, ge=0.0, lt=1.0)
    """FaRL: ``data.scale`` varies uniformly by +-scale (absolute, 0.8 +- 0.1)."""
    shift: float = Field(default=0.05, ge=0.0)
    """Share of the crop's side, uniform in +-shift for x and y (FaRL)."""
    exact: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability that a view is neither scaled nor shifted, but cropped by the tight box of its turned points, as a
    test's crops are (FaRL: never). The box then tells where the outermost points lie; the other views keep the network
    from relying on it where it is wrong."""
    exact_rotation: float | None = Field(default=None, ge=0.0)
    """Radians, uniform in +-exact_rotation for such views; None = ``rotation``."""
    mirror: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of mirroring (FaRL: none)."""
    mirror_bias: float = Field(default=0.0, gt=-0.1, lt=0.1)
    """How far the labels stand to the right of what they mark, in sides of the face's box. A mirrored face would teach the
    opposite, and the network would settle in the middle; its points are moved so that they, too, stand to the right.
    ``benchmarks/label_bias.py`` measures it: 0.0057 in 300-W."""
    occlusion: float = Field(default=1.0, ge=0.0, le=1.0)
    """Probability of one black rectangle, 10-40 % of the side high (FaRL: always)."""
    noise: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of noise fusion, alpha uniform in [0, 0.5] (FaRL)."""
    gray: float = Field(default=0.1, ge=0.0, le=1.0)
    """Probability of a grey image (FaRL)."""
    gamma: bool = True
    """Equal thirds of sqrt(x), x and x^2 (FaRL)."""
    blur: bool = True
    """Box blur, kernel uniform in [0, 1 %] of the side, odd and at least 3 where it fires."""
    blur_even: bool = False
    """FaRL's own even kernels, which shift the picture by half a pixel."""
    random_mask: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of cut-out masking: RM of Table 5 read as random *masking*."""
    extra: tuple[ExtraConfig, ...] = ()
    """Registered augmentations that follow the built-in ones on each view, before FiFA: ``[[augment.extra]]``."""
    views: Literal[1, 2] = 2
    """2 = Siamese: I' (clean of patches) and I'' (with FiFA); 1 = I'' alone."""
    siamese_views: Literal["shared_aug", "indep_photo", "indep_all"] = "indep_photo"
    """``shared_aug``: eq. 4 literally, I'' is I' with patches; ``indep_photo``: one warp, own photometric draws;
    ``indep_all``: own warps too, compared after the features are aligned by the ground truth."""
    supervise: Literal["both", "second"] = "both"
    """Which of the two views carries the losses of a single view."""
    fifa: FiFAConfig = FiFAConfig()


class ModelConfig(_Section):
    """The network. Fields that a network does not know must be left at their defaults."""

    name: str = "fifa_small"
    """A registered network; see ``fiducia list models``."""
    options: Options = Field(default_factory=dict)
    """What differs from the network's own options, e.g. ``{hourglass = {antialias = false}}``."""
    backbone_weights: Path | None = None
    """A local ViT state dict (CLIP, FaRL or timm keys): safetensors, or weights-only ``.pth``."""


class HeatmapConfig(_Section):
    """Targets (eqs 1-2) and decoding."""

    sigma: PositiveFloat = 1.5
    """Standard deviation in heatmap cells at every map size (P)."""
    radius: PositiveFloat = 5.0
    """Zero further away than this, in cells (P)."""
    quantize_centers: bool = False
    """Eq. 2 rounds the centres, which alone costs 0.8 NME points at 512; False keeps them continuous (FaRL)."""
    heatmap_norm: Literal["peak1", "density"] = "peak1"
    """``peak1`` (FaRL) or ``density``, the 1/(2 pi sigma^2) of eq. 1, a peak of 0.07."""
    decode: str | None = None
    """How points are read: one of the network's decoders; None = its own first one. Networks that give points have none.
    Sect. 3.1 takes the largest cell (``argmax``); FaRL the expectation, which a coordinate loss can train."""


class LossConfig(_Section):
    """One loss of the weighted sum; any further key is an option of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=(), use_attribute_docstrings=True)

    kind: str = ""
    """A registered loss; see ``fiducia list losses``. Without a kind the table changes the loss of that name that the network
    was published with; where every table has a kind, they are the whole sum."""
    weight: float = Field(default=1.0, ge=0.0)
    """Factor in the sum; 0 leaves the loss out."""
    schedule: tuple[tuple[float, float], ...] = ()
    """Pairs of (epoch, factor on the weight), linear in between; () = the weight throughout."""

    def options(self) -> dict[str, Any]:
        """Return the options of the kind."""
        return dict(self.model_extra or {})


class GroupRule(_Section):
    """What one set of parameters gets in place of the common values."""

    match: str
    """Glob pattern on the names of the network's parameters, such as ``*.head.*``."""
    lr: PositiveFloat | None = None
    """Learning rate; None = as the rest of its group."""
    weight_decay: float | None = Field(default=None, ge=0.0)
    """Weight decay; None = as the rest of its group."""


class OptimConfig(_Section):
    """The optimiser, its parameter groups and its schedule."""

    kind: str = "adamw"
    """Any optimiser class of ``torch.optim``, in any case: adamw, adam, sgd, rmsprop, ..."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of that class, e.g. ``{betas = [0.9, 0.99]}`` or ``{momentum = 0.9}``."""
    lr: PositiveFloat = 1e-3
    """Of everything but the backbone (P: 1e-4 throughout; FaRL 1e-3 beside a pre-trained ViT)."""
    backbone_lr: PositiveFloat | None = None
    """Of the network's backbone; None = ``lr``. 1e-4 for pre-trained weights (FaRL)."""
    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    """Factor on the rate from one block of the backbone to the one before it; 1 = the same rate for all."""
    weight_decay: float = Field(default=1e-5, ge=0.0)
    """Decoupled or L2, as the optimiser has it."""
    decay_all: bool = False
    """Let norms, biases, position embeddings and gates decay too, as plain optimisers do."""
    rules: tuple[GroupRule, ...] = ()
    """Exceptions for parameters by name; the last one that matches counts."""
    schedule: str = "step"
    """constant, step, multi_step, polynomial, cosine or one_cycle."""
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the run over which the rate climbs from 0."""
    step_at: float = Field(default=0.8, gt=0.0, lt=1.0)
    """``step``: the share of the run after which the rate is multiplied by ``gamma`` (FaRL: epoch 200 of 250)."""
    milestones: tuple[float, ...] = ()
    """``multi_step``: epochs after which the rate is multiplied by ``gamma``."""
    gamma: float = Field(default=0.1, gt=0.0, le=1.0)
    """``step`` and ``multi_step``: the factor."""
    power: PositiveFloat = 0.9
    """``polynomial``: the rate is ``(1 - progress) ** power``."""
    clip: float = Field(default=1.0, ge=0.0)
    """Largest gradient norm; 0 = no clipping."""
    ema: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay a step of the averaged weights, which are the ones evaluated (FaRL); 0 = none."""


class TrainConfig(_Section):
    """The loop."""

    epochs: PositiveInt = 250
    """Times that every training face is seen."""
    batch_size: PositiveInt = 20
    """Faces a step over all processes (P: 5 on each of 4 GPUs)."""
    seed: int = Field(default=0, ge=0)
    """Of the first weights, the order of the faces and every augmentation draw."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    devices: PositiveInt = 1
    """Processes on this machine, one a device."""
    num_nodes: PositiveInt = 1
    """Machines; use torchrun on each."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Arithmetic of the network; losses are always float32."""
    workers: int = Field(default=0, ge=0)
    """Processes that read and augment; 0 = the training process itself."""
    threads: PositiveInt | None = None
    """torch CPU threads a process; None = leave torch's choice."""
    val_every: PositiveInt = 1
    """Epochs between validations."""
    checkpoint_every: PositiveFloat = 120.0
    """Seconds between checkpoints inside an epoch; one is also written after every epoch."""
    channels_last: bool = False
    """Memory layout of the network; faster for convolutional networks on CPUs."""
    deterministic: bool = True
    """Use deterministic algorithms where torch has them."""
    log_gradient_shares: bool = False
    """Log each loss term's share of the gradient norm once an epoch (three more backward passes)."""


class Recipe(_Section):
    """A whole training run."""

    name: str = "run"
    """What the run is called in cards, reports and ledgers."""
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    heatmap: HeatmapConfig = HeatmapConfig()
    loss: dict[str, LossConfig] = Field(default_factory=dict)
    """The losses by name, ``[loss.NAME]``; none = those that the network was published with."""
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    plugins: tuple[str, ...] = ()
    """Python files that register parts of your own, relative to the recipe."""

    @model_validator(mode="after")
    def _schedules_rise(self) -> Recipe:
        """The epochs of a loss's schedule are in order."""
        for name, table in self.loss.items():
            epochs = [epoch for epoch, _ in table.schedule]
            if epochs != sorted(set(epochs)):
                raise ValueError(f"loss.{name}.schedule: the epochs of its pairs must rise; found {epochs}")
        return self
