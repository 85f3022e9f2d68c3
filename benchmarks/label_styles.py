"""How the parts of a data set differ in where their annotators put points, and what knowing that is worth on held-out faces.

    python benchmarks/label_styles.py --data 300w:ROOT --weights fifa_tiny

A network's points of training faces differ from the labels by an amount that has a mean, and a part that goes with the shape, of
its own in every part (AFW, HELEN, LFPW). Both are fitted part by part (``fiducia.data.styles``) and added to the network's
points of the faces that a recipe holds out (``--recipe``), which neither saw; the place of the labels' box, by which a face is
cropped here, is among what the fit reads. With ``style`` in a recipe's data the labels
themselves are moved to one part's style.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fiducia.data.styles import StyleFit, part_of, to_unit
from fiducia.evaluation.locate import Settings, find_points
from fiducia.metrics.errors import nme, normalizer, point_errors
from fiducia.recipes.files import load_recipe
from fiducia.structures import Record
from fiducia.training.faces import split_records

Array = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="NAME:ROOT")
    parser.add_argument(
        "--weights", default="fifa_tiny", help="shipped name, file or run; looked at with the flip test"
    )
    parser.add_argument("--recipe", default="fifa_tiny", help="whose training and held-out faces are taken")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    faces = split_records(load_recipe(options.recipe, [f"data.source={json.dumps(options.data)}"]).data)
    training, held, scheme = faces.training, faces.validation, faces.scheme
    predictor = Settings(weights=options.weights, flip=True).predictor("cpu")
    seen, new = _Part(training, find_points(predictor, training)), _Part(held, find_points(predictor, held))
    names = sorted(set(seen.names))
    fits = {name: StyleFit(seen.unit_found[seen.names == name], seen.unit_labels[seen.names == name]) for name in names}
    own = new.found.copy()
    for name in names:
        mine = new.names == name
        own[mine] += new.side[mine] * fits[name](new.unit_found[mine])

    def score(points: Array, mine: npt.NDArray[np.bool_]) -> float:
        truth = new.labels[mine]
        kind = "ic" if scheme.inter_ocular is not None else "box"
        return 100 * float(nme(point_errors(points[mine], truth), normalizer(kind, truth, scheme)).mean())

    rows = [
        {"part": name, "trained": int((seen.names == name).sum()), "held_out": int(mine.sum())}
        | {"nme": score(new.found, mine), "nme_in_its_style": score(own, mine)}
        | {f"from_{other}": _distance(fits[name], fits[other], seen, scheme.inter_ocular) for other in names}
        for name in names
        for mine in [new.names == name]
    ]
    everyone = np.ones(len(held), bool)
    total = {"nme": score(new.found, everyone), "nme_in_its_style": score(own, everyone)}
    print(
        f"{options.weights}, flip test, NME in percent of {len(held)} held-out faces of {options.data.partition(':')[0]}"
    )
    print(f"{'part':>8} {'faces':>6} {'NME':>7} {'in its own style':>17}   styles differ by")
    for row in rows:
        apart = ", ".join(f"{row[f'from_{n}']:.2f} from {n}" for n in names if n != row["part"])
        print(f"{row['part']:>8} {row['held_out']:>6} {row['nme']:>7.3f} {row['nme_in_its_style']:>17.3f}   {apart}")
    print(f"{'all':>8} {len(held):>6} {total['nme']:>7.3f} {total['nme_in_its_style']:>17.3f}")
    if options.json:
        options.json.write_text(json.dumps({"weights": options.weights, "parts": rows, **total}, indent=2) + "\n")


class _Part:
    """Labels and points of faces, and the side of the labels' box."""

    def __init__(self, records: list[Record], found: Array) -> None:
        self.names = np.array([part_of(record) for record in records])
        self.labels, self.found = np.stack([record.xy for record in records]).astype(np.float64), found
        self.unit_labels, self.side = to_unit(self.labels, self.labels)
        self.unit_found, _ = to_unit(found, self.labels)


def _distance(a: StyleFit, b: StyleFit, seen: _Part, eyes: tuple[int, int] | None) -> float:
    """Return how far two styles put the same faces' points apart, in percent of the inter-ocular distance, else of the box."""
    points = seen.unit_found
    apart = np.linalg.norm(a(points) - b(points), axis=-1).mean(1)
    if eyes is not None:
        apart = apart / np.linalg.norm(points[:, eyes[0]] - points[:, eyes[1]], axis=-1)
    return 100 * float(apart.mean())


if __name__ == "__main__":
    main()
