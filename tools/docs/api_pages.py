"""Pages of the Python API: the public names by topic, and the parts behind them. mkdocstrings fills in the docstrings."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import fiducia
from fiducia.registry import Registry

__all__ = ["TOPICS", "Topic", "api_pages", "entry", "home", "shown"]


@dataclass(frozen=True)
class Topic:
    """One page.

    Attributes:
        title: of the page.
        about: what it holds, in a sentence.
        public: names of ``fiducia``.
        parts: further names, as ``module:name`` below ``fiducia``.
    """

    title: str
    about: str
    public: tuple[str, ...]
    parts: tuple[str, ...] = ()


TOPICS: dict[str, Topic] = {
    "detect": Topic(
        "Detect",
        "From image files to faces with landmarks. [Guide](../../detect.md).",
        ("load", "Predictor", "Face", "Faces", "Detection", "detectors", "boxes_from"),
        (
            "measures.pose:HeadPose",
            "measures.pose:head_pose",
            "measures.align:align_matrix",
            "measures.masks:region_mask",
            "measures.table:measure_table",
            "structures:Detector",
            "structures:Runtime",
            "runtimes.registry:register",
        ),
    ),
    "serve": Topic(
        "Serve",
        "The client of a server that `fiducia serve` runs. [Guide](../../serving.md).",
        ("Client", "AsyncClient"),
        ("serve.app:make_app", "serve.engine:Engine", "serve.limits:Limits", "serve.access:Access"),
    ),
    "video": Topic(
        "Video",
        "Faces that are followed through a video. [Guide](../../video.md).",
        (),
        (
            "video.frames:Frame",
            "video.loop:FaceTracker",
            "video.loop:TrackerOptions",
            "video.one_euro:Smoothing",
            "video.one_euro:OneEuro",
            "video.reader:VideoFile",
            "video.writer:VideoWriter",
            "metrics.video:flicker",
            "metrics.video:lag",
            "metrics.video:identities",
        ),
    ),
    "train": Topic(
        "Train",
        "From a recipe to weights. [Guide](../../training.md).",
        ("train", "Recipe", "load_recipe", "load_plugin"),
        ("training.run:RunResult", "training.optim:schedules", "recipes.files:dump_recipe", "registry:Registry"),
    ),
    "evaluate": Topic(
        "Evaluate and export",
        "From weights to figures and to exported graphs. [Evaluation](../../evaluation.md), [export](../../export.md).",
        ("evaluate", "export"),
        ("metrics.protocol:Protocol", "metrics.protocol:comparable"),
    ),
    "metrics": Topic(
        "Metrics",
        "Figures as functions of points, for any code. [Guide](../../evaluation.md).",
        ("nme", "failure_rate", "auc"),
        ("metrics.compare:paired_bootstrap", "metrics.compare:check_comparable", "metrics.errors:point_errors"),
    ),
    "models": Topic(
        "Models",
        "Networks, what they give, and how points are read from it. [Design](../../design.md).",
        ("create_model", "list_models", "models", "ModelOutput", "Prediction", "decoders"),
        ("models.registry:register", "models.base:LandmarkModel", "models.base:Options", "heatmaps.decode:register"),
    ),
    "losses": Topic(
        "Losses",
        "Training losses and what they compare a network's output with. [Guide](../../recipes.md#losses).",
        ("losses",),
        (
            "losses.registry:register",
            "losses.base:Term",
            "losses.base:LossContext",
            "losses.targets:Targets",
            "losses.objective:Objective",
            "losses.distances:distances",
            "losses.correlation:canonical_correlation",
        ),
    ),
    "data": Topic(
        "Data",
        "Data sets and the records that they hold. [Guide](../../data.md).",
        ("datasets", "load_records", "label_writers", "Record", "Batch"),
        ("data.source:DatasetSpec", "data.synthetic.source:synthetic_face"),
    ),
    "augmentation": Topic(
        "Augmentation",
        "FiFA, and augmentations of your own. [Guide](../../augmentation.md).",
        ("FiFA",),
        ("augment.registry:augmentations", "augment.registry:Augmentation"),
    ),
    "schemes": Topic(
        "Landmark schemes",
        "Landmark sets, own ones, and conversions between them. [Guide](../../schemes.md).",
        ("Scheme", "get_scheme"),
        ("schemes.sets:load_scheme", "schemes.sets:convert", "schemes.sets:scheme_names"),
    ),
    "errors": Topic(
        "Errors",
        "What the package raises for mistakes that a user can mend. Each has a message of one line.",
        ("FiduciaError", "UsageError"),
        ("errors:Interrupted",),
    ),
}


def home(name: str) -> str:
    """Return the full path of a public name's definition, such as ``fiducia.metrics.functional.nme``."""
    value = getattr(fiducia, name)
    if inspect.ismodule(value):
        return value.__name__
    if isinstance(value, Registry):
        return f"fiducia.{fiducia._HOMES[name]}.{name}"
    return f"{value.__module__}.{value.__qualname__}"


def shown() -> set[str]:
    """Return the full path of every name on the pages."""
    parts = (f"fiducia.{path.replace(':', '.')}" for topic in TOPICS.values() for path in topic.parts)
    return {home(name) for topic in TOPICS.values() for name in topic.public} | set(parts)


def api_pages() -> dict[str, str]:
    """Return path → Markdown of every page, and of their table of contents."""
    pages = {f"reference/api/{slug}.md": _page(topic) for slug, topic in TOPICS.items()}
    lines = [
        f"* [{topic.title}]({slug}.md): {', '.join(f'`{name}`' for name in topic.public)}"
        for slug, topic in TOPICS.items()
    ]
    lines.append("* [Parts of the paper](paper.md): its equations and layers, one by one")
    head = "# Python API\n\nGenerated from the docstrings. These names are importable from `fiducia`:\n\n"
    return {"reference/api/index.md": head + "\n".join(lines) + "\n", **pages}


def _page(topic: Topic) -> str:
    parts = [f"# {topic.title}\n\n{topic.about}\n"]
    parts += [entry(f"fiducia.{name}", home(name), getattr(fiducia, name)) for name in topic.public]
    if topic.parts:
        parts.append("## Parts\n")
    for path in topic.parts:
        module, _, name = path.partition(":")
        full = f"fiducia.{module}"
        value = getattr(import_module(full), name)
        parts.append(entry(f"{full}.{name}", f"{full}.{name}", value, level=3))
    return "\n".join(parts)


def entry(title: str, path: str, value: Any, level: int = 2) -> str:
    """Return mkdocstrings' block for one name; a package shows its own docstring alone."""
    options = [f"heading: {title}", f"toc_label: {title.rpartition('.')[2]}", f"heading_level: {level}"]
    options += ["members: false"] if inspect.ismodule(value) else []
    return f"::: {path}\n    options:\n" + "".join(f"      {option}\n" for option in options)
