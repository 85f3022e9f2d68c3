"""Recipes: what a training run is, as a short TOML file that names only what differs from the defaults here.

Every default says where it comes from: the paper (P), FacePerceiver/FaRL where the paper is silent (FaRL), or a
measurement of ours (M). ``recipes/paper_literal.toml`` holds the paper's words to the letter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "FiFAConfig",
    "HeatmapConfig",
    "LossConfig",
    "ModelConfig",
    "OptimConfig",
    "Options",
    "Recipe",
    "TrainConfig",
]

Probability = Field(ge=0.0, le=1.0)
_Option = str | int | float | bool
Options = dict[str, _Option | list[int] | list[dict[str, _Option]]]
"""A network's keyword options; a list of tables names the members of a committee."""


class _Section(BaseModel):
    """A frozen part of a recipe; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class DataConfig(_Section):
    """Which faces, and how they are cropped."""

    source: str = "synthetic:"
    """``NAME:ROOT``, e.g. ``300w:/data/300w``; ``synthetic:`` needs no files."""
    split: str = "train"
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
    limit: PositiveInt | None = None
    """Use only so many faces (after the carving), for quick trials."""
    size: PositiveInt = 256
    """Side of the square crop in pixels (P: 512)."""
    scale: PositiveFloat = 0.8
    """The box's share of the crop (FaRL: 0.8, a crop 1.25 times as wide as the box)."""
    box_source: Literal["landmarks", "dataset"] = "landmarks"
    """``landmarks``: the tight box of the points (FaRL on 300W, WFLW, COFW); ``dataset``: the annotated box (AFLW)."""
    teacher: tuple[str, ...] = ()
    """Weights whose points, averaged, the training labels are moved towards (:func:`fiducia.training.distill.blend_labels`)."""
    teacher_share: float = Field(default=0.5, ge=0.0, le=1.0)
    """How far: 0 = the labels as they are, 1 = the teachers' points alone."""
    style: str | None = None
    """A part of the data, by the first folder of its faces' ids (``lfpw``): labels of the other training faces are moved to how
    that part's annotators place points, as the teachers' residuals tell (:func:`fiducia.training.styles.label_shifts`)."""
    style_gain: float = Field(default=1.0, ge=0.0, le=3.0)
    """Times the fitted difference: teachers that were trained on these labels show less of it than there is."""
    cache: bool = True
    """Keep decoded faces in memory, cut down to what the largest training crop can reach."""


class FiFAConfig(_Section):
    """Fiducial Focus Augmentation, f_A2 (Sect. 3.2, eqs 5-6, Alg. 1)."""

    enabled: bool = True
    n: PositiveInt = 5
    """First side of the square patches (P: 5, best of Table 4)."""
    epoch_interval: PositiveInt | Literal["auto"] = "auto"
    """Epochs between two sizes (the paper's E); auto = max(1, round(T / 50)), which is 5 at the paper's 250 epochs."""
    patch_extent: Literal["full", "half"] = "full"
    """``full``: side n (Alg. 1, Fig. 1); ``half``: n is half the side, 2n pixels in all (eq. 5 read literally)."""
    fifa_unit: Literal["ref512_px", "crop_px"] = "ref512_px"
    """``ref512_px``: n is in pixels of the paper's 512 crop and scales with the crop; ``crop_px``: literal pixels."""


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
    elastic: float = Field(default=0.0, ge=0.0, le=0.03)
    """Root mean square, in sides of the crop, by which long random waves bend a face and its points (FaRL: none)."""
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
    gamma: bool = True
    """Equal thirds of sqrt(x), x and x^2 (FaRL)."""
    blur: bool = True
    """Box blur, kernel uniform in [0, 1 %] of the side, odd and at least 3 where it fires."""
    blur_even: bool = False
    """FaRL's own even kernels, which shift the picture by half a pixel."""
    random_mask: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability of cut-out masking: RM of Table 5 read as random *masking*."""
    views: Literal[1, 2] = 2
    """2 = Siamese: I' (clean of patches) and I'' (with FiFA); 1 = I'' alone."""
    siamese_views: Literal["shared_aug", "indep_photo", "indep_all"] = "indep_photo"
    """``shared_aug``: eq. 4 literally, I'' is I' with patches; ``indep_photo``: one warp, own photometric draws;
    ``indep_all``: own warps too, compared after the features are aligned by the ground truth."""
    fifa: FiFAConfig = FiFAConfig()


class ModelConfig(_Section):
    """The network. Fields that a network does not know must be left at their defaults."""

    name: str = "fifa_small"
    """A registered network: ``fifa_base``, ``fifa_small``, ``fifa_tiny``, ``vit_base``, ..."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments over the network's own, e.g. ``{antialias = false}``; checked against the builder's signature."""
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
    decode: str = "expectation"
    """A registered decoder: expectation, argmax, quarter, local_softargmax or dark. Sect. 3.1 takes the largest cell
    (``argmax``); FaRL the expectation, which a coordinate loss can train."""


class LossConfig(_Section):
    """The weighted sum that is minimised."""

    heatmap: float = Field(default=1.0, ge=0.0)
    coord: float = Field(default=1.0, ge=0.0)
    coord_loss: str = "norm"
    """A registered coordinate loss: norm, l1, mse, smooth_l1 or wing. ``norm``: mean Euclidean distance in [0, 1] crop
    units, which FaRL calls its L1 loss."""
    similarity: str = "dcca"
    """The Siamese term: none, or a registered similarity loss (dcca, dcca_global, dcca_sq, corr_scalar, l2, l1,
    smooth_l1, wing). ``corr_scalar`` is eqs 7-8 to the letter; the last four are Table 6's."""
    similarity_weight: float = Field(default=1.0, ge=0.0)
    """P: 1.0, about 100 times the supervised terms late in training; choose from {1, 0.1, 0.01} by validation."""
    dcca_dim: PositiveInt = 16
    dcca_shrinkage: float = Field(default=0.05, ge=0.0, le=1.0)
    dcca_eps: float = Field(default=1e-6, ge=0.0)
    dcca_center: Literal["landmark", "landmark+face", "global"] = "landmark"
    aux_weight: float = Field(default=0.0, ge=0.0)
    """Weight of a head on every hourglass (P: none)."""
    supervise: Literal["both", "second"] = "both"
    """Which of the two views carries the supervised terms."""


class OptimConfig(_Section):
    """AdamW, its parameter groups and its schedule."""

    lr: PositiveFloat = 1e-3
    """Of everything but the backbone (P: 1e-4 throughout; FaRL 1e-3 beside a pre-trained ViT)."""
    backbone_lr: PositiveFloat | None = None
    """Of the ViT; None = ``lr``. 1e-4 for pre-trained weights (FaRL)."""
    weight_decay: float = Field(default=1e-5, ge=0.0)
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the run over which the rate climbs from 0."""
    step_at: float = Field(default=0.8, gt=0.0, lt=1.0)
    """``step``: the share of the run after which the rate is a tenth (FaRL: epoch 200 of 250)."""
    clip: float = Field(default=1.0, ge=0.0)
    """Largest gradient norm; 0 = no clipping."""
    ema: float = Field(default=0.999, ge=0.0, lt=1.0)
    """Decay a step of the averaged weights, which are the ones evaluated (FaRL); 0 = none."""


class TrainConfig(_Section):
    """The loop."""

    epochs: PositiveInt = 250
    batch_size: PositiveInt = 20
    """Faces a step over all processes (P: 5 on each of 4 GPUs)."""
    seed: int = 0
    device: str = "auto"
    devices: PositiveInt = 1
    num_nodes: PositiveInt = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = Field(default=0, ge=0)
    threads: PositiveInt | None = None
    """torch CPU threads a process; None = leave torch's choice."""
    val_every: PositiveInt = 1
    checkpoint_every: PositiveFloat = 120.0
    """Seconds between checkpoints inside an epoch; one is also written after every epoch."""
    channels_last: bool = False
    deterministic: bool = True
    log_gradient_shares: bool = False
    """Log each loss term's share of the gradient norm once an epoch (three more backward passes)."""


class Recipe(_Section):
    """A whole training run."""

    name: str = "run"
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    heatmap: HeatmapConfig = HeatmapConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _views_match_losses(self) -> Recipe:
        """A similarity needs two views to compare."""
        if self.augment.views == 1 and self.loss.similarity != "none":
            raise ValueError('loss.similarity compares two views: set augment.views = 2, or loss.similarity = "none"')
        return self
