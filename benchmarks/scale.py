"""What each stage of annotating and of training costs, and whether costs add up: predicted and measured time for 1 and 2 workers.

    python benchmarks/scale.py [--photos DIR] [--unit 3] [--faces 8] [--tries 1] [--json FILE]

1. Each stage is timed alone, on one thread, in seconds of processor time an item; the least of some tries counts.
2. The model: a worker's time = sum over stages of its items x cost of the stage, and its calls of the network x cost of a call.
   Items are shared evenly.
3. The check: workers are processes of their own that begin together. Their processor time (of the slowest worker) for 1, 10 and
   100 times the work is compared with the model. It is what wall time would be if each worker had a core of its own.

Other programs on the machine make a core slower, at times by more than a third. So a fixed computation, the yardstick, runs between
the items, and its time says how fast the core was: "corrected" is the model times the mean yardstick of the run over that of the
stages.

Annotating is a ``Predictor`` with a detector, and JSON written per photograph. Training is ``FaceStream`` on shards and a step of
a small network without an exchange of gradients. The stages of the recipe ``fifa_tiny`` are timed too. Without ``--photos`` the
photographs are ``assets/astronaut.jpg`` in three sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SIZES = (512, 1024, 2048)
MEGAPIXELS = (1, 4, 12)
BATCH = 4
SMALL = [
    "data.size=64",
    "data.val_fraction=0",
    "data.shuffle_buffer=32",
    "data.interleave=4",
    "model.options.backbone={width=32, heads=2, depth=3, stem_base=8}",
    "model.options.hourglass={channels=16}",
    "train.batch_size=4",
]


class Yardstick:
    """A fixed computation of some milliseconds; its times tell how fast the core is."""

    def __init__(self) -> None:
        import numpy as np

        self._a = np.random.default_rng(0).random((256, 256), dtype=np.float32)
        self._b = np.random.default_rng(0).integers(0, 256, (640, 640, 3), dtype=np.uint8)
        self.times: list[float] = []
        self.last = 0.0

    def __call__(self) -> None:
        import cv2

        started = time.process_time()
        for _ in range(4):
            self._a @ self._a
        cv2.resize(self._b, (320, 320), interpolation=cv2.INTER_AREA)
        cv2.GaussianBlur(self._b, (0, 0), 1.5)
        self.last = time.process_time()
        self.times.append(self.last - started)

    def between(self) -> None:
        """Run it if a tenth of a second has passed since the last time."""
        if time.process_time() - self.last > 0.1:
            self()

    @property
    def mean(self) -> float:
        return sum(self.times) / len(self.times)


YARD = Yardstick()


def least(work: Callable[[], object], tries: int = 5) -> float:
    """Return the least processor time of a call, after one that does not count."""
    work()
    times = []
    for _ in range(tries):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
        YARD()
    return min(times)


# Stages, each alone


def annotating_stages(photos: Sequence[Path], folder: Path) -> dict[str, float]:
    """Return seconds a photograph, or a face, of each stage of annotating."""
    import numpy as np

    from fiducia.files import read_bytes, write_atomic
    from fiducia.geometry import box_to_crop
    from fiducia.images import crop, read_image

    predictor = open_predictor()
    data = [read_bytes(path, 1 << 30) for path in photos]
    images = [read_image(one) for one in data]
    detector: Any = predictor.detector
    found = [detector(image) for image in images]
    boxes = [(image, one.box) for image, faces in zip(images, found, strict=True) for one in faces]
    size = predictor.runtime.size
    warps = [(image, box_to_crop(box, size, predictor.scale)) for image, box in boxes]
    crops = np.stack([crop(image, warp, size).transpose(2, 0, 1) for image, warp in islice(cycle(warps), 32)])
    faces = list(predictor.stream(photos))

    def write() -> None:
        for i, one in enumerate(faces):
            write_atomic(folder / f"{i}.json", json.dumps(one.to_dict()).encode())

    n = len(photos)
    one, many = least(lambda: predictor.runtime(crops[:1])), least(lambda: predictor.runtime(crops), 3)
    each = (many - one) / (len(crops) - 1)
    return {
        "read": least(lambda: [read_bytes(path, 1 << 30) for path in photos]) / n,
        "decode": least(lambda: [read_image(one) for one in data]) / n,
        "detect": least(lambda: [detector(image) for image in images], 3) / n,
        "crop": least(lambda: [crop(image, warp, size) for image, warp in warps]) / len(warps),
        "network": each,
        "call": max(0.0, one - each),
        "write": least(write) / n,
        "faces": len(boxes) / n,
        "megapixels": sum(image.shape[0] * image.shape[1] for image in images) / n / 1e6,
        "megabytes": sum(map(len, data)) / n / 1e6,
    }


def training_stages(source: str, recipe_name: str, sets: Sequence[str], batch_size: int) -> dict[str, float]:
    """Return seconds a face of each stage of training (both views together), and of a step of ``batch_size`` faces."""
    import numpy as np

    from fiducia.data.dataset import collate
    from fiducia.images import cut_patch, read_image

    stream, step = trainer(source, recipe_name, sets)
    part = stream.faces.parts[0]
    n = min(16, len(part.rows))
    records = part.records(np.arange(n))

    def read() -> list[bytes]:
        with part.block.open() as opened:
            return [opened(record) for record in records]

    data = read()
    images = [read_image(one) for one in data]

    def views(i: int) -> Any:
        patch = cut_patch(images[i], *stream.views.reach(records[i]))
        return stream.views(records[i], patch, rng=np.random.default_rng([0, 1, i]), epoch=1, index=i)

    batch = collate([views(i % n) for i in range(batch_size)])
    step(batch)
    return {
        "read": least(read) / n,
        "labels": least(lambda: part.records(np.arange(n))) / n,
        "decode": least(lambda: [read_image(one) for one in data]) / n,
        "views": least(lambda: [views(i) for i in range(n)]) / n,
        "collate": least(lambda: collate([views(i % n) for i in range(batch_size)])) / batch_size
        - least(lambda: [views(i % n) for i in range(batch_size)]) / batch_size,
        "step": least(lambda: step(batch), 4) / batch_size,
        "start": choosing(),
        "order": least(lambda: stream.order(1).lane(0)) / max(1, len(stream)) * stream.lanes,
        "megabytes": sum(map(len, data)) / n / 1e6,
    }


def choosing() -> float:
    """Return seconds a face to choose the training faces when a run starts; 2,000 faces in one shard."""
    from dataclasses import replace

    from fiducia.data.shards.pack import pack
    from fiducia.data.source import load_records
    from fiducia.recipes.sections import DataConfig
    from fiducia.training.faces import split_records

    with tempfile.TemporaryDirectory() as folder:
        face = load_records(f"synthetic:1@{folder}", "train")[0]
        many = [replace(face, tags={"id": f"train/{i:07d}", "photo": f"train/{i:07d}"}) for i in range(2000)]
        pack(many, Path(folder) / "shards", source="synthetic", split="train")
        data = DataConfig(source=f"shards:{folder}/shards", val_fraction=0)
        return least(lambda: split_records(data), 3) / len(many)


def decoding(asset: Path) -> dict[str, float]:
    """Return seconds to decode JPEGs of several sizes in megapixels."""
    import cv2

    from fiducia.images import read_image

    image, found = cv2.imread(str(asset)), {}
    for megapixels in MEGAPIXELS:
        side = int((megapixels * 1e6) ** 0.5)
        data = cv2.imencode(".jpg", cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC))[1].tobytes()
        found[str(megapixels)] = least(lambda data=data: read_image(data), 3)  # type: ignore[misc]
    return found


def open_predictor() -> Any:
    from fiducia.detectors.registry import get_detector
    from fiducia.predict.predictor import Predictor
    from fiducia.runtimes.opening import open_runtime
    from fiducia.weights.store import load_card

    runtime, _ = open_runtime("fifa_tiny", "torch", "cpu")
    return Predictor(runtime, get_detector("auto"), scale=load_card("fifa_tiny").scale, passes=1)


def trainer(
    source: str, recipe_name: str, sets: Sequence[str], rank: int = 0, world: int = 1
) -> tuple[Any, Callable[[Any], None]]:
    """Return a stream of training faces, and what takes a step with a batch."""
    import torch

    from fiducia.augment.views import TrainViews
    from fiducia.data.stream import FaceStream
    from fiducia.recipes.files import load_recipe
    from fiducia.training.ema import EMA
    from fiducia.training.faces import split_records, training_supply
    from fiducia.training.optim import build_optimizer
    from fiducia.training.setup import build_network, build_objective, resolve

    recipe = resolve(
        load_recipe(recipe_name, [f'data.source="{source}"', 'data.split="all"', "data.exclude=[]", *sets])
    )
    faces = split_records(recipe.data)
    torch.manual_seed(0)
    model = build_network(recipe, faces.scheme)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = build_objective(recipe, faces.scheme, model)
    optimizer = build_optimizer(model, objective.parameters(), recipe.optim)
    ema = EMA(model, recipe.optim.ema)
    views = TrainViews(recipe.data, recipe.augment, faces.scheme, recipe.train.epochs)
    stream = training_supply(faces.training, views, recipe.data, recipe.train)
    assert isinstance(stream, FaceStream)
    model.train()

    def step(batch: Any) -> None:
        loss, _ = objective(model(batch.images.flatten(0, 1)), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optim.clip)
        optimizer.step()
        ema.update(model)

    return stream, step


# Workers


def endless(stream: Any, rank: int, world: int) -> Iterator[Any]:
    epoch = 1
    while True:
        yield from stream.batches(batch_size=BATCH * world, epoch=epoch, rank=rank, world=world)
        epoch += 1


def child(kind: str, rank: int, world: int, place: str) -> None:
    """Do a worker's share of as many items as each line of standard input says, and print what it took."""
    import torch

    from fiducia.files import write_atomic
    from fiducia.training.fabric import keep_memory

    torch.set_num_threads(1)
    work: Callable[[int], None]
    if kind == "annotate":
        photos = sorted(Path(place).glob("*.jpg"))
        predictor = open_predictor()
        out = Path(tempfile.mkdtemp(dir=place))
        # torch prepares itself for each new size of batch.
        for size in (len(photos), 10 * len(photos), 40):
            list(predictor.stream(islice(cycle(photos), size)))

        def work(items: int) -> None:
            own = list(islice(cycle(photos), items))[rank::world]
            for i, faces in enumerate(predictor.stream(own)):
                write_atomic(out / f"{i}.json", json.dumps(faces.to_dict()).encode())
                YARD.between()
    else:
        keep_memory()
        stream, step = trainer(place, "smoke", SMALL)
        for batch in islice(endless(stream, rank, world), 3):
            step(batch)

        def work(items: int) -> None:
            for batch in islice(endless(stream, rank, world), items // (BATCH * world)):
                step(batch)
                YARD.between()

    print("ready", flush=True)
    for line in sys.stdin:
        YARD.times.clear()
        YARD()
        wall, processor, before = time.perf_counter(), time.process_time(), len(YARD.times)
        work(int(line))
        taken = time.process_time() - processor - sum(YARD.times[before:])
        told = {"wall": time.perf_counter() - wall, "processor": taken}
        YARD()
        told["yard"] = YARD.mean
        print(json.dumps(told), flush=True)


class Workers:
    """Processes that work at the same time."""

    def __init__(self, kind: str, world: int, place: str) -> None:
        command = [sys.executable, __file__, "--child", kind, "--world", str(world), "--place", place]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.running = [
            subprocess.Popen(
                [*command, "--rank", str(rank)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            for rank in range(world)
        ]
        for line in self._lines():
            assert line == "ready\n", "a worker did not start"

    def __call__(self, items: int) -> dict[str, float]:
        """Share the items; return the wall and the processor time of the slowest."""
        for one in self.running:
            assert one.stdin is not None
            one.stdin.write(f"{items}\n")
            one.stdin.flush()
        told = [json.loads(line) for line in self._lines()]
        return max(told, key=lambda one: one["processor"])

    def close(self) -> None:
        for one in self.running:
            one.communicate()

    def _lines(self) -> list[str]:
        lines = []
        for one in self.running:
            assert one.stdout is not None
            lines.append(one.stdout.readline())
        return lines


def predicted(kind: str, items: int, world: int, cost: dict[str, float]) -> float:
    """Return the processor seconds of a worker's share by the model."""
    share = -(-items // world)
    if kind == "annotate":
        each = sum(cost[stage] for stage in ("read", "decode", "detect", "write"))
        calls = -(-share * cost["faces"] // 32)
        return share * (each + cost["faces"] * (cost["crop"] + cost["network"])) + calls * cost["call"]
    return share * sum(cost[stage] for stage in ("read", "labels", "decode", "views", "collate", "step", "order"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a directory of JPEGs, of which the first 40 by name are used")
    parser.add_argument("--unit", type=int, default=3, help="photographs of the smallest piece of work")
    parser.add_argument(
        "--faces", type=int, default=8, help="training faces of the smallest piece of work; a multiple of 8"
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--tries", type=int, default=1, help="of each check; the least counts")
    parser.add_argument("--only", nargs="+", default=["annotate", "train"], choices=["annotate", "train"])
    parser.add_argument("--json", type=Path)
    for hidden, kind in (("--child", str), ("--rank", int), ("--world", int), ("--place", str)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.rank, options.world, options.place)
        return
    import cv2
    import torch

    from fiducia.data.shards.pack import pack
    from fiducia.data.source import load_records

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    asset = HERE.parent / "assets" / "astronaut.jpg"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        for number, path in enumerate(sorted(options.photos.rglob("*.jpg"))[:40] if options.photos else ()):
            (folder / "photos" / f"{number}.jpg").write_bytes(path.read_bytes())
        for side in () if options.photos else SIZES:
            picture = cv2.resize(cv2.imread(str(asset)), (side, side), interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / "photos" / f"{side}.jpg"), picture)
        records = load_records(f"synthetic:64@{folder / 'drawn'}", "train")
        pack(records, folder / "shards", source="synthetic", split="train", shard_bytes=2 << 20)
        shards = f"shards:{folder / 'shards'}"
        photos = sorted((folder / "photos").glob("*.jpg"))
        (folder / "out").mkdir()
        costs = {
            "annotate": annotating_stages(photos, folder / "out"),
            "train": training_stages(shards, "smoke", SMALL, BATCH),
            "fifa_tiny": training_stages(shards, "fifa_tiny", ["data.val_fraction=0"], 16),
        }
        jpeg = decoding(asset)
        yard = min(YARD.times)
        rows = []
        for kind, unit, place in (("annotate", options.unit, str(folder / "photos")), ("train", options.faces, shards)):
            for world in (1, 2) if kind in options.only else ():
                workers = Workers(kind, world, place)
                for times in options.times:
                    found = [workers(unit * times) for _ in range(options.tries if times > 1 else 3 * options.tries)]
                    best = min(found, key=lambda one: one["processor"])
                    model = predicted(kind, unit * times, world, costs[kind])
                    slower = best["yard"] / yard
                    row = {
                        "kind": kind,
                        "workers": world,
                        "times": times,
                        "predicted": model,
                        "corrected": model * slower,
                        **best,
                    }
                    rows.append({**row, "error": model * slower / best["processor"] - 1})
                workers.close()
    for kind, stages in costs.items():
        print(f"\n{kind}: milliseconds of processor time an item")
        for stage, value in stages.items():
            unit = "" if stage in ("faces", "megapixels", "megabytes") else " ms"
            print(f"  {stage:<12}{value * (1000 if unit else 1):9.3f}{unit}")
    print("\ndecode a JPEG: " + ", ".join(f"{size} Mpx {1000 * value:.1f} ms" for size, value in jpeg.items()))
    print(
        "\n| work | workers | times | predicted s | corrected s | measured s (processor) | error of corrected | wall s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        numbers = " | ".join(f"{row[key]:.3f}" for key in ("predicted", "corrected", "processor"))
        print(
            f"| {row['kind']} | {row['workers']} | {row['times']} | {numbers} | {100 * row['error']:+.1f} % | {row['wall']:.1f} |"
        )
    if options.json:
        options.json.write_text(json.dumps({"costs": costs, "jpeg": jpeg, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
