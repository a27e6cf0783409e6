"""Work on several threads comes out as if it had been done one by one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from fourd.workers import each


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order(threads: int) -> None:
    def slow(x: int) -> int:
        time.sleep(0.002 * (x % 3))  # The first is not the first to end.
        return x * x

    assert list(each(slow, range(20))) == [x * x for x in range(20)]
    assert list(each(slow, [])) == []


def test_the_first_failure_is_told_and_ends_the_work(threads: int) -> None:
    begun = []

    def fails(x: int) -> int:
        begun.append(x)
        if x == 2:
            raise ValueError("two")
        return x

    found = []
    with pytest.raises(ValueError, match="two"):
        for y in each(fails, range(100)):
            found.append(y)
    assert found == [0, 1] and len(begun) < 10


def test_nothing_runs_far_ahead_of_who_asks(threads: int) -> None:
    lock, begun = threading.Lock(), []

    def noted(x: int) -> int:
        with lock:
            begun.append(x)
        return x

    results = each(noted, range(100))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(begun) <= 3 + threads
    results.close()
    assert len(begun) <= 4 + threads
