"""What reading a photograph costs beside OpenCV's bare decoder: ``python benchmarks/reading.py [--json FILE]``.

``--before DIR`` compares with the ``read_image`` of another checkout of this package instead, such as one of 785edbe,
before every byte was checked. Both run in turn in one process and one thread; each figure is the best of the rounds, in
the thread's own time, so that other load on the machine matters little. Pixels are compared too.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from fiducia.images import read_image

ASSETS = Path(__file__).parents[1] / "assets"


def photograph() -> np.ndarray:
    """Return a megapixel of a real photograph."""
    picture = next(path for path in sorted(ASSETS.rglob("*")) if path.suffix in (".jpg", ".png"))
    return cv2.resize(read_image(picture), (1152, 912), interpolation=cv2.INTER_AREA)


def files(pixels: np.ndarray) -> dict[str, bytes]:
    """Return the photograph as files of several kinds."""
    picture = Image.fromarray(pixels)

    def encoded(kind: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return {
        "JPEG, quality 92": encoded("JPEG", quality=92),
        "JPEG, quality 75": encoded("JPEG", quality=75),
        "JPEG, progressive": encoded("JPEG", quality=92, progressive=True),
        "PNG by Pillow": encoded("PNG"),
        "PNG by OpenCV": cv2.imencode(".png", pixels[..., ::-1])[1].tobytes(),
        "PNG, 16 bits": cv2.imencode(".png", pixels[..., ::-1].astype(np.uint16) * 257)[1].tobytes(),
        "WebP, lossy": encoded("WEBP", quality=90),
        "TIFF, deflate": encoded("TIFF", compression="tiff_adobe_deflate"),
        "TIFF, LZW": encoded("TIFF", compression="tiff_lzw"),
    }


def bare(data: bytes) -> np.ndarray:
    """Decode without any check."""
    pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)


def of_checkout(folder: Path) -> Callable[[bytes], np.ndarray]:
    """Return the ``read_image`` of another checkout; what is imported of this one stays in use here."""
    here = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "fiducia"}
    sys.path.insert(0, str(folder / "src"))
    try:
        module = "fiducia.images" if (folder / "src/fiducia/images").is_dir() else "fiducia.data.images"
        read: Callable[[bytes], np.ndarray] = importlib.import_module(module).read_image
    finally:
        sys.path.pop(0)
        for name in [name for name in sys.modules if name.partition(".")[0] == "fiducia"]:
            del sys.modules[name]
        sys.modules.update(here)
    return read


def best(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the least seconds of each call; the calls take turns."""
    least = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            start = time.thread_time()
            call()
            least[i] = min(least[i], time.thread_time() - start)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--before", type=Path, metavar="DIR", help="another checkout to compare with")
    options = parser.parse_args()
    other = of_checkout(options.before) if options.before else bare
    title = "before" if options.before else "OpenCV alone"
    cv2.setNumThreads(1)
    results: dict[str, Any] = {}
    print(f"| one megapixel | {title}, ms | fiducia, ms | difference | pixels |\n|---|---|---|---|---|")
    for name, data in files(photograph()).items():
        theirs, ours = best([lambda d=data: other(d), lambda d=data: read_image(d)], options.rounds)  # type: ignore[misc]
        away = int(np.abs(read_image(data).astype(int) - other(data)).max())
        results[name] = {f"{title} ms": 1000 * theirs, "fiducia_ms": 1000 * ours, "largest_difference": away}
        same = "equal" if away == 0 else f"{away} apart"
        print(f"| {name} | {1000 * theirs:.1f} | {1000 * ours:.1f} | {100 * (ours / theirs - 1):+.0f} % | {same} |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
