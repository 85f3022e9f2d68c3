"""Drawn faces under review, with a prediction that is nearly right: no network is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fiducia.data.source import label_writers, load_records
from fiducia.evaluation.found import Found
from fiducia.structures import Record

NAMES = {"coco": "faces.json", "csv": "faces.csv", "cvat": "faces.xml", "labelstudio": "tasks.json", "pts": "faces"}
PLANTED = 3
"""The face whose label is wrong: an eye corner and a mouth corner have changed places."""
SWAPPED = (36, 48)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """Return six drawn faces with right labels; one point of the first is occluded."""
    records = load_records(f"synthetic:6@{tmp_path_factory.mktemp('drawn')}", "train")
    visible = np.full(68, 2, dtype=np.int8)
    visible[8] = 1
    return [replace(records[0], visible=visible), *(replace(r, visible=np.full(68, 2, np.int8)) for r in records[1:])]


def guess(truth: Sequence[Record]) -> Callable[[Sequence[Record]], tuple[Found, dict[int, str]]]:
    """Return what stands for a network: the truth of each face with a little noise."""

    def predict(records: Sequence[Record]) -> tuple[Found, dict[int, str]]:
        by_id = {record.id: record for record in truth}
        noise = np.random.default_rng(0).normal(scale=0.4, size=(len(records), 68, 2))
        xy = np.stack([by_id[record.id].xy for record in records]) + noise
        ones = np.ones(xy.shape[:2])
        return Found(xy, ones, np.full(len(records), 0.9), ones), {}

    return predict


def planted(truth: Sequence[Record]) -> list[Record]:
    """Return the faces with one wrong label."""
    xy = truth[PLANTED].xy.copy()
    xy[list(SWAPPED)] = xy[list(SWAPPED[::-1])]
    faces = list(truth)
    faces[PLANTED] = replace(faces[PLANTED], xy=xy)
    return faces


def written(folder: Path, form: str, records: Sequence[Record]) -> Path:
    """Write faces in a format, and return the file or directory."""
    path = folder / NAMES[form]
    label_writers[form](path, records)
    return path


@contextmanager
def serving(review: Any) -> Iterator[str]:
    """Serve a review in a thread, and give its address with the token."""
    from fiducia.review.app import make_review_app
    from fiducia.serve.access import Access, bind
    from fiducia.serve.limits import Limits
    from fiducia.serve.server import make_server

    listener = bind("127.0.0.1", 0, "")
    server = make_server(make_review_app(review, Access("token-of-this-test")), Limits())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    started = threading.Event()
    for _ in range(3000):
        if server.started or not thread.is_alive():
            break
        started.wait(0.01)
    assert server.started
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/#token-of-this-test"
    finally:
        server.should_exit = True
        thread.join(30)
    assert not thread.is_alive()
