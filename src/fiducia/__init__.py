"""Facial landmarks: train, evaluate, detect and export.

``fiducia.load("fifa_tiny")("photo.jpg")`` gives the faces of a photograph. The names below are imported when they are
first used, so that ``import fiducia`` is quick and has no side effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import detectors as detectors
    from . import losses as losses
    from . import models as models
    from .augment.fiducial import FiFA
    from .data.source import datasets, label_writers, load_records
    from .detectors.foreign import boxes_from
    from .errors import FiduciaError, UsageError
    from .evaluation.evaluate import evaluate
    from .evaluation.exporting import export
    from .faces.face import Face
    from .faces.many import Faces
    from .heatmaps.decode import decoders
    from .metrics.functional import auc, failure_rate, nme
    from .plugins import load_plugin
    from .predict.predictor import Predictor, load
    from .recipes.files import load_recipe
    from .recipes.sections import Recipe
    from .schemes.sets import Scheme, get_scheme
    from .structures import Batch, Detection, ModelOutput, Prediction, Record
    from .training.run import train
    from .weights.factory import create_model, list_models

_HOMES = {
    "Batch": "structures",
    "Detection": "structures",
    "Face": "faces.face",
    "Faces": "faces.many",
    "FiFA": "augment.fiducial",
    "FiduciaError": "errors",
    "ModelOutput": "structures",
    "Prediction": "structures",
    "Predictor": "predict.predictor",
    "Recipe": "recipes.sections",
    "Record": "structures",
    "Scheme": "schemes.sets",
    "UsageError": "errors",
    "auc": "metrics.functional",
    "boxes_from": "detectors.foreign",
    "create_model": "weights.factory",
    "datasets": "data.source",
    "decoders": "heatmaps.decode",
    "evaluate": "evaluation.evaluate",
    "export": "evaluation.exporting",
    "failure_rate": "metrics.functional",
    "get_scheme": "schemes.sets",
    "label_writers": "data.source",
    "list_models": "weights.factory",
    "load": "predict.predictor",
    "load_plugin": "plugins",
    "load_recipe": "recipes.files",
    "load_records": "data.source",
    "nme": "metrics.functional",
    "train": "training.run",
}
_PACKAGES = ("detectors", "losses", "models")

__all__ = [*sorted([*_HOMES, *_PACKAGES]), "__version__"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'fiducia' has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
