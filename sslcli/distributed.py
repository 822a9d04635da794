"""Several processes that train as one: what they gather, average and agree on. With one process these are no-ops.

The loss of a step is the mean of the processes' losses, and so is its gradient. A method whose loss is a mean over images needs
nothing more. One that compares images passes them through `gather`, and computes the loss of its own images against all.
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
    """The number of this process; 0 is the first, the only one that writes."""
    return dist.get_rank() if _together() else 0


def world() -> int:
    """How many processes train as one."""
    return dist.get_world_size() if _together() else 1


def place() -> tuple[int, int]:
    """The number of this process on this machine, and how many run here."""
    launch = read_launch()
    return (launch.local_rank, launch.local_world) if _together() else (0, 1)


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes if torchrun started several. GPUs communicate over NCCL, all other devices over Gloo.

    If the block fails on one process with a UserError, it fails on the others with the same error.
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
        with suppress(RuntimeError):  # the process that held the store has ended: nobody is left to tell
            store.compare_set(CAUSE, "", json.dumps([code, message]))
        raise
    dist.destroy_process_group()  # not after an error: processes that wait for this one must notice that it is gone


def _join(launch: Launch) -> Any:
    from torch.distributed.rendezvous import rendezvous  # missing in a torch built without distributed

    try:
        shared, this, processes = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun's store outlives the processes that torchrun replaces, and still holds their addresses.
        store = dist.PrefixStore(f"attempt {launch.attempt}", shared)  # type: ignore[attr-defined]
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=this, world_size=processes, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise StateError(f"the other processes that torchrun started cannot be reached: {reason}") from error
    return store


def _told(store: Any) -> UserError | None:
    """The reason that a failed process left, if it left one."""
    with suppress(RuntimeError):
        if store.check([CAUSE]):
            code, message = json.loads(store.get(CAUSE))
            return (UsageError if code == UsageError.exit_code else StateError)(message)
    return None


@contextmanager
def _talking() -> Iterator[None]:
    """Turn the errors that follow from a lost process into PeerLostError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise PeerLostError(f"another of the {world()} processes has ended or cannot be reached ({reason})") from error


def total(x: Tensor) -> Tensor:
    """The sum of x over all processes, as a new tensor with the same bits on each."""
    result = x.clone(memory_format=torch.contiguous_format)
    with _talking():
        dist.all_reduce(result)
    return result


def largest(value: int) -> int:
    """The largest value of all processes. Each waits for the others, but not for their GPUs."""
    if world() == 1:
        return value
    values = torch.tensor(value)
    with _talking():
        dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return int(values)


def on_first(make: Callable[[], T]) -> T:
    """The result of `make` on the first process, given to all. Only the first reads and writes the project's files."""
    if world() == 1:
        return make()
    box: list[Any] = [make() if rank() == 0 else None]
    with _talking():
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    given: T = box[0]
    return given


@contextmanager
def first_of_each_machine_first() -> Iterator[None]:
    """Run the block first on one process of each machine, then on the others, which find the files that it made."""
    waiting = place()[0] > 0
    if waiting:
        largest(0)
    yield
    if not waiting:
        largest(0)


def own_part(count: int) -> slice:
    """The rows of a batch of `count` that belong to this process."""
    return slice(rank() * count // world(), (rank() + 1) * count // world())


def of_all(part: int) -> int:
    """The number of rows of the whole batch, if each process has `part`."""
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
    """The mean of x over all processes, with the gradient of this one's x only: gradients are averaged later."""
    return x if world() == 1 else x + (total(x.detach()) / world() - x.detach())


class _Sum(torch.autograd.Function):
    """x of each process enters the sum on every process, so its gradient is the sum of all gradients."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return total(x)

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return total(gradient)


@torch.no_grad()
def average_gradients(module: nn.Module) -> None:
    """Replace every gradient of the module by its mean over all processes, in one exchange."""
    if world() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    mean = total(torch.cat([gradient.reshape(-1) for gradient in gradients])) / world()
    parts = torch.split(mean, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))
