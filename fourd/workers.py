"""One function on many things, on as many threads as torch may use; what comes out is in order, as if done one by one.

It pays where the work is in numpy, OpenCV or torch, which let other threads run meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")


def each(function: Callable[[A], B], things: Iterable[A], threads: int | None = None) -> Iterator[B]:
    """Results of a function for each of some things, in their order.

    The function must not depend on what it was called with before, nor change what it shares with itself: it is called
    on several threads at the same time. No more is begun than there are threads and one, so results take no memory
    before they are wanted. To stop asking for results ends the work.

    Args:
        function: What to do.
        things: With what.
        threads: On how many; as many as torch may use, if not given.

    Example:
        >>> list(each(lambda x: x * x, range(5)))
        [0, 1, 4, 9, 16]
    """
    threads = torch.get_num_threads() if threads is None else threads
    if threads == 1:
        yield from map(function, things)
        return
    begun: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for thing in things:
                begun.append(pool.submit(function, thing))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for left in begun:
                left.cancel()
