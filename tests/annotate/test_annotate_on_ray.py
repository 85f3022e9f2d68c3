"""Ray Data gives the same rows as the local engine, also where an actor is killed in the middle."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from annotate_results import Heard, here, rows
from light_predictor import BAD, DEADLY, NONE, ONCE, ONCE_DEADLY

from fiducia.annotate.job import Job
from fiducia.annotate.on_ray import require_ray, run_ray
from fiducia.annotate.run import annotate
from fiducia.errors import UsageError

Write = Callable[[Sequence[int]], Path]


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_rows_are_equal_and_a_killed_actor_loses_nothing(
    photographs: Write, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray.data", reason="needs the extra ray")
    monkeypatch.setenv(ONCE, str(tmp_path / "once"))
    heights = [40, 40, BAD, 40, NONE, 40, ONCE_DEADLY, 40, 40, 40, DEADLY, 40]
    folder = photographs(heights)
    heard = Heard()
    annotate([str(folder)], job, lambda job, chunks: run_ray(job, chunks, 2), heard, 3)
    assert sorted(report.number for report in heard.reports) == [0, 1, 2, 3]
    found = rows(job.out, "photographs")
    assert [row["position"] for row in found] == list(range(12))
    assert [row["status"] for row in found] == ["failed" if h in (BAD, DEADLY) else "done" for h in heights]
    assert (tmp_path / "once").exists()
    # The local engine, without the photograph that would kill this process.
    other = replace(job, out=f"{job.out}2")
    annotate([f"{folder}/00*.png"], other, here, Heard(), 3)
    for table in ("faces", "photographs"):
        found, same = ([row for row in rows(out, table) if row["position"] < 9] for out in (job.out, other.out))
        assert found == same


def test_without_ray_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(
        UsageError, match=r"--engine ray needs Ray Data .*; install the extra: pip install 'fiducia\[ray\]'"
    ):
        require_ray()


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_one_line(job: Job) -> None:
    pytest.importorskip("ray.data", reason="needs the extra ray")
    with pytest.raises(UsageError, match="--address auto: Ray does not start"):
        next(run_ray(job, [], 1, "auto"))
