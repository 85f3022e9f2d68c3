"""One thread computes what arrives together; admission counts requests, bytes and pixels."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError

import pytest

from fiducia.errors import UsageError
from fiducia.serve.batching import Batcher
from fiducia.serve.gate import ARRIVING, Budget, Gate
from fiducia.serve.limits import Limits, Problem


class Slow:
    """Doubles numbers, remembers its batches, and can be held."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.free = threading.Event()
        self.free.set()
        self.begun = threading.Event()

    def __call__(self, key: str, items: Sequence[int]) -> list[int]:
        self.batches.append((key, list(items)))
        self.begun.set()
        assert self.free.wait(10)
        if 13 in items:
            raise ValueError("unlucky")
        return [2 * item for item in items]


def test_what_gathers_while_a_batch_is_computed_is_the_next_batch() -> None:
    work = Slow()
    work.free.clear()
    weights: list[int] = []
    batcher = Batcher(work, most=4, on_batch=weights.append)
    first = batcher.submit("a", 1)
    assert work.begun.wait(10)
    others = [batcher.submit(key, item) for key, item in (("a", 2), ("b", 3), ("a", 4), ("a", 5))]
    assert batcher.waiting == 4
    work.free.set()
    assert [first.result(10), *(one.result(10) for one in others)] == [2, 4, 6, 8, 10]
    assert work.batches == [("a", [1]), ("a", [2, 4, 5]), ("b", [3])]
    assert weights == [1, 3, 1]
    batcher.close()
    assert not batcher.alive
    with pytest.raises(RuntimeError):
        batcher.submit("a", 1)


def test_a_batch_is_full_by_weight_and_an_item_is_never_split() -> None:
    work = Slow()
    work.free.clear()
    batcher = Batcher(work, most=4)
    futures = [batcher.submit("a", 0)]
    assert work.begun.wait(10)
    futures += [batcher.submit("a", item, weight) for item, weight in ((1, 3), (2, 9), (3, 1))]
    work.free.set()
    for one in futures:
        one.result(10)
    assert work.batches == [("a", [0]), ("a", [1, 3]), ("a", [2])]
    batcher.close()


def test_an_idle_server_does_not_wait() -> None:
    batcher = Batcher(Slow(), delay=5.0)
    start = time.monotonic()
    assert batcher.submit("a", 4).result(10) == 8
    assert time.monotonic() - start < 1
    batcher.close()


def test_a_batch_waits_for_what_is_coming_and_no_longer_than_the_delay() -> None:
    work = Slow()
    batcher = Batcher(work, delay=5.0)
    with batcher.coming() as submit:
        first = batcher.submit("a", 1)
        time.sleep(0.05)
        assert not first.done(), "another item is on its way"
        second = submit("a", 2, 1)
        assert (first.result(1), second.result(1)) == (2, 4), "nothing is on its way any more"
    assert work.batches == [("a", [1, 2])]
    with batcher.coming():
        third = batcher.submit("a", 3)
        time.sleep(0.05)
        assert not third.done()
    assert third.result(1) == 6, "what was on its way does not come"
    start = time.monotonic()
    assert batcher.submit("a", 4).result(1) == 8
    assert time.monotonic() - start < 0.5
    batcher.close()
    short = Batcher(work, delay=0.02)
    with short.coming():
        assert short.submit("a", 3).result(5) == 6, "what is coming takes too long"
    short.close()


def test_an_item_that_fails_does_not_spoil_the_others() -> None:
    work = Slow()
    batcher = Batcher(work, delay=5.0)
    with batcher.coming():
        futures = [batcher.submit("a", item) for item in (1, 13, 2)]
    assert futures[0].result(10) == 2
    with pytest.raises(ValueError, match="unlucky"):
        futures[1].result(10)
    assert futures[2].result(10) == 4
    assert batcher.submit("a", 5).result(10) == 10
    batcher.close()


def test_what_is_cancelled_before_its_turn_is_not_computed() -> None:
    work = Slow()
    work.free.clear()
    batcher = Batcher(work)
    batcher.submit("a", 1)
    assert work.begun.wait(10)
    kept, left = batcher.submit("a", 2), batcher.submit("a", 3)
    assert left.cancel()
    work.free.set()
    batcher.close()
    assert kept.result(0) == 4
    assert work.batches == [("a", [1]), ("a", [2])]
    with pytest.raises(CancelledError):
        left.result(0)


def test_the_gate_counts_requests_and_bytes() -> None:
    gate = Gate(Limits(queue=2, max_bytes=100, max_buffered=150))
    with gate.arrive() as first, gate.arrive() as second, gate.arrive() as third:
        first.hold(90)
        with pytest.raises(Problem, match="larger than 100 bytes") as problem:
            first.hold(11)
        assert (problem.value.status, problem.value.limit) == (413, "bytes")
        with pytest.raises(Problem, match="too large together") as problem:
            second.hold(61)
        assert (problem.value.status, problem.value.limit) == (429, "queue")
        with first.work(), second.work():
            with pytest.raises(Problem, match="2 requests are in work") as problem, third.work():
                pass
            with pytest.raises(Problem, match="2 requests are in work"), gate.arrive():
                pass
        assert 1 <= int(problem.value.headers["retry-after"]) <= 60
        with third.work():
            assert gate.inside == 1
    assert (gate.inside, gate.arriving, gate.buffered) == (0, 0, 0)
    with contextlib.ExitStack() as stack:
        for _ in range(2 * ARRIVING):
            stack.enter_context(gate.arrive())
        with pytest.raises(Problem, match="are being sent"), gate.arrive():
            pass


def test_a_budget_lends_in_order_and_takes_back_from_who_gives_up() -> None:
    async def run() -> list[str]:
        budget = Budget(10)
        order: list[str] = []
        release = asyncio.Event()

        async def use(name: str, amount: int) -> None:
            async with budget.lend(amount):
                order.append(name)
                await release.wait()

        tasks = [asyncio.create_task(use(name, amount)) for name, amount in (("a", 6), ("b", 6), ("c", 3), ("d", 99))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == ["a"], "c would fit, but it is not its turn"
        tasks[1].cancel()
        release.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert budget.free == 10
        return order

    assert asyncio.run(run()) == ["a", "c", "d"]


def test_an_item_that_comes_alone_is_computed_where_it_is_and_others_wait_for_it() -> None:
    threads: list[str] = []
    gate, begun = threading.Event(), threading.Event()

    def compute(key: str, items: Sequence[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        begun.set()
        if items == [1]:
            gate.wait(30)
        return list(items)

    batcher: Batcher[int, int] = Batcher(compute)

    def alone() -> None:
        with batcher.coming() as submit:
            assert submit("a", 1, 1).done()

    own = threading.Thread(target=alone, name="own")
    own.start()
    assert begun.wait(30)
    late = [batcher.submit("a", n) for n in (2, 3)]
    assert not any(future.done() for future in late)
    gate.set()
    assert [future.result(30) for future in late] == [2, 3]
    own.join()
    batcher.close()
    assert threads[0] == "own"
    assert set(threads[1:]) == {"network"}


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(seconds: float) -> None:
    with pytest.raises(UsageError, match=r"--max-seconds .*: expected a finite number above 0"):
        Limits(max_seconds=seconds)
