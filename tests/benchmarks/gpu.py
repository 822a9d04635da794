"""What a step of pretraining takes on a GPU, and what recipes reach: `python -m tests.benchmarks.gpu --seconds 240 --out DIR`.

Every part writes its result to DIR/gpu.json as it ends; a part for which the time is too short is left out, and said so. It
needs no network, no data set (random images take its place) and nothing that is special to one machine; `--device cpu`
rehearses it. With `--data-dir` the recipes train on what is there of CIFAR-10's training files.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sslcli.bench.timing import matmul_peak, peak_memory, time_step
from sslcli.data.image_data import ImageData, random_data
from sslcli.methods.method import Method
from sslcli.options.pretrain import Pretrain
from sslcli.plans.online_metrics import meter
from sslcli.plans.pretraining import resolve, training_of
from sslcli.plans.views import view_size_plan
from sslcli.training.context import Context
from sslcli.training.device import autocast, choose_device, choose_precision, describe, use_well, wait_for
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.step import Training
from tests.benchmarks import cores, machine
from tests.benchmarks.programs import Task, lightly, ours

COMMAND = "tests.benchmarks.gpu"
COMMON: dict[str, Any] = {"optimizer": "muon", "momentum": 0.95, "temperature": 0.2}
"""What every step and recipe has, where it does not say otherwise."""


@dataclass(frozen=True)
class Step:
    """A step that is timed: options, and how torch runs it.

    "eager"; "tuned": cuDNN chooses by trial; "compiled"; "replayed": that, from CUDA graphs, which is what --compile does.
    """

    name: str
    how: str
    options: dict[str, Any]


STEPS = (
    Step("eager", "eager", {}),
    Step("eager, cuDNN by trial", "tuned", {}),
    Step("compiled", "compiled", {}),
    Step("eager, batch 1024", "eager", {"batch_size": 1024}),
    Step("compiled, batch 1024", "compiled", {"batch_size": 1024}),
    Step("replayed", "replayed", {}),
    Step("replayed, 24 pixels", "replayed", {"view_sizes": "24"}),
    Step("replayed, batch 1024", "replayed", {"batch_size": 1024}),
    Step("replayed, 4 views of 512", "replayed", {"views": 4}),
    Step("replayed, 4 views of 512, 24 pixels", "replayed", {"views": 4, "view_sizes": "24"}),
)
OVERHEAD = 12.0  # seconds that a recipe takes beside its training: compiling, and the measurement
RECIPES: dict[str, dict[str, Any]] = {
    "4 views of 256": {"view_sizes": "24:0.7,32:0.3", "batch_size": 256, "views": 4},
    "2 views of 512": {"view_sizes": "24:0.7,32:0.3"},
    "4 views of 256, temperature 0.1": {"view_sizes": "24:0.7,32:0.3", "batch_size": 256, "views": 4, "temperature": 0.1},
}


@dataclass
class Bench:
    """Where results go, and how much time there is."""

    out: Path
    until: float
    device: torch.device
    small: bool
    data: ImageData
    results: dict[str, Any]

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()

    def part(self, name: str, work: Callable[[], object], *, needs: float) -> None:
        """Do a part of the work if `needs` seconds are left, and write what it found."""
        began = time.monotonic()
        if self.left < needs:
            self.results[name] = f"left out: it needs {needs:.0f} s, {self.left:.0f} s were left"
        else:
            try:
                self.results[name] = work()
            except Exception as error:  # one part's fault does not cost the others' results
                self.results[name] = f"failed: {type(error).__name__}: {error}"
        self.results.setdefault("seconds", {})[name] = round(time.monotonic() - began, 1)
        self.write()
        print(f"[{self.left:.0f} s left] {name}: {json.dumps(self.results[name])[:1500]}", flush=True)

    def write(self) -> None:
        """Write all results."""
        (self.out / "gpu.json").write_text(json.dumps(self.results, indent=1), encoding="utf-8")

    def prepared(self, options: dict[str, Any]) -> tuple[Pretrain, Context]:
        """Options as a pretraining would settle them, and the place."""
        smaller = {"backbone": "resnet9-small", "stem": "own", "batch_size": 16} if self.small else {}
        wanted: dict[str, Any] = {"backbone": "resnet18", "stem": "conv3", "view_sizes": "32"}
        precision = choose_precision("auto", self.device)
        asked = Pretrain(**(wanted | COMMON | options | smaller), precision=precision)
        context = Context(self.data, self.device, autocast(self.device, precision), "", precision)
        return resolve(asked, context), context


def card(bench: Bench) -> dict[str, Any]:
    """The machine, its fastest product and how fast it copies."""
    found: dict[str, Any] = {"machine": machine(COMMAND, "torchvision"), "device": describe(bench.device)}
    found["matmul_tflops"] = matmul_peak(bench.device, choose_precision("auto", bench.device)) / 1e12
    block = torch.empty((1 << 20) if bench.small else (1 << 31), dtype=torch.uint8, device=bench.device)
    times = []
    for _ in range(5):
        wait_for(bench.device)
        began = time.perf_counter()
        block.clone()
        wait_for(bench.device)
        times.append(time.perf_counter() - began)
    found["copy_tb_per_s"] = 2 * len(block) / min(times) / 1e12
    return found


def timed(bench: Bench, step: Step) -> dict[str, Any]:
    """A step in its parts, and its share of the peak."""
    method, training = built(bench, step)
    began = time.perf_counter()
    if step.how in ("compiled", "replayed"):
        run(training, 12)
    wait_for(bench.device)
    compiling = time.perf_counter() - began
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    taken = time_step(training, 0, budget=1.0)
    views = sum(spec.count for spec in method.views) * training.batch_size
    return {
        "seconds": taken.seconds, "views_per_s": views / taken.seconds, "split": taken.split,
        "tflops": taken.operations / taken.seconds / 1e12, "until_compiled": compiling, "memory": peak_memory(bench.device),
    }  # fmt: skip


def built(bench: Bench, step: Step) -> tuple[Method, Training]:
    """A training whose steps run as `step` says."""
    torch.backends.cudnn.benchmark = step.how == "tuned"
    options, context = bench.prepared(step.options | {"compile": step.how == "replayed"})
    method, training = training_of(options, context)
    if step.how == "compiled":
        method.compile(dynamic=False)
    return method, training


def run(training: Training, count: int, *, at: int = 0) -> Progress:
    """Take `count` steps from step `at` on."""
    progress = Progress(step=at)
    log = Log("", events=None, start=at, steps=at + count, epoch_steps=10**9, per_step=training.per_step, record_every=10**9)
    take_steps(
        training.module, training.optimizer, loss_at=training.loss_at, lr_at=training.lr_at, steps=at + count,
        epoch_steps=10**9, seed=training.seed, progress=progress, log=log, stop=Stop(), save=lambda: None,
        evaluate=lambda _: {}, before_step=training.before_step, after_step=training.after_step,
    )  # fmt: skip
    return progress


def steps(bench: Bench) -> dict[str, Any]:
    """Every step of STEPS, as far as the time goes."""
    found: dict[str, Any] = {}
    for step in STEPS:
        if bench.left < (1 if bench.small else 20):
            found[step.name] = "left out"
            continue
        try:
            found[step.name] = timed(bench, step)
        except Exception as error:  # a way that does not work here says so, and the others are timed
            found[step.name] = f"failed: {type(error).__name__}: {str(error)[:400]}"
        bench.results["steps"] = found
        bench.write()
        print(f"[{bench.left:.0f} s left] {step.name}: {json.dumps(found[step.name])[:700]}", flush=True)
    torch.backends.cudnn.benchmark = False
    return found


def trace(bench: Bench) -> list[str]:
    """What three steps are made of, by kernel, the longest first; the whole trace lies in trace.json.gz."""
    from torch.profiler import ProfilerActivity, profile

    options, context = bench.prepared({"compile": bench.device.type == "cuda"})
    _, training = training_of(options, context)
    run(training, 3)
    on_cuda = bench.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * on_cuda]) as watched:
        run(training, 3, at=3)
        wait_for(bench.device)
    path = bench.out / "trace.json"
    watched.export_chrome_trace(str(path))
    (bench.out / "trace.json.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
    path.unlink()
    order = "self_device_time_total" if on_cuda else "self_cpu_time_total"
    table = watched.key_averages().table(sort_by=order, row_limit=60, max_name_column_width=90)
    (bench.out / "kernels.txt").write_text(table, encoding="utf-8")
    events = sorted(watched.key_averages(), key=lambda event: -getattr(event, order))
    return [f"{getattr(event, order) / 3000:.3f} ms x{event.count / 3:g} {event.key[:90]}" for event in events[:25]]


def beside_lightly(bench: Bench) -> dict[str, Any]:
    """Seconds of a step of lightly's example, all cores making its views, and of ours: same net, batch and strengths."""
    task = Task(batch_size=16 if bench.small else 512, data_dir=Path("nowhere"), device=bench.device.type)
    theirs = replace(task, workers=max(1, cores() - 2))
    programs = {
        "ssl pretrain": (ours, task),
        "lightly": (lightly, theirs),
        "lightly + bf16 + channels_last": (lightly, replace(theirs, bf16=True, channels_last=True)),
    }
    found: dict[str, Any] = {}
    for name, (build, of) in programs.items():
        program = build(of)
        taken = [program.step() for _ in range(12)][4:]
        found[name] = {part: median([getattr(timing, part) for timing in taken]) for part in ("step", "data", "net")}
        del program
    return found


def recipe(bench: Bench, changes: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Train for so many seconds, to the end of the rate's cosine; kNN accuracy of training images held out of the labels."""
    options, context = bench.prepared({"compile": bench.device.type == "cuda", "epochs": 1000, "knn_images": 20000} | changes)
    _, trained = training_of(options, context)
    total = trained.steps
    each = {}
    for at in {int(0.001 * total), int(0.999 * total)}:  # each size of the views, compiled and timed
        run(trained, 3, at=at)
        wait_for(bench.device)
        began = time.perf_counter()
        run(trained, 20 if not bench.small else 1, at=at)
        wait_for(bench.device)
        each[at] = (time.perf_counter() - began) / (20 if not bench.small else 1)
    first, last = each[min(each)], each[max(each)]
    share = float(str(options.view_sizes).partition(",")[0].partition(":")[2] or 1)
    count = max(4, int(seconds / (share * first + (1 - share) * last)))
    options = replace(options, max_steps=count, epochs=1 + count * options.batch_size // len(bench.data.train_images))
    options = resolve(replace(options, warmup_epochs=0.05 * options.epochs), context)
    method, training = training_of(options, context)
    began = time.perf_counter()
    progress = run(training, training.steps)
    wait_for(bench.device)
    took = time.perf_counter() - began
    measured = meter(method, options, context)(1)
    loss = progress.history[-1]["train/loss_epoch"]
    views = sum(spec.count for spec in method.views) * options.batch_size * training.steps
    return {"steps": training.steps, "took": took, "views_per_s": views / took, "loss over all steps": loss, **measured}


def recipes(bench: Bench) -> dict[str, Any]:
    """Every recipe for an equal part of the time that is left."""
    found: dict[str, Any] = {}
    for number, (name, changes) in enumerate(RECIPES.items()):
        share = (bench.left - 5) / (len(RECIPES) - number) - OVERHEAD
        if share < (1 if bench.small else 8):
            found[name] = "left out"
            continue
        try:
            found[name] = recipe(bench, changes, share)
        except Exception as error:
            found[name] = f"failed: {type(error).__name__}: {str(error)[:400]}"
        bench.results["recipes"] = found
        bench.write()
        print(f"[{bench.left:.0f} s left] {name}: {json.dumps(found[name])[:700]}", flush=True)
    return found


def some_of_cifar(folder: Path) -> ImageData:
    """The training files of CIFAR-10 that are there; without any, random images of its number and size."""
    files = sorted((folder / "cifar-10-batches-py").glob("data_batch_*"))
    if not files:
        return random_data("cifar10")
    read = [pickle.loads(path.read_bytes(), encoding="bytes") for path in files]
    images = torch.cat([torch.from_numpy(part[b"data"]).view(-1, 3, 32, 32) for part in read])
    labels = torch.cat([torch.tensor(part[b"labels"]) for part in read])
    none = torch.empty(0, 3, 32, 32, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)
    return ImageData(
        train_images=images, train_labels=labels, test_images=none[0], test_labels=none[1], classes=tuple(map(str, range(10)))
    )


def compile_ahead(bench: Bench, options: argparse.Namespace) -> list[int]:
    """Compile all steps to come in processes of their own, at once: what they make is kept on the disk and found there.

    The tests that need a GPU run beside them: nothing is timed meanwhile.
    """
    wanted = [(step.options, step.how) for step in STEPS if step.how in ("compiled", "replayed")]
    for changes in RECIPES.values():
        wanted += [(changes | {"view_sizes": str(size)}, "replayed") for size, _ in view_size_plan(changes["view_sizes"])]
    jobs = {json.dumps(COMMON | options, sort_keys=True): [options, "compiled"] for options, _ in wanted}
    command = [sys.executable, "-m", COMMAND, "--device", options.device, "--out", str(options.out), "--only-compile"]
    environment = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "2", "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen([*command, json.dumps(job)], env=environment) for job in jobs.values()]
    tests = [f"tests/{name}.py" for name in ("whole/test_gpu", "training/test_device_step", "whole/test_survival")]
    with (options.out / "tests.txt").open("w") as file:
        run_tests = [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            bench.device.type.replace("cuda", "gpu"),
            "-n",
            "0",
            "--durations=10",
        ]
        processes.append(subprocess.Popen([*run_tests, *tests], stdout=file, stderr=file, env=environment))
    until = time.monotonic() + min(bench.left - 60, 90)
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
    return [process.wait() for process in processes]


def only_compile(bench: Bench, job: tuple[dict[str, Any], str]) -> None:
    """Compile one step, and take it twice."""
    run(built(bench, Step("", job[1], job[0]))[1], 2)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parse(arguments)
    device = choose_device(options.device)
    use_well(device)
    small = device.type == "cpu"
    data = some_of_cifar(options.data_dir)
    options.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + options.seconds
    bench = Bench(options.out, until, device, small, (data.first(2000) if small else data).to(device), {})
    if options.only_compile:
        only_compile(bench, json.loads(options.only_compile))
        return 0
    parts: dict[str, tuple[Callable[[], object], float]] = {
        "card": (lambda: card(bench), 5),
        "compile": (lambda: compile_ahead(bench, options), 60),
        "steps": (lambda: steps(bench), 10),
        "trace": (lambda: trace(bench), 15),
        "lightly": (lambda: beside_lightly(bench), 25),
        "recipes": (lambda: recipes(bench), 10),
    }
    for name in options.parts.split(","):
        bench.part(name, parts[name][0], needs=parts[name][1])
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog=f"python -m {COMMAND}", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=240, help="how long it may take in all")
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of the results")
    parser.add_argument("--device", default="cuda", help="cuda, mps, or cpu to rehearse")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="folder of CIFAR-10, or of some of its files")
    parser.add_argument("--parts", default="card,compile,steps,trace,lightly,recipes", help="which parts, in their order")
    parser.add_argument("--only-compile", default="", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
