"""Draw the numbered charts of the known landmark sets, docs/images/schemes/NAME.svg: ``python tools/docs/scheme_pictures.py``.

The face is the average one of ``fiducia.data.synthetic``, with its mouth and eyes open wider, so that the numbers have room.
"""

from __future__ import annotations

from pathlib import Path

from fiducia.data.synthetic.shape import SELECTIONS, FaceShape, build_head
from fiducia.draw.charts import scheme_chart
from fiducia.schemes.sets import get_scheme, scheme_names

__all__ = ["FOLDER", "charts"]

FOLDER = Path(__file__).resolve().parents[2] / "docs/images/schemes"
FACE = FaceShape(
    open=0.5, eye_h=0.15, eye_w=0.24, eye_x=0.45, brow_h=0.11, brow_y=-0.36, mouth_w=0.46, lip_up=0.11, lip_low=0.12
)


def charts() -> dict[str, str]:
    """Return the file name and the SVG of every chart."""
    head = build_head(FACE)
    dense = head.view(head.points)
    whole = (get_scheme("wflw98"), dense[list(SELECTIONS["wflw98"])])
    chosen = {name: dense[list(SELECTIONS[name])] for name in scheme_names()}
    return {f"{name}.svg": scheme_chart(get_scheme(name), xy, whole) for name, xy in chosen.items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, text in charts().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
