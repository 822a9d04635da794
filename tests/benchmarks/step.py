"""How fast is a pretraining step beside lightly's? `python -m tests.benchmarks.step` prints the ratios of one run.

Three programs train ResNet-18 with CIFAR's stem on the same batch size and views, each in a process of its own with
the same number of threads, and take turns: ours, lightly, lightly with channels_last added, and bfloat16 where it is fast.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import torch

from sslcli.console.tables import print_rows
from sslcli.training.device import choose_precision
from tests.benchmarks import cores, interleave, machine, ratios, spread
from tests.benchmarks.programs import Program, Task, Timing, lightly, ours

COMMAND = "tests.benchmarks.step"
OURS, DEFAULT = "ssl pretrain", "lightly"
FAST = {"bf16": "lightly + bf16 + channels_last", "fp32": "lightly + channels_last"}
WANTED = {"bf16": (2.5, 1.1), "fp32": (1.25, 1.1)}
"""How many times as fast as lightly as it comes, and with that added, by the precision that is faster on this machine."""
TRIAL = 4  # steps that decide the number of lightly's workers
NOT_ALIKE = """\
What is not alike: lightly draws and makes views image by image on PIL images, ssl pretrain a batch at once (one order of
the colour operations per batch and view). lightly's example sends the two views through the net one after the other,
ssl pretrain together, so its batch norm sees both. Its SGD is plain, ours has momentum and weight decay. Its NT-Xent
computes in bfloat16 where that was added, ours in float32 always. Its projector ends in a batch norm, ours in a bias."""


class Apart:
    """A program in a process of its own, so that none works with the memory that another has left behind."""

    def __init__(self, build: Callable[[Task], Program], task: Task, *, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, task, threads))
        self._process.start()
        theirs.close()
        self.net: dict[str, object] = self._connection.recv()

    def step(self) -> Timing:
        """Take one step there."""
        self._connection.send(True)
        timing: Timing = self._connection.recv()
        return timing

    def end(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, build: Callable[[Task], Program], task: Task, threads: int) -> None:
    torch.set_num_threads(threads)
    program = build(task)
    _tell_workers(signal.SIGSTOP)
    connection.send(program.net)
    try:
        while connection.recv():
            _tell_workers(signal.SIGCONT)
            timing = program.step()
            _tell_workers(signal.SIGSTOP)  # or they would fetch the next images in the turns of the others
            connection.send(timing)
    except EOFError:
        _tell_workers(signal.SIGCONT)


def _tell_workers(number: int) -> None:
    for worker in multiprocessing.active_children():
        if worker.pid:
            os.kill(worker.pid, number)


def best_workers(task: Task, *, threads: int) -> int:
    """With how many data workers lightly is fastest here: 0 on one core, else the better of 0 and 2."""
    if cores() == 1:
        return 0
    seconds = {}
    for workers in (0, 2):
        program = Apart(lightly, replace(task, workers=workers), threads=threads)
        seconds[workers] = median([program.step().step for _ in range(TRIAL)][1:])
        program.end()
    print(", ".join(f"lightly with {n} workers: {s:.2f} s a step" for n, s in seconds.items()), file=sys.stderr)
    return min(seconds, key=lambda workers: seconds[workers])


def report(timings: dict[str, list[Timing]], *, wanted: Sequence[float], batch_size: int, style: str) -> None:
    """Print what each took, and how many times as fast as lightly ours was in each round."""
    rows = [
        {
            "program": name,
            "seconds": spread([timing.step for timing in taken]),
            "data": f"{median([timing.data for timing in taken]):.2f}",
            "net": f"{median([timing.net for timing in taken]):.2f}",
            "speed": f"{batch_size / median([timing.step for timing in taken]):.1f}",
        }
        for name, taken in timings.items()
    ]
    heads = {"seconds": "seconds a step (range)", "data": "data", "net": "net", "speed": "images/s"}
    print_rows(rows, {"program": "program", **heads}, style=style)
    fast = [timing.step for timing in timings[OURS]]
    compared = [
        {"other": name, "ratio": spread(found := ratios([timing.step for timing in taken], fast)),
         "wanted": f"{least} ({'reached' if median(found) >= least else 'missed'})"}
        for (name, taken), least in zip(list(timings.items())[1:], wanted, strict=True)
    ]  # fmt: skip
    print()
    print_rows(compared, {"other": "beside", "ratio": "times as fast (range over rounds)", "wanted": "wanted"}, style=style)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 2: lightly is not installed; 1: the programs do not train the same net."""
    options = parse(arguments)
    if find_spec("lightly") is None:
        print("lightly is not installed; type: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    task = Task(batch_size=options.batch_size, data_dir=options.data_dir)
    workers = best_workers(task, threads=options.threads)
    theirs = replace(task, workers=workers)
    precision = choose_precision("auto", torch.device("cpu"))
    fast = replace(theirs, channels_last=True, bf16=precision == "bf16")
    plan = {OURS: (ours, task), DEFAULT: (lightly, theirs), FAST[precision]: (lightly, fast)}
    programs = {name: Apart(build, of, threads=options.threads) for name, (build, of) in plan.items()}
    try:
        nets = {name: program.net for name, program in programs.items()}
        if any(net != nets[OURS] for net in nets.values()):
            print(f"the programs do not train the same net: {nets}", file=sys.stderr)
            return 1
        steps = {name: program.step for name, program in programs.items()}
        timings = interleave(steps, rounds=options.rounds, warm_up=2)
    finally:
        for program in programs.values():
            program.end()
    style = "markdown" if options.markdown else "table"
    report(timings, wanted=WANTED[precision], batch_size=task.batch_size, style=style)
    print(
        "\nAlike: {backbone:,} parameters of the backbone, {projector:,} weights of the projector, views {views}.".format(
            **nets[OURS]
        )
    )
    print(NOT_ALIKE)
    line = machine(COMMAND, "torchvision", "lightly")
    print(f"{options.rounds} rounds, {options.threads} threads, {workers} data workers of lightly's; {line}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.step", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=cores(), help="of each program; default: one a core")
    parser.add_argument("--rounds", type=int, default=10, help="steps of each program that count")
    parser.add_argument("--batch-size", type=int, default=128, help="images a step")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="folder of CIFAR-10; without it, random images")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
