"""Video: flicker, lag, changes of identity, error, speed and memory, on clips made of still photographs with known motion.

    python benchmarks/video.py [--data 300w:ROOT --split train --faces 8] [--parts steady,cross,speed,memory] [--json FILE]
                               [--weights fifa_tiny] [--runtime openvino] [--save DIR]

Each clip is one photograph, moved by a known similarity in every frame and covered with sensor noise, so every frame has
true points: the photograph's labels (with --data), or the points that the network gives on the still photograph. An error
of the network that stays the same in every frame counts in NME, not in flicker and lag.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import fiducia
from fiducia.geometry import affine_apply, tight_box
from fiducia.images import read_image
from fiducia.metrics.functional import nme
from fiducia.metrics.video import flicker, identities, lag

RATE = 30
WIDTH, HEIGHT = 1280, 720
NOISE = 4.0
"""Standard deviation of the sensor noise, in grey levels of 255."""
ROOT = Path(__file__).parents[1]


@dataclass
class Still:
    """A photograph with the points of one face."""

    name: str
    image: np.ndarray
    xy: np.ndarray
    scheme: str


def stills(arguments: argparse.Namespace, predictor: Any) -> list[Still]:
    """Return photographs with their points."""
    if not arguments.data:
        image = read_image(ROOT / "assets" / "astronaut.jpg")
        face = predictor(image)[0]
        return [Still("astronaut", image, face.xy.astype(float), face.scheme.name)]
    records = fiducia.load_records(arguments.data, arguments.split)
    chosen: list[Still] = []
    for record in records[:: max(1, len(records) // (3 * arguments.faces))]:
        image = read_image(record.image)
        faces = predictor(image)
        # One large face alone, so that the true number of faces is known.
        if len(faces) == 1 and np.ptp(record.xy, axis=0).max() > 90:
            chosen.append(Still(record.id, image, record.xy, record.scheme))
        if len(chosen) == arguments.faces:
            break
    return chosen


def frame_of(still: Still, move: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the photograph under a similarity photograph → frame, with noise."""
    picture = cv2.warpAffine(still.image, move, (WIDTH, HEIGHT), flags=cv2.INTER_AREA, borderValue=(110, 115, 120))
    return noisy(picture, rng)


@cache
def noise_field() -> np.ndarray:
    """Return one large field of noise, int16, from which every frame takes its own part."""
    noise = np.random.default_rng(1).standard_normal((HEIGHT, WIDTH, 3), dtype=np.float32)
    # Noise of half the resolution is what a camera's own processing leaves, and is worse to the network than white noise.
    noise = cv2.resize(noise, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR) * (NOISE / 0.62)
    return np.rint(noise).astype(np.int16)


def noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a frame with sensor noise."""
    y, x = int(rng.integers(0, HEIGHT)), int(rng.integers(0, WIDTH))
    summed = cv2.add(picture.astype(np.int16), noise_field()[y : y + HEIGHT, x : x + WIDTH])
    return np.clip(summed, 0, 255).astype(np.uint8)


def similarity(still: Still, centre: tuple[float, float], size: float, angle: float) -> np.ndarray:
    """Return the similarity that puts the face's box at ``centre``, with ``size`` pixels, turned by ``angle``."""
    x1, y1, x2, y2 = tight_box(still.xy)
    scale = size / np.sqrt((x2 - x1) * (y2 - y1))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    middle = np.array([(x1 + x2) / 2, (y1 + y2) / 2])
    turn = np.array([[c, -s], [s, c]])
    return np.concatenate([turn, (np.array(centre) - turn @ middle)[:, None]], axis=1)


def rest(still: Still, count: int) -> list[np.ndarray]:
    return [similarity(still, (640, 360), 180, 0.0)] * count


def swing(still: Still, count: int, speed: float) -> list[np.ndarray]:
    """Return a face that goes to and fro, nods and turns, at most at ``speed`` face sizes a second."""
    t = np.arange(count) / RATE
    hz = 0.6
    reach = speed * 180 / (2 * np.pi * hz)
    return [
        similarity(
            still,
            (640 + reach * np.sin(2 * np.pi * hz * u), 360 + 0.3 * reach * np.sin(2 * np.pi * 0.83 * u)),
            180 * (1 + 0.1 * np.sin(2 * np.pi * 0.4 * u)),
            0.15 * np.sin(2 * np.pi * 0.5 * u),
        )
        for u in t
    ]


def tracked(predictor: Any, still: Still, moves: list[np.ndarray], smooth: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the points found ``(T, K, 2)``, nan where there is no face, and the true ones."""
    rng = np.random.default_rng(0)
    follow = predictor.tracker(smooth=smooth)
    found, true = [], []
    for i, move in enumerate(moves):
        faces = follow(frame_of(still, move, rng), i / RATE)
        true.append(affine_apply(move, still.xy))
        near = [f for f in faces if np.linalg.norm(f.xy.mean(axis=0) - true[-1].mean(axis=0)) < 90]
        found.append(near[0].xy if near else np.full(true[-1].shape, np.nan))
    return np.array(found, dtype=float), np.array(true)


def steady(predictor: Any, faces: list[Still], seconds: float) -> dict[str, Any]:
    """Measure flicker at rest, lag and error in motion, with and without the filter."""
    count = round(seconds * RATE)
    rows: dict[str, list[float]] = {}
    for still in faces:
        for word, smooth in (("raw", False), ("smooth", True)):
            found, true = tracked(predictor, still, rest(still, count), smooth)
            rows.setdefault(f"flicker at rest, {word}, % of the face", []).append(flicker(found[5:], 180.0))
            for speed in (0.5, 1.5):
                found, true = tracked(predictor, still, swing(still, count, speed), smooth)
                rows.setdefault(f"lag at {speed} faces/s, {word}, frames", []).append(lag(found, true))
                own = f"NME at {speed} faces/s, {word}, %"
                rows.setdefault(own, []).append(100 * float(nme(found, true, scheme=still.scheme)))
                rows.setdefault(f"frames without a face, {word}", []).append(int(np.isnan(found[:, 0, 0]).sum()))
    return {name: round(float(np.mean(values)), 4) for name, values in rows.items()}


def cutout(still: Still, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a head cut out of its photograph, its mask, and its points, for a face of ``size`` pixels."""
    side = round(2.6 * size)
    move = similarity(still, (side / 2, side / 2 + 0.15 * size), size, 0.0)
    picture = cv2.warpAffine(still.image, move, (side, side), flags=cv2.INTER_AREA, borderValue=(110, 115, 120))
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (round(0.36 * side), round(0.46 * side)), 0, 0, 360, 1.0, -1)
    return picture, cv2.GaussianBlur(mask, (0, 0), 0.02 * side), affine_apply(move, still.xy)


def paste(canvas: np.ndarray, picture: np.ndarray, mask: np.ndarray, x: float, y: float) -> None:
    """Lay a head over a frame; its upper left corner is at (x, y)."""
    move = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    placed = cv2.warpAffine(picture, move, (WIDTH, HEIGHT))
    alpha = cv2.warpAffine(mask, move, (WIDTH, HEIGHT))[..., None]
    canvas[:] = canvas * (1 - alpha) + placed * alpha


def crossing(predictor: Any, first: Still, second: Still, seconds: float, save: Path | None) -> dict[str, Any]:
    """Let two faces pass each other, one behind the other, and count changes of identity."""
    rng = np.random.default_rng(0)
    heads = [cutout(first, 150), cutout(second, 140)]
    count = round(seconds * RATE)
    follow = predictor.tracker()
    record: tuple[list[Any], ...] = ([], [], [], [])
    if save:
        save.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        u = i / (count - 1)
        canvas = np.full((HEIGHT, WIDTH, 3), (120, 125, 130), np.float32)
        places = [(40 + 800 * u, 170 + 12 * np.sin(9 * u)), (840 - 800 * u, 185.0)]
        boxes, names = [], []
        for number in (1, 0):
            picture, mask, xy = heads[number]
            paste(canvas, picture, mask, *places[number])
            boxes.append(tight_box(xy + places[number]))
            names.append(number)
        # The face behind is not counted as visible while the head before it covers its middle.
        behind, before = boxes
        gap = abs((behind[0] + behind[2]) - (before[0] + before[2])) / 2
        if gap < 150:
            boxes, names = boxes[1:], names[1:]
        image = noisy(np.clip(canvas, 0, 255).astype(np.uint8), rng)
        faces = follow(image, i / RATE)
        for kept, value in zip(record, (boxes, names, [f.box for f in faces], [f.id for f in faces]), strict=True):
            kept.append(value)
        if save and i % max(1, count // 15) == 0:
            from fiducia.draw.faces import draw_faces

            drawn = draw_faces(image, faces)
            cv2.imwrite(str(save / f"cross{i:03d}.png"), drawn[150:640, :, ::-1])
    result = identities(*record)
    numbers = len({number for frame in record[3] for number in frame})
    print(f"  {first.name} and {second.name}, {seconds} s: {result}", flush=True)
    return {
        "switches": result.switches,
        "missed": result.missed,
        "false": result.false,
        "seen": result.seen,
        "tracks": numbers,
    }


def crossings(predictor: Any, faces: list[Still], save: Path | None) -> dict[str, Any]:
    """Cross pairs of faces at two speeds; a face alone is crossed with its mirror image."""
    pairs = list(zip(faces[::2], faces[1::2], strict=False))
    if not pairs:
        (still,) = faces
        mirror = list(fiducia.get_scheme(still.scheme).mirror)
        xy = still.xy[mirror] * [-1, 1] + [still.image.shape[1] - 1, 0]
        pairs = [(still, Still("mirrored", np.ascontiguousarray(still.image[:, ::-1]), xy, still.scheme))]
    rows = [crossing(predictor, a, b, seconds, save) for a, b in pairs for seconds in (2.0, 4.0)]
    return {"clips": len(rows), **{name: sum(row[name] for row in rows) for name in rows[0]}}


def speed(predictor: Any, still: Still, tries: int) -> dict[str, Any]:
    """Measure frames a second of one tracked face at 720p; frames are made before, nothing is decoded or drawn."""
    rng = np.random.default_rng(0)
    frames = [frame_of(still, move, rng) for move in swing(still, 60, 0.5)]
    best = used = np.inf
    spent: list[float] = []
    for _ in range(tries):
        follow = predictor.tracker()
        follow(frames[0], -1.0)
        started, cpu = time.perf_counter(), time.process_time()
        own = []
        for i in range(120):
            at = time.perf_counter()
            follow(frames[i if i < 60 else 119 - i], i / RATE)
            own.append(time.perf_counter() - at)
        best = min(best, (time.perf_counter() - started) / 120)
        used = min(used, (time.process_time() - cpu) / 120)
        spent.append(float(np.median(own)))
    return {
        "frames/s": round(1 / best, 1),
        "median ms of a frame": round(1000 * min(spent), 2),
        "CPU ms of a frame, all threads": round(1000 * used, 2),
        "tries": tries,
        "detector every": 15,
    }


def memory(predictor: Any, still: Still, count: int) -> dict[str, Any]:
    """Measure the resident memory over a long video that is written and read as a file, its faces followed."""
    import tempfile

    from fiducia.video.writer import VideoWriter

    rng = np.random.default_rng(0)
    moves = swing(still, 50, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        from fractions import Fraction

        writer = VideoWriter(path, WIDTH // 2, HEIGHT // 2, Fraction(RATE), Fraction(1, RATE))
        small = [cv2.resize(frame_of(still, move, rng), (WIDTH // 2, HEIGHT // 2)) for move in moves]
        for i in range(count):
            writer.write(small[i % 50], i)
        writer.close()
        rss: list[float] = []
        for frame in predictor.video(path):
            if frame.index % (count // 10) == count // 20:
                rss.append(_resident())
    growth = rss[-1] - rss[1]
    return {
        "frames": count,
        "MiB by tenths": [round(v, 1) for v in rss],
        "growth from the second tenth on, MiB": round(growth, 1),
    }


def _resident() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="labelled photographs; without it, assets/astronaut.jpg")
    parser.add_argument("--split", default="train")
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--parts", default="steady,cross,speed,memory")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--frames", type=int, default=3000, help="of the memory part")
    parser.add_argument("--tries", type=int, default=5, help="of the speed part, the best counts")
    parser.add_argument("--weights", default="fifa_tiny")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--save", type=Path, help="write frames of the crossing there")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    predictor = fiducia.load(arguments.weights, runtime=arguments.runtime, device="cpu")
    faces = stills(arguments, predictor)
    parts = {
        "steady": lambda: steady(predictor, faces, arguments.seconds),
        "cross": lambda: crossings(predictor, faces, arguments.save),
        "speed": lambda: speed(predictor, faces[0], arguments.tries),
        "memory": lambda: memory(predictor, faces[0], arguments.frames),
    }
    result: dict[str, Any] = {"weights": arguments.weights, "runtime": arguments.runtime, "faces": len(faces)}
    for name in arguments.parts.split(","):
        result[name] = parts[name]()
        print(name)
        for key, value in result[name].items():
            print(f"  {key}: {value}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
