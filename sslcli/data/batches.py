"""The images of a step: a pure function of seed and step, so that a resumed run continues as if it had never stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def generator(seed: int, *key: str | int) -> torch.Generator:
    """A CPU generator that depends only on the seed and its purpose (a word, an epoch, a step)."""
    digest = hashlib.sha256(repr((seed, *key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def hand_over(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a CPU tensor to `device`. For a GPU it uses pinned memory, because a copy from other memory waits."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def ahead(batch_at: Callable[[int], T]) -> Callable[[int], T]:
    """The same function of the step; a thread computes the next step's value in advance. For images in a file."""
    pool, waiting = ThreadPoolExecutor(1), dict[int, Future[T]]()

    def at(step: int) -> T:
        made = waiting.pop(step, None)
        batch = made.result() if made else batch_at(step)
        for unwanted in waiting.values():
            unwanted.cancel()
        waiting.clear()
        waiting[step + 1] = pool.submit(batch_at, step + 1)
        return batch

    return at


class Batches:
    """Passes over `count` images in batches of `batch_size`, in a new order for each epoch.

    `drop_last` leaves out a last batch that is not full. A contrastive loss needs this: its difficulty depends on the batch
    size. `join_single` adds a single last image to the batch before it, because batch norm has no statistics for one image.
    `epoch_steps` is the number of steps of one pass, `per_step` the mean number of images in one.
    """

    def __init__(self, count: int, batch_size: int, *, seed: int, drop_last: bool, join_single: bool = False) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        full, over = divmod(count, batch_size)
        self.joined = int(join_single and over == 1 and full > 0)
        self.epoch_steps = full if drop_last or self.joined else full + bool(over)
        self.per_step = float(batch_size) if drop_last else count / self.epoch_steps

    def at(self, step: int) -> Tensor:
        """The positions of the images of `step`: int64 (batch_size,); the last batch of an epoch may differ in size."""
        epoch, position = divmod(step, self.epoch_steps)
        order = _order(self.count, self.seed, epoch)
        last = position == self.epoch_steps - 1
        return order[position * self.batch_size : (position + 1) * self.batch_size + self.joined * last]


@lru_cache(maxsize=4)
def _order(count: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(count, generator=generator(seed, "order", epoch))
