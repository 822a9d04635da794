"""What the processes of test_distributed.py do, each of them one of several that train as one."""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.cli import main
from sslcli.data.batches import generator
from sslcli.data.sets import shapes
from sslcli.distributed import gather, joined, on_first, own_part, rank, world
from sslcli.methods import METHODS
from sslcli.models.batch_norm import share_batch_norm
from sslcli.training import log
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.optim import build_optimizer
from tests.small_methods import small_batch, small_method

BATCH, STEPS = 16, 10
CASES = {"sgd": 0.1, "adamw": 0.01, "muon": 0.02}
"""Optimizer to its rate."""
TRAININGS = [("simclr", optimizer) for optimizer in CASES] + [(name, "sgd") for name in METHODS if name != "simclr"]
"""Method and optimizer of each training that is compared."""


def train(name: str, optimizer: str) -> dict[str, Any]:
    """Ten steps of a method in float64: losses, scalars, gradients of each step, and the weights and buffers at the end."""
    method = small_method(name)
    share_batch_norm(method)
    seen: dict[str, Any] = {"losses": [], "scalars": [], "gradients": []}

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        loss, scalars = method(small_batch(method, step % 2, images=BATCH, part=own_part(BATCH)), step)
        seen["losses"].append(loss.detach())
        seen["scalars"].append(scalars)
        return loss, scalars

    def after_step(progress: float) -> None:
        method.after_step(progress)
        seen["gradients"].append({name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None})

    take_steps(
        method,
        build_optimizer(method, optimizer, lr=CASES[optimizer], weight_decay=0.01, momentum=0.9, own=method.parameter_groups()),
        loss_at=loss_at, before_step=method.before_step,
        lr_at=lambda _: CASES[optimizer], steps=STEPS, epoch_steps=STEPS, seed=1, progress=Progress(), stop=Stop(),
        log=Log("", events=None, start=0, steps=STEPS, epoch_steps=STEPS, per_step=BATCH, record_every=1),
        save=lambda: None, evaluate=lambda _: {}, after_step=after_step,
    )  # fmt: skip
    return {**seen, "weights": method.state_dict()}


def norms() -> dict[str, Any]:
    """Batch norm of inputs in several number and memory formats: outputs, gradients, statistics, in each mode.

    Of two processes the first has a quarter of the images, the second the rest.
    """
    found: dict[str, Any] = {}
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        for form in (torch.contiguous_format, torch.channels_last):
            random = torch.Generator().manual_seed(0)
            x = (torch.randn(8, 5, 4, 4, generator=random, dtype=torch.float64) + 3).to(dtype)
            dy = torch.randn(8, 5, 4, 4, generator=random, dtype=torch.float64).to(dtype)
            net = nn.Sequential(nn.BatchNorm2d(5))
            net[0].weight.data, net[0].bias.data = torch.arange(1.0, 6), torch.arange(5.0)
            net = net.double() if dtype is torch.float64 else net
            share_batch_norm(net)
            own = slice(0, 8) if world() == 1 else (slice(0, 2), slice(2, 8))[rank()]
            mine = x[own].contiguous(memory_format=form).requires_grad_()
            y = net(mine)
            y.backward(dy[own])
            found[f"{dtype} {form}"] = {
                "y": y.detach(), "dx": mine.grad, "statistics": [b.clone() for b in net.buffers()],
                "dparameters": [p.grad for p in net.parameters()], "evaluated": net.eval()(mine).detach(),
            }  # fmt: skip
    return found


def compare(rank_: int, port: int, folder: str) -> None:
    """Be one of two processes; write down what trainings, batch norms and dropout gave."""
    os.environ.update(RANK=str(rank_), LOCAL_RANK=str(rank_), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    with joined():
        found: dict[str, Any] = {case: train(*case) for case in TRAININGS}
        found["norms"] = norms()
        rows = torch.full((2, 3), float(rank()), requires_grad=True)
        gathered = gather(rows)
        (gathered * torch.arange(4.0)[:, None] * (rank() + 1)).sum().backward()
        found["gather"] = gathered.detach(), rows.grad
        found["first"] = on_first(lambda: f"made by {rank_}")
        torch.manual_seed(generator(1, "model", 0, rank()).initial_seed())
        found["dropped"] = F.dropout(torch.ones(64))
        torch.save(found, Path(folder) / f"{rank_}.pt")


def command(folder: str, line: list[str], environment: dict[str, str]) -> None:
    """Type a command in a folder, as a process that torchrun started."""
    os.chdir(folder)
    os.environ.update(environment)
    sys.stdout = sys.stderr = open("output.txt", "a", buffering=1, encoding="utf-8")  # noqa: SIM115  (for the process's life)
    type_it(line)


def type_it(line: list[str]) -> None:
    """Type a command with small data; a signal comes where SIGNAL_AT says so: rank, step, signal."""
    torch.set_num_threads(1)
    shapes.TRAIN, shapes.TEST, log.SAVE_EVERY = 240, 80, float(os.environ.get("SAVE_EVERY", "inf"))
    rank_, at, number = os.environ.get("SIGNAL_AT", "none 0 0").split()
    original = Log.step

    def step(self: Log, count: int, **values: float) -> None:
        original(self, count, **values)
        if os.environ["RANK"] == rank_ and count == int(at) and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
            os.kill(os.getpid(), int(number))

    Log.step = step  # type: ignore[assignment, method-assign]
    main(line)


if __name__ == "__main__":
    type_it(sys.argv[1:])
