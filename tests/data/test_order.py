"""The order of a stream: every face once, the same whoever reads it, and read forwards."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fiducia.data.order import EpochOrder


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    lanes=st.integers(1, 7),
    buffer=st.integers(1, 40),
    epoch=st.integers(1, 3),
)
def test_every_face_comes_once_and_is_read_before_it_is_due(
    counts: list[int], lanes: int, buffer: int, epoch: int
) -> None:
    order = EpochOrder(counts, 5, epoch, lanes, buffer)
    n = sum(counts)
    assert sorted(order.indices().tolist()) == list(range(n))
    sizes = []
    for number in range(lanes):
        lane = order.lane(number)
        sizes.append(len(lane.faces))
        assert sorted(lane.leaves.tolist()) == list(range(len(lane.faces)))
        assert (lane.leaves < np.arange(len(lane.faces)) + lane.depth).all(), "within the buffer"
        # Forwards: each block's faces rise, and no block is come back to.
        block = np.searchsorted(np.cumsum(counts), lane.faces, side="right")
        runs = [b for i, b in enumerate(block.tolist()) if i == 0 or block[i - 1] != b]
        assert len(runs) == len(set(runs))
        assert all((np.diff(lane.faces[block == b]) == 1).all() for b in set(runs))
    assert max(sizes) - min(sizes) <= 1
    assert sum(max(1, buffer // lanes) for _ in range(lanes)) <= max(buffer, lanes)


def test_readers_that_share_the_lanes_open_disjoint_parts() -> None:
    """G readers take every G-th face; where G divides the lanes, each reads lanes of its own."""
    order = EpochOrder([100] * 8, 0, 1, lanes=8, buffer=64)
    for readers in (1, 2, 4, 8):
        own = [{p % 8 for p in range(reader, order.total, readers)} for reader in range(readers)]
        assert sum(map(len, own)) == 8
        assert set().union(*own) == set(range(8))
    assert math.gcd(6, 8) == 2  # six readers: each reads four of the eight lanes, and leaves out the others' faces
    assert {p % 8 for p in range(1, order.total, 6)} == {1, 3, 5, 7}


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {
        tuple(EpochOrder([20] * 5, seed, epoch, 2, 16).indices().tolist()) for seed in (0, 1) for epoch in (1, 2, 3)
    }
    assert len(orders) == 6
    blocks = {tuple(EpochOrder([20] * 5, 0, epoch, 2, 16).blocks.tolist()) for epoch in range(1, 9)}
    assert len(blocks) > 4, "the shards come in another order each epoch"


def test_a_buffer_mixes_what_lies_together() -> None:
    """Of faces sorted by person, neighbours in a batch are rarely of one person; without a buffer they always are."""
    people = np.arange(4000) // 20

    def together(lanes: int, buffer: int) -> float:
        order = EpochOrder([500] * 8, 0, 1, lanes, buffer).indices()
        return float((people[order[1:]] == people[order[:-1]]).mean())

    assert together(1, 1) > 0.9
    assert together(8, 1600) < 0.05
