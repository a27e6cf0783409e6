"""Batches prepared beside the training, where a GPU would wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from fourd.depth.train.batches import Batch, Source


class _Endless(IterableDataset[Batch]):
    """Batches for ever, from a source of each process's own."""

    def __init__(self, folder: Path, seed: int, recorded: float, size: int, area: Tensor) -> None:
        self._settings, self._size, self._area = (folder, seed, recorded), size, area

    def __iter__(self) -> Iterator[Batch]:
        folder, seed, recorded = self._settings
        worker = get_worker_info()
        if worker is not None:
            cv2.setNumThreads(1)  # There are as many of these processes as cores.
        # Odd steps between seeds, so that no process repeats another's batches.
        source = Source(folder, seed + 7919 * (worker.id if worker else 0), recorded)
        while True:
            yield source.batch(self._size, int(self._area))


class Feed:
    """Batches of one size in number, of pictures of any area."""

    def __init__(self, folder: Path, seed: int, recorded: float, size: int, processes: int) -> None:
        """Begin; see ``Source`` for settings and errors. With 0 processes each batch is prepared when asked for."""
        self._area = torch.zeros((), dtype=torch.int64).share_memory_()
        data = _Endless(folder, seed, recorded, size, self._area)
        self._source = Source(folder, seed, recorded)
        self._size = size
        self._batches: Iterator[Batch] | None = None
        if processes:
            context = "spawn"  # Forking after threads were started may hang.
            loader = DataLoader(data, None, num_workers=processes, multiprocessing_context=context, prefetch_factor=4)
            self._batches = iter(loader)

    def batch(self, area: int) -> Batch:
        """The next batch. Right after a change of area a few of the old one may still come."""
        self._area.fill_(area)
        return self._source.batch(self._size, area) if self._batches is None else next(self._batches)
