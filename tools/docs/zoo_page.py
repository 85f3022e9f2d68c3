"""Every network of the package: its size, its time, what was published of it, and what was shown here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from markdown_table import code, table
from measured import stored
from model_cards import model_cards

from fiducia.metrics.published import published_table
from fiducia.models.count import describe_models
from fiducia.models.registry import is_family, models
from fiducia.recipes.files import recipe_names
from fiducia.weights.info import load_card
from fiducia.weights.places import shipped_names

__all__ = ["zoo_page"]

PUBLISHED = {
    "hrnet_w18": (3.34, 4.60),
    "star": (2.87, 4.02),
    "dvit": (2.85, 3.75),
    "dtld": (2.96, 4.08),
}
"""NME on the full 300W and WFLW test sets in percent, as the authors give it, of networks that the paper's tables leave out."""
PAPER_NAMES = {"dtld_plus": "dtld", "fifa_base": "fifa"}
"""Name → row of the paper's Tables 1 and 2, where they differ: "DTLD" is DTLD+ there, and FiFA the large network."""
GOLDEN = (
    *("hrnet_w18", "adnet", "star", "fan", "fan2", "fan1", "slpt", "slpt12", "hih"),
    *("farl", "farl_256", "pfld", "pipnet_r18", "awing"),
)
"""Networks whose outputs are held against those of the published code."""
REBUILT = ("dtld", "dtld_plus", "propnet", "dvit", "shfan")
RECIPES = {"slpt12": "slpt", "fan1": "fan", "fan2": "fan", "farl_256": "farl", "dtld_plus": "dtld"}

HEAD = """---
hide:
  - toc
---

# Model zoo

Every network that `model.name` accepts. The table is generated from the code and from measurements that are stored beside the
benchmarks.

* **params, GMAC**: of one crop at the input side, for 68 landmarks, as `fiducia list models --json` counts them. For published
  networks they are held against the published code in `tests/parity`.
* **ms**: one face, crop to landmarks, one thread, processor time, the least of all calls; random weights.
  {machine}, while other programs ran.
  Command: `{command}`
* **published**: NME by the outer eye corners in percent, full test sets of 300W (689 faces) and WFLW (2,500 faces), as the
  authors print it, at their own crops and training.
* **ours**: NME in percent on 300W `lfpw/testset`, 224 faces, of the [fair comparison](experiments/comparison.md), at 128
  pixels and a few epochs. It is not comparable with the published figure. Shipped weights: [Weights](weights.md).
"""

STATUS = """
## What stands behind a row

* **trained here**: the network was trained on real faces and measured, in the comparison or as shipped weights. These are of
  `fifa_lite`, whatever their names: the networks `fifa_tiny` and `fifa_small` are those of earlier versions.
* **goldens + overfit**: names, shapes, parameter count, outputs and points are those of the published code on the same weights
  (`pytest tests/parity`), the published loss too, and the network learns eight faces by heart. It was not trained to its
  published accuracy here.
* **overfit**: a network of this package, such as the paper's, which learns eight faces by heart.
* **reconstruction, overfit only**: no code was published. The network is built from its paper, as
  [Reconstructions](reconstructions.md) says; published figures are not claimed for it. SH-FAN's figure on WFLW is with extra
  training data, as the public table of results marks it.

**Patent.** US 12,430,793 B2 covers a pipeline such as that of `dtld` and `dtld_plus`. Whether and where you may use them is
for you to decide: see [Reconstructions](reconstructions.md#a-patent-on-dtlds-pipeline).

**PicassoNet** (Wen et al., TNNLS 2022) has no row. It is specified nowhere that could be read, so it stays a published
figure: NME 3.58 on 300W and 4.82 on WFLW.

`timm:NAME` takes any feature extractor of timm, with a heatmap or hourglass head. `ensemble` averages trained networks.

## Train or convert one

```sh
fiducia train zoo/hrnet_w18 --set data.source=wflw:ROOT               # the published loss, optimiser and schedule
fiducia weights convert --from hrnet HRNet.pth hrnet.safetensors      # a published checkpoint
fiducia weights convert --from pipnet pip.pth pip.safetensors --mean-face meanface.txt
```

Every published network has a recipe in `recipes/zoo/`. [Registries](reference/registries.md#checkpoint-converters) lists the
kinds of checkpoints.
"""

OVERFIT = """
## Eight faces by heart

Each network learns eight faces of 300W, without augmentation, by the loss that it was published with, from random weights: in
its smallest sensible form, at 64 or 128 pixels, with one recipe for all. The error is the mean NME of these faces, by the
outer eye corners. Training stops below {mark:g} %. A network that cannot do this has a fault. The curves are in
`benchmarks/overfit.json`.

Command: `{command}`, one thread. As a test: `make long`.

"""


def zoo_page() -> str:
    """Return the page as Markdown."""
    times, compared = stored("zoo"), stored("comparison")["rows"]
    head = HEAD.format(machine=times["machine"], command=times["command"])
    rows = list(_rows(times["rows"], compared))
    heads = ["network", "input", "params, M", "GMAC", "ms, torch", "ms, OpenVINO", "published 300W", "WFLW", "ours"]
    return (
        head + "\n" + table([*heads, "status", "recipe"], rows) + model_cards() + STATUS + _overfit(stored("overfit"))
    )


def _rows(times: dict[str, Any], compared: dict[str, Any]) -> Iterator[list[str]]:
    learnt = {models[name].build for name in stored("overfit")["networks"] if name in models}
    ours = {"vit_base" if name == "vit" else name: row for name, row in compared.items()}
    for row in describe_models(68):
        name = row["name"]
        if row["params"] is None or name == "ensemble":
            continue
        time, mine = times.get(name, {}), ours.get(name)
        yield [
            code(name),
            str(row["input"]),
            f"{row['params'] / 1e6:.2f}",
            f"{row['gmac']:.2f}",
            _ms(time.get("torch_ms")),
            _ms(time.get("openvino_ms")),
            *_published(name),
            f"{mine['nme']:.2f}" + (" (narrow)" if name == "vit_base" else "") if mine else "–",
            _status(name, mine is not None, models[name].build in learnt),
            _recipe(name),
        ]


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _published(name: str) -> tuple[str, str]:
    if name in PUBLISHED:
        return f"{PUBLISHED[name][0]:.2f}", f"{PUBLISHED[name][1]:.2f}"
    figures = [published_table("table1").figures, published_table("table2").figures]
    columns = ["300w/full/nme_ic", "wflw/test/nme_ic"]
    row = PAPER_NAMES.get(name, name)
    found = [figure.get((row, column)) for figure, column in zip(figures, columns, strict=True)]
    return tuple(f"{value.value:.2f}" if value is not None else "–" for value in found)  # type: ignore[return-value]


def _status(name: str, compared: bool, learnt: bool) -> str:
    if compared or shipped_as(name):
        return "trained here" + (", goldens" if name in GOLDEN else "")
    if name in GOLDEN:
        return "goldens + overfit" if learnt else "goldens"
    if name in REBUILT:
        return "reconstruction, overfit only" if learnt else "reconstruction"
    return "overfit" if learnt else "–"


def shipped_as(network: str) -> list[str]:
    """Return the shipped weights that are of this network; weights and recipes may have the names of other networks."""
    return [name for name in shipped_names() if load_card(name).network == network]


def _recipe(name: str) -> str:
    shipped = shipped_as(name)
    if shipped:
        return ", ".join(map(code, shipped))
    base = RECIPES.get(name, name)
    if f"zoo/{base}" not in recipe_names():
        return "`300w`" if name == "fifa_base" else "–"
    return code(f"zoo/{base}") + ("" if base == name else f", `model.name={name}`")


def _overfit(kept: dict[str, Any]) -> str:
    fits = kept["networks"]
    head = OVERFIT.format(mark=kept["mark"], command=kept["command"])
    heads = [
        "network",
        "input",
        "params, M",
        "loss",
        "steps",
        "NME at the start",
        "NME at the end",
        "CPU seconds",
        "date",
    ]
    rows = [
        [
            code(name),
            str(fit["size"]),
            f"{fit['params'] / 1e6:.2f}",
            ", ".join(map(code, fit["losses"])),
            str(fit["steps"][-1]),
            f"{fit['nme'][0]:.1f} %",
            f"{fit['nme'][-1]:.2f} %",
            f"{fit['seconds']:.0f}",
            fit["date"],
        ]
        for name, fit in sorted(fits.items())
        if name in models
    ]
    missing = [code(name) for name in _unlearnt(fits)]
    note = f"\nNot done yet in this form: {', '.join(missing)}.\n" if missing else ""
    return head + table(heads, rows) + note


def _unlearnt(fits: dict[str, Any]) -> list[str]:
    """Return one name of every network class that has no curve."""
    done = {models[name].build for name in fits if name in models}
    first = {models[name].build: name for name in reversed(list(models)) if not is_family(name)}
    return sorted(name for build, name in first.items() if build not in done)
