"""Several processes that train as one: what they gather, average and agree on. For one process it is all a no-op.

The loss of a step is the mean of the processes' losses, and so is its gradient. A method whose loss is a mean over images need
do nothing; one that compares images puts them through `gather`, and computes on each process the loss of its own among all.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sslcli.errors import PeerLostError, StateError, UsageError, UserError
from sslcli.launch import Launch, read_launch

PATIENCE = timedelta(hours=1)  # for processes that wait while the first one downloads, measures or saves
CAUSE = "cause"

T = TypeVar("T")


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """Which of the processes this one is; 0 is the first, which alone writes."""
    return dist.get_rank() if _together() else 0


def world() -> int:
    """How many processes train as one."""
    return dist.get_world_size() if _together() else 1


def place() -> tuple[int, int]:
    """Which of the processes on this machine this one is, and how many they are."""
    launch = read_launch()
    return (launch.local_rank, launch.local_world) if _together() else (0, 1)


@contextmanager
def joined() -> Iterator[None]:
    """Be one of the processes that torchrun started, if it did: GPUs talk over NCCL, all else over Gloo.

    If the block fails on one process for a reason that a user can cause, it fails on the others for the same reason.
    """
    launch = read_launch()
    if launch.world == 1:
        yield
        return
    store = _join(launch)
    try:
        yield
    except PeerLostError as error:
        raise _told(store) or error from None
    except (UserError, OSError) as error:
        code, message = getattr(error, "exit_code", StateError.exit_code), f"process {rank()} on {platform.node()}: {error}"
        with suppress(RuntimeError):  # the store is gone with the process that held it: nobody is left to be told
            store.compare_set(CAUSE, "", json.dumps([code, message]))
        raise
    dist.destroy_process_group()  # not after an error: who waits for us there is to find us gone


def _join(launch: Launch) -> Any:
    from torch.distributed.rendezvous import rendezvous  # which a torch without processes lacks

    try:
        shared, this, processes = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun's store outlives the processes that it replaces, and with it the addresses where those could be reached.
        store = dist.PrefixStore(f"attempt {launch.attempt}", shared)  # type: ignore[attr-defined]
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=this, world_size=processes, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise StateError(f"the other processes that torchrun started cannot be reached: {reason}") from error
    return store


def _told(store: Any) -> UserError | None:
    """Why a process that is gone has failed, if it said so."""
    with suppress(RuntimeError):
        if store.check([CAUSE]):
            code, message = json.loads(store.get(CAUSE))
            return (UsageError if code == UsageError.exit_code else StateError)(message)
    return None


@contextmanager
def _talking() -> Iterator[None]:
    """Turn what is raised when a process is gone into PeerLostError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise PeerLostError(f"another of the {world()} processes has ended or cannot be reached ({reason})") from error


def total(x: Tensor) -> Tensor:
    """The sum of all processes' x, in a tensor of its own; the same bits on each."""
    result = x.clone(memory_format=torch.contiguous_format)
    with _talking():
        dist.all_reduce(result)
    return result


def largest(value: int) -> int:
    """The largest of all processes' values. All wait for the last of them, but not for their GPUs."""
    if world() == 1:
        return value
    values = torch.tensor(value)
    with _talking():
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return int(values)


def on_first(make: Callable[[], T]) -> T:
    """What `make` gives on the first process, which alone reads and writes the project's files, on all of them."""
    if world() == 1:
        return make()
    box: list[Any] = [make() if rank() == 0 else None]
    with _talking():
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    given: T = box[0]
    return given


@contextmanager
def first_of_each_machine_first() -> Iterator[None]:
    """Let the other processes of a machine begin the block when its first has done it, and so finds what that one made."""
    waiting = place()[0] > 0
    if waiting:
        largest(0)
    yield
    if not waiting:
        largest(0)


def own_part(count: int) -> slice:
    """The rows of a batch of `count` that are this process's."""
    return slice(rank() * count // world(), (rank() + 1) * count // world())


def of_all(part: int) -> int:
    """How many rows the batch has of which each process has `part`."""
    return part * world()


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, (B, ...) of each to (B world, ...), in the order of the batch; gradients flow back."""
    if world() == 1:
        return x
    everything = x.new_zeros((world(), *x.shape))
    everything[rank()] = x
    gathered: Tensor = _Sum.apply(everything)
    return gathered.flatten(0, 1)


def average(x: Tensor) -> Tensor:
    """The mean of all processes' x, with the gradient of this one's: theirs count where gradients are averaged."""
    return x if world() == 1 else x + (total(x.detach()) / world() - x.detach())


class _Sum(torch.autograd.Function):
    """Each process's x counts in the sum of every process, so that its gradient is the sum of theirs."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return total(x)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return total(gradient)


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Make every gradient of the module the mean of all processes', in one exchange."""
    if world() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    mean = total(torch.cat([gradient.reshape(-1) for gradient in gradients])) / world()
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))
