"""What can be named in a recipe or on the command line, from the registries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from markdown_table import code, one_line, table

from fiducia.augment.registry import augmentations
from fiducia.data.source import datasets, label_writers
from fiducia.detectors import detectors
from fiducia.heatmaps.decode import decoders
from fiducia.losses.distances import distances
from fiducia.losses.registry import losses
from fiducia.models.registry import models
from fiducia.predict.outputs import writers
from fiducia.runtimes.registry import runtimes
from fiducia.schemes.sets import get_scheme, scheme_names
from fiducia.training.optim import schedules
from fiducia.weights.converters import converters

__all__ = ["registry_page"]

HEAD = """# Registries

Generated from the code. Each table lists what is registered under a name. A [plugin](../plugins.md) adds entries of its own;
`fiducia list models`, `losses`, `datasets`, `detectors` and `schemes` print these tables on the command line, plugins included.

"""


def registry_page() -> str:
    """Return the page as Markdown."""
    parts = [
        _part("Models", "`model.name` in a recipe; `fiducia.create_model(NAME)`.", ("name", "input", ""), _models()),
        _part(
            "Losses",
            "`kind` in a `[loss.NAME]` table. *Needs* is what the network must give. *Views* is 2 for losses that compare two "
            "views of a face.",
            ("kind", "needs", "views", "options", ""),
            _losses(),
        ),
        _part("Distances", "`distance` of the losses that take one, such as `coord`.", ("name", ""), _plain(distances)),
        _part(
            "Decoders",
            "`heatmap.decode` in a recipe; `--decode` on the command line. *Within* is the largest error along one axis on an "
            "ideal heatmap, in cells.",
            ("name", "within", ""),
            ((code(n), f"{decoders[n].within:g}", one_line(decoders[n].about)) for n in decoders),
        ),
        _part("Schedules", "`optim.schedule` in a recipe.", ("name", ""), _plain(schedules)),
        _part("Augmentations", "`kind` in an `[[augment.extra]]` table.", ("kind", "options", ""), _augmentations()),
        _part(
            "Data sets",
            "`data.source` in a recipe and `--data` on the command line, as `NAME:ROOT`.",
            ("name", "landmark sets", "splits", "faces", ""),
            _datasets(),
        ),
        _part("Annotation formats", "`--to` of `fiducia data convert`.", ("name", ""), _plain(label_writers)),
        _part("Output formats", "`--format` of `fiducia detect`.", ("name", ""), _writers()),
        _part("Detectors", "`--detector` on the command line.", ("name", ""), _plain(detectors)),
        _part("Runtimes", "`--runtime` on the command line.", ("name", "reads", ""), _runtimes()),
        _part(
            "Landmark schemes",
            "`data.scheme` in a recipe and `--scheme` on the command line. [An own scheme](../schemes.md) is a TOML file.",
            ("name", "points", "inter-ocular distance between", "regions"),
            _schemes(),
        ),
        _part(
            "Checkpoint converters",
            "`--from` of `fiducia weights convert`. Its default, `vit`, is a ViT encoder with CLIP's, FaRL's or timm's names.",
            ("kind", ""),
            _plain(converters),
        ),
    ]
    return HEAD + "\n".join(parts)


def _part(title: str, intro: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    found = list(rows)
    return f"## {title}\n\n{intro}\n\n" + (table(heads, found) if found else "None is built in.\n")


def _plain(registry: Any) -> Iterable[tuple[str, str]]:
    return ((code(name), one_line(registry[name].__doc__)) for name in registry)


def _options(function: Callable[..., Any]) -> str:
    parameters = inspect.signature(function).parameters.values()
    return ", ".join(code(f"{p.name} = {p.default!r}") for p in parameters if p.kind is p.KEYWORD_ONLY)


def _models() -> Iterable[tuple[str, str, str]]:
    return ((code(name), f"{models[name].size} px", one_line(models[name].about)) for name in models)


def _losses() -> Iterable[tuple[str, str, str, str, str]]:
    for name in losses:
        kind = losses[name]
        needs = ", ".join(kind.needs).replace("|", " or ")
        yield code(name), needs, str(kind.views), _options(kind.target), one_line(kind.about)


def _augmentations() -> Iterable[tuple[str, str, str]]:
    for name in augmentations:
        yield code(name), _options(augmentations[name]), one_line(augmentations[name].__doc__)


def _datasets() -> Iterable[tuple[str, str, str, str, str]]:
    for name in datasets:
        spec = datasets[name]
        faces = ", ".join(f"{split} {spec.counts[split]:,}" for split in spec.splits if split in spec.counts)
        yield code(name), ", ".join(spec.schemes) or "any", ", ".join(map(code, spec.splits)), faces, spec.summary


def _writers() -> Iterable[tuple[str, str]]:
    return ((code(name), one_line(type(writers[name]).__doc__)) for name in writers)


def _runtimes() -> Iterable[tuple[str, str, str]]:
    for name in runtimes:
        kind = runtimes[name]
        yield code(name), ", ".join(["weights", *map(code, kind.suffixes)]), one_line(kind.about)


def _schemes() -> Iterable[tuple[str, str, str, str]]:
    for name in scheme_names():
        scheme = get_scheme(name)
        eyes = "–" if scheme.inter_ocular is None else "{} and {}".format(*scheme.inter_ocular)
        yield code(name), str(scheme.num_points), eyes, ", ".join(scheme.regions)
