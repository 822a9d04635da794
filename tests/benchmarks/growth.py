"""How do cost and memory grow with images and batch? `python -m tests.benchmarks.growth` prints tables, exponents, a plot.

Every setting runs in a fresh process, one at a time: `ssl pretrain` for one epoch on random images, and parts of it alone
(`growth_case`). An exponent p says that a cost grows as size to the p, after a constant part. Ends with 1 if one is
above 1.1: something grows faster than the work.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sslcli.console.tables import print_rows
from tests.benchmarks import machine

Costs = dict[str, float]
MOST = 1.1  # the exponent from which a cost grows faster than the work
CASE = "tests.benchmarks.growth_case"
BATCH, SMALL_VIEW = 256, 8  # while the number of images varies: half a million end in minutes
SIDE, TEST = 32, 1000  # pixels of an image; images that are there for testing alone
WATCHED = {
    "images": {"seconds": "seconds of the command", "memory": "memory", "load": "reading the data", "order": "an epoch's order",
               "knn": "kNN", "write": "a checkpoint"},
    "batch": {"step": "seconds a step", "memory": "memory", "loss": "NT-Xent alone"},
}  # fmt: skip

JUDGED = ("seconds", "step", "memory")  # the rest are parts: shown, but an order's milliseconds may grow with the caches


@dataclass(frozen=True)
class Case:
    """A setting: training images, images a step, processes, pixels of a view."""

    images: int
    batch: int
    processes: int
    view: int


def measure(case: Case) -> Costs:
    """Run one case in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_images(data / "images.bin", case.images + TEST)
        start = [sys.executable, "-m"]
        if case.processes > 1:
            start += ["torch.distributed.run", "--standalone", f"--nproc-per-node={case.processes}", "-m"]
        environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        subprocess.run(
            [*start, CASE, folder, str(case.batch), str(case.view)], check=True, stdout=subprocess.DEVNULL, env=environment
        )
        return read_costs(Path(folder))


def read_costs(folder: Path) -> Costs:
    """What the processes of a case have written down: of memory the sum, of all else what the first has."""
    first, *others = (json.loads(path.read_text()) for path in sorted(folder.glob("cost-*.json")))
    return {key: cost + sum(costs.get(key, 0) for costs in others) for key, cost in first.items()}


def write_images(path: Path, count: int) -> None:
    """Write `count` random images, some at a time: a process that is started takes over its parent's peak of memory."""
    with path.open("wb") as file:
        for at in range(0, count, TEST):
            file.write(os.urandom(min(TEST, count - at) * 3 * SIDE * SIDE))


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float | None:
    """p of cost = a + b size^p through the first, the middle and the last point, so that no constant part a can hide it.

    The three sizes are a geometric series: p = log of the two rises' ratio / log of the step. None: it rises by less
    than a fifth, which is chance, or not from the middle on. Where the first rise is none, the constant part is taken as 0.
    """
    (small, middle, large), (low, mid, high) = ([of[i] for i in (0, len(sizes) // 2, -1)] for of in (sizes, costs))
    assert math.isclose(middle / small, large / middle), f"{sizes} are no geometric series"
    if high < 1.2 * low or high <= mid:
        return None
    if mid <= low:
        return math.log(high / low) / math.log(large / small)
    return math.log((high - mid) / (mid - low)) / math.log(large / middle)


def exponents(costs: dict[Case, Costs], along: str) -> list[dict[str, Any]]:
    """The exponents of WATCHED costs along "images" or "batch", for each number of processes."""
    found: list[dict[str, Any]] = []
    for processes in sorted({case.processes for case in costs}):
        cases = series(costs, along, processes)
        for key, what in WATCHED[along].items():
            values = [costs[case][key] for case in cases]
            power = exponent([getattr(case, along) for case in cases], values)
            judged = key in JUDGED
            found.append({"of": what, "along": along, "processes": processes, "exponent": power, "judged": judged})
    return found


def series(costs: dict[Case, Costs], along: str, processes: int) -> list[Case]:
    """The cases of so many processes that differ in images, or in batch, and in nothing else."""
    rest = {case: replace(case, **{along: 0}) for case in costs if case.processes == processes}
    shared = max(rest.values(), key=list(rest.values()).count)
    return sorted((case for case in rest if rest[case] == shared), key=lambda case: int(getattr(case, along)))


def rows_of(costs: dict[Case, Costs]) -> list[dict[str, str]]:
    """A line for each case, in units that a person reads."""
    return [
        {
            "images": f"{case.images:,}", "batch": f"{case.batch}", "view": f"{case.view}", "processes": f"{case.processes}",
            "seconds": f"{cost['seconds']:.1f}", "step": f"{1e3 * cost['step'] / case.batch:.3f}",
            "memory": f"{cost['memory']:,.0f}", "each": f"{1e3 * cost['memory'] / case.images:.1f}",
            "load": f"{cost['load']:.2f}", "order": f"{1e3 * cost['order']:.2f}", "knn": f"{cost['knn']:.2f}",
            "write": f"{cost['write']:.2f}", "loss": f"{1e3 * cost['loss'] / case.batch:.3f}",
        }
        for case, cost in costs.items()
    ]  # fmt: skip


COLUMNS = {
    "images": "images", "batch": "batch", "view": "view, px", "processes": "processes", "seconds": "command, s",
    "step": "training, ms/image", "memory": "memory, MB", "each": "KB/image", "load": "data, s", "order": "order, ms",
    "knn": "kNN, s", "write": "checkpoint, s", "loss": "NT-Xent, ms/image",
}  # fmt: skip
NOTE = """\
Memory is the peak beyond a process that has imported the program and nothing more ({start:.0f} MB), summed over processes.
An exponent p: the cost is a constant part plus a part that grows as size to the p; "-": it grows by less than a fifth.
NT-Xent compares all views with all, those of 512 images of a process at a time: each of its matrices has 16 batch bytes an
image up to there, 8 KB an image beyond; its time grows as the square of the batch."""


def main(arguments: Sequence[str] | None = None, *, run: Callable[[Case], Costs] = measure) -> int:
    """The command."""
    options = parse(arguments)
    style = "markdown" if options.markdown else "table"
    cases = [Case(n, BATCH, p, SMALL_VIEW) for p in options.processes for n in options.images]
    cases += [Case(5 * max(options.batch_sizes), b, p, SIDE) for p in options.processes for b in options.batch_sizes]
    costs = {}
    for case in cases:
        costs[case] = run(case)
        print(f"{case}: {costs[case]['seconds']:.1f} s", file=sys.stderr, flush=True)
    print_rows(rows_of(costs), COLUMNS, style=style)
    found = [row for along in WATCHED for row in exponents(costs, along)]
    shown = [{**row, "exponent": "-" if row["exponent"] is None else f"{row['exponent']:.2f}"} for row in found]
    heads = {"of": "cost", "along": "along", "processes": "processes", "exponent": "exponent"}
    print()
    print_rows(shown, heads, style=style)
    line = machine("tests.benchmarks.growth")
    print("\n" + NOTE.format(start=min(cost["start"] / case.processes for case, cost in costs.items())) + "\n" + line)
    from tests.benchmarks.growth_picture import draw_growth  # matplotlib, after the processes that would take over its memory

    draw_growth(costs, options.out, description=line)
    steep = [row for row in found if row["judged"] and row["exponent"] is not None and row["exponent"] > MOST]
    for row in steep:
        print(f"grows faster than the work: {row['of']} along {row['along']}: {row['exponent']:.2f}", file=sys.stderr)
    return int(bool(steep))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=numbers, default="5000,50000,500000", help="numbers of training images")
    parser.add_argument(
        "--batch-sizes", type=numbers, default="128,256,512,1024,2048", help="images a step, on five times the largest"
    )
    parser.add_argument("--processes", type=numbers, default="1,2", help="numbers of processes that share a batch")
    parser.add_argument("--out", type=Path, default=Path("results/figures/pretrain/growth.png"), help="the plot")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    return parser.parse_args(arguments)


def numbers(text: str) -> list[int]:
    """1,2,3 as numbers."""
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
