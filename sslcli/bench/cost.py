"""The cost of a training here: the parts of its step, and the time of the whole command as the sum of its parts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import nn

from sslcli.bench.protocol_cost import of_folds, parts_of, random_h
from sslcli.bench.timing import BUDGET, StepTime, time_step
from sslcli.console.messages import say
from sslcli.data import DATASETS
from sslcli.data.folder.reading import Reading
from sslcli.data.image_data import ImageData, random_data
from sslcli.data.loading import load_data
from sslcli.data.on_disk import chosen
from sslcli.errors import StateError
from sslcli.evaluation.features import BATCH, outputs
from sslcli.evaluation.protocols.protocol import Frozen, Pace, Start
from sslcli.methods.method import Method
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.options.finetune import Finetune
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.trainings import TrainingOptions
from sslcli.plans import pretraining
from sslcli.plans.online_metrics import is_measured, measured_images, meter
from sslcli.plans.plan import Plan
from sslcli.plans.views import view_size_plan
from sslcli.plans.watching import watched_rows, watcher
from sslcli.runs.registry import Registry
from sslcli.training.checkpoint import State, save_checkpoint
from sslcli.training.device import seconds_of
from sslcli.training.log import SAVE_EVERY
from sslcli.training.step import Training

STARTING = time.process_time()
"""CPU seconds of starting: the interpreter, importing torch and the rest. Waiting for a cold disk is not included."""
FREE = ("epochs", "lr", "weight_decay", "momentum", "temperature", "warmup_epochs", "max_steps", "seed", "view_sizes", "name",
        "knn_every", "knn_images", "keep_every", "data_dir", "download", "init", "encoder", "label_fraction",
        "at_epoch", "search_lr")  # fmt: skip
"""Options that do not change the cost of a step."""

T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """The cost of a command: `step` is the mean step, None without training steps; `expected` holds the seconds of each part of
    the command.
    """

    expected: dict[str, float]
    step: StepTime | None = None
    steps: int = 0
    epoch_steps: int = 0
    batch_size: int = 0

    @property
    def seconds(self) -> float:
        """The seconds of the whole command."""
        return sum(self.expected.values())

    @property
    def working(self) -> float:
        """The seconds in a process that has started and has read the data."""
        return sum(seconds for part, seconds in self.expected.items() if part not in ("starting", "data"))


class Costs:
    """Times trainings; parts that several of them share are timed once, until `forget`.

    `stand_in`: random images replace a missing data set. `in_part`: long steps are timed with a part of their images.
    `budget`: the total seconds for the repeats of each timing.
    """

    def __init__(self, *, stand_in: bool = False, budget: float | None = None) -> None:
        self.stand_in = stand_in
        self.budget = budget or BUDGET
        self.in_part = False
        self._data: dict[tuple[str, Path, Reading | None], tuple[ImageData, float]] = {}
        self._known: dict[Hashable, Any] = {}

    def forget(self) -> None:
        """Time everything again from now on; loaded data are kept."""
        self._known.clear()

    def load(self, name: str, data_dir: Path, *, download: bool = False, reading: Reading | None = None) -> ImageData:
        """`load_data`, with its time measured."""
        key = (name, data_dir, reading)
        if key not in self._data:
            data, seconds = self._found(name, data_dir, download=download, reading=reading)
            began = time.perf_counter()
            _ = data.fingerprint, data.normalisation
            self._data[key] = data, seconds + time.perf_counter() - began
        return self._data[key][0]

    def _found(self, name: str, data_dir: Path, *, download: bool, reading: Reading | None) -> tuple[ImageData, float]:
        """The data, and the seconds for reading them."""
        began = time.perf_counter()
        try:
            return load_data(name, data_dir, download=download, reading=reading), time.perf_counter() - began
        except StateError:
            if download or not self.stand_in or name not in DATASETS or DATASETS[name].size is None:
                raise
        say(f"{name} is not in {data_dir}: timed on as many random images of its size, without reading")
        return random_data(name), 0.0

    def of(self, plan: Plan[TrainingOptions]) -> Cost:
        """The cost of a settled training."""
        match plan.options:
            case Pretrain() as options:
                cost = self._pretrain(plan, options)
            case Probe() | Finetune() as options:
                cost = self._evaluation(plan, options)
        loaded = [seconds for (name, *_), (_, seconds) in self._data.items() if name == plan.options.dataset]
        return replace(cost, expected={"starting": STARTING, "data": max(loaded, default=0.0)} | cost.expected)

    def _step(self, training: Training, step: int) -> StepTime:
        return time_step(training, step, in_part=self.in_part, budget=self.budget)

    def _once(self, key: Hashable, work: Callable[[], T]) -> T:
        if key not in self._known:
            self._known[key] = work()
        found: T = self._known[key]
        return found

    def _pretrain(self, plan: Plan[TrainingOptions], options: Pretrain) -> Cost:
        context = plan.context
        method, training = pretraining.training_of(options, context)
        parts, steps, begin = [], training.steps, 0
        for size, until in view_size_plan(options.view_sizes):
            end = math.ceil(until * steps)
            if end > begin:
                step = self._once((*_signature(plan), size), lambda first=begin: self._step(training, first))  # type: ignore[misc]
                parts.append(step.times((end - begin) / steps))
            begin = end
        mean = sum(parts[1:], parts[0])
        epochs = range(1, math.ceil(steps / training.epoch_steps) + 1)
        measured = sum(is_measured(epoch, options, of=len(epochs)) for epoch in epochs)
        kept = sum(pretraining.is_kept(epoch, options, steps, training.epoch_steps) for epoch in epochs)
        expected = {"steps": steps * mean.seconds}
        expected["measuring"] = measured * self._measuring(plan, options, method) if measured else 0.0
        saving = self._saving(plan, training.module, training.optimizer.state_dict())
        expected["checkpoints"] = (_saves(expected["steps"]) + kept) * saving
        return Cost(expected, mean, steps, training.epoch_steps, training.batch_size)

    def _measuring(self, plan: Plan[TrainingOptions], options: Pretrain, method: Method) -> float:
        """Seconds for measuring h and z once; if that takes long, extrapolated from fewer images."""
        context = plan.context
        images = measured_images(options, context.data)
        some = max(BATCH, int(self.budget / self.seeing(plan, method.encoder)))
        fewer = replace(context, data=context.data if some >= images else context.data.first(some), watched=None)
        share = images / measured_images(options, fewer.data)
        measure = meter(method, options, fewer)
        key = (*_signature(plan), "measuring", options.knn_images)
        watching = self._watching(plan, options, method, some) if context.watched else 0.0
        return watching + share * self._once(key, lambda: seconds_of(lambda: measure(1), context.device))

    def _watching(self, plan: Plan[TrainingOptions], options: Pretrain, method: Method, some: int) -> float:
        """Seconds for measuring the watched images once, of which at most `some` are seen."""
        watched = plan.context.watched
        assert watched is not None
        images = sum(map(len, watched_rows(options, watched)))
        fewer = watched if some >= images else watched.first(some)
        share = images / sum(map(len, watched_rows(options, fewer)))
        watch = watcher(method, options, replace(plan.context, watched=fewer))
        key = (*_signature(plan), "watching", options.knn_images)
        return share * self._once(key, lambda: seconds_of(watch, plan.context.device))

    def _evaluation(self, plan: Plan[TrainingOptions], options: Probe | Finetune) -> Cost:
        protocol, data, seed = options.by_protocol, plan.context.data, options.seed or 0
        encoder = _encoder(plan).eval()
        start = Start(encoder, plan.context, seed, data.split(seed=seed, label_fraction=options.label_fraction))
        parts, own, image = start.parts, protocol.own(options.options()), self.seeing(plan, encoder)
        expected = {}
        if protocol.frozen:
            expected["representations"] = (len(parts.train) + len(parts.val) + len(data.test_images)) * image
            start = Frozen(encoder, plan.context, seed, parts, random_h(encoder.dim, data, parts))
        training = protocol.training(start, own) if protocol.training is not None else None
        mean, steps = (None, 0.0) if training is None else self._steps(plan, training, len(parts.train))
        pace = Pace(steps / training.steps if training is not None else 0.0, image)
        besides = self._once((*_signature(plan), len(parts.train), own), lambda: parts_of(protocol, start, own, pace))
        expected |= besides | of_folds(options, parts, len(data.test_images), once=steps + sum(besides.values()))
        if training is None:
            return Cost(expected | {"checkpoints": self._saving(plan, encoder, {})})
        expected["steps"] = steps
        saving = self._saving(plan, encoder, {} if protocol.frozen else training.optimizer.state_dict())
        expected["checkpoints"] = (_saves(sum(expected.values())) + 1) * saving
        return Cost(expected, mean, training.steps, training.epoch_steps, min(training.batch_size, len(parts.train)))

    def _steps(self, plan: Plan[TrainingOptions], training: Training, images: int) -> tuple[StepTime, float]:
        """A full step, and the seconds of all steps: the last of an epoch has fewer `images`, but updates all weights."""
        full = min(images, training.batch_size)
        step: StepTime = self._once((*_signature(plan), full), lambda: self._step(training, 0))
        share, optimizer = images / (full * training.epoch_steps), step.split["optimizer"]
        return step, training.steps * (optimizer + share * (step.seconds - optimizer))

    def seeing(self, plan: Plan[TrainingOptions], net: nn.Module) -> float:
        """Seconds per image of an encoder in evaluation mode."""
        data, device = plan.context.data, plan.context.device

        def see(count: int) -> float:
            images = chosen(data.train_images, slice(count))
            work = lambda: outputs(net, images, normalise=data.normalise, autocast=plan.context.autocast)  # noqa: E731
            return seconds_of(work, device) / len(images)

        def timed() -> float:
            first = see(BATCH // 4)
            return median(see(BATCH) for _ in range(max(1, min(5, int(self.budget / (BATCH * first))))))

        options = plan.options
        return self._once((options.backbone, options.stem, options.dataset, options.precision, str(device)), timed)

    def _saving(self, plan: Plan[TrainingOptions], module: nn.Module, optimizer: dict[str, object]) -> float:
        """Seconds to write a checkpoint."""

        def timed() -> float:
            with TemporaryDirectory() as folder:
                registry = Registry(Path(folder))
                run = registry.create("bench", experiment=plan.experiment, status="interrupted")
                state: State = {"model": module.state_dict(), "optimizer": optimizer}
                return seconds_of(lambda: save_checkpoint(registry, run, "last", state), plan.context.device)

        return self._once((*_signature(plan), "saving"), timed)


def _signature(plan: Plan[TrainingOptions]) -> tuple[object, ...]:
    """A key that is equal for trainings whose full steps cost the same."""
    values = plan.options.options()
    return plan.experiment, *((name, value) for name, value in values.items() if name not in FREE)


def _encoder(plan: Plan[TrainingOptions]) -> Encoder:
    options = plan.options
    encoder = build_encoder(options.backbone or "", stem=options.stem or "", seed=options.seed or 0)
    return encoder.to(plan.context.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _saves(seconds: float) -> int:
    """The number of checkpoints, including the last, that a training of `seconds` writes."""
    return int(seconds // SAVE_EVERY) + 1
