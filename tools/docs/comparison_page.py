"""The fair comparison of networks, from the figures that its benchmark stored."""

from __future__ import annotations

from typing import Any

from markdown_table import code, table
from measured import stored

__all__ = ["comparison_page"]

HEAD = """# Networks compared fairly

Published figures compare training budgets as much as networks. Here every network is trained from random weights on the same
faces, crops, augmentation, optimiser and number of image views, each with its own published loss and decoding, and measured
once.

* **Training**: {faces:,} faces of 300W's training parts, {epochs} epochs, {views:,} image views, 128 pixels, seed 0, the
  averaged weights of the last epoch. Nothing is chosen by the test faces.
* **Measured**: {protocol}.
* **Interval**: 95 %, bootstrap over the test faces. It covers the choice of faces, not seed variance.
* **ms**: one face, crop to landmarks, one thread, processor time, the least of all calls. {machine}.

![NME against milliseconds](../images/comparison.svg)

"""

FOOT = """
{missing}
Commands:

```
{training}
{command}
```

## How to read it

* The budget is small: {epochs} epochs from random weights. It favours networks that learn fast. The published networks start
  from ImageNet weights or train five to ten times as long, so the order at their own budget may differ.
* One optimiser serves all (`recipes/tables/small.toml`): AdamW, 1.2e-3, cosine. No network's own rate was searched.
* Where two intervals overlap, one seed does not decide.
* The minutes of training are of one thread on a machine that other programs loaded now and then. They tell hours from
  minutes, no more.
"""


def comparison_page() -> str:
    """Return the page as Markdown."""
    kept = stored("comparison")
    rows: dict[str, dict[str, Any]] = kept["rows"]
    first = next(iter(rows.values()))
    head = HEAD.format(
        faces=first["training_faces"],
        epochs=first["epochs"],
        views=first["image_views"],
        protocol="; ".join(kept["protocol"]),
        machine=kept["machine"],
    )
    heads = [
        "network",
        "",
        "params, M",
        "GMAC",
        "ms, torch",
        "ms, OpenVINO",
        "NME",
        "95 % interval",
        "NME on validation faces",
    ]
    body = [
        [
            code(name),
            row["label"],
            f"{row['params'] / 1e6:.2f}",
            f"{row['gmac']:.2f}",
            f"{row['torch_ms']:.1f}",
            "–" if row["openvino_ms"] is None else f"{row['openvino_ms']:.1f}",
            f"{row['nme']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            "–" if row["validation"] is None else f"{row['validation']:.2f}",
            f"{row['training_seconds'] / 60:.0f}",
        ]
        for name, row in sorted(rows.items(), key=lambda item: float(item[1]["nme"]))
    ]
    absent = [code(name) for name in kept["planned"] if name not in rows]
    missing = f"Not trained yet: {', '.join(absent)}.\n" if absent else ""
    foot = FOOT.format(missing=missing, epochs=first["epochs"], training=kept["training"], command=kept["command"])
    return head + table([*heads, "training, minutes"], body) + foot
