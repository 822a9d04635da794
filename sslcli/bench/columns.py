"""The measurements of ssl bench: the parts of a training's step, the time of its command, and the time of each preset."""

from __future__ import annotations

from typing import Any

from sslcli.bench.cost import Cost, Costs
from sslcli.bench.machine import machine_class
from sslcli.bench.minutes import settle_minutes
from sslcli.bench.timing import forget_peak_memory, matmul_peak, peak_memory
from sslcli.options.mapping import build
from sslcli.options.presets import over_time, read_preset, trainings_of
from sslcli.options.pretrain import Pretrain
from sslcli.options.study import Study
from sslcli.options.trainings import TRAININGS, TrainingOptions
from sslcli.plans import evaluating, pretraining
from sslcli.plans.inheriting import fill, inherit
from sslcli.plans.plan import Plan
from sslcli.runs.registry import Registry
from sslcli.training.device import describe, tell_of_speed


def differences(trainings: list[Any]) -> list[str]:
    """A name for each training: the options in which they differ, or its command if none differ."""
    values = [training.options() for training in trainings]
    differing = [name for name in values[0] if any(other[name] != values[0][name] for other in values)]
    if not differing:
        return [f"ssl {type(training).__name__.lower()}" for training in trainings]
    return [" ".join(f"--{name.replace('_', '-')} {of[name]}" for name in differing) for of in values]


def settle(registry: Registry, command: Any, costs: Costs) -> Plan[TrainingOptions]:
    """A fully determined training. A random encoder replaces a pretrained one, because it costs the same."""
    if isinstance(command, Pretrain):
        return pretraining.plan(registry, command, settle_minutes=settle_minutes, load=costs.load)
    earlier = {"at_epoch": None} if "at_epoch" in command.options() else {}
    inherited, _ = inherit(registry, command.because("costs the same", init="scratch", **earlier))
    return evaluating.settle(registry, inherited, None, load=costs.load)


def measure(registry: Registry, command: Any, costs: Costs) -> dict[str, Any]:
    """A column: the training's step, its memory, and the seconds of the whole command."""
    plan = settle(registry, command, costs)
    device, options = plan.context.device, plan.options
    tell_of_speed(device, [options.precision])
    peak = matmul_peak(device, options.precision)
    costs.forget()
    forget_peak_memory(device)
    cost = costs.of(plan)
    return {
        "device": describe(device),
        "machine_class": machine_class(device),
        "options": options.options(),
        "precision": options.precision,
        "matmul_peak": peak,
        "peak_memory": peak_memory(device),
        "steps": cost.steps,
        "expected_seconds": cost.seconds,
        "expected": cost.expected,
    } | _of_step(cost, peak)


def _of_step(cost: Cost, peak: float) -> dict[str, Any]:
    if cost.step is None:
        return {}
    seconds = cost.step.seconds
    return {
        "seconds_per_step": seconds,
        "split": cost.step.split | {"rest": max(0.0, seconds - sum(cost.step.split.values()))},
        "images_per_second": cost.batch_size / seconds,
        "matmul_share": cost.step.operations / seconds / peak,
    }


def of_preset(registry: Registry, name: str, like: Any, costs: Costs) -> dict[str, float]:
    """Seconds of a preset's study without its pictures, by kind of training, on the device and the data of `like`."""
    study = Study(preset=name, data_dir=like.data_dir, device=like.device)
    steps = trainings_of(read_preset(name), study)
    first, *others = (build(Pretrain, arguments) for kind, arguments in steps if kind == "pretrain")
    start = pretraining.plan(registry, first.because("not timed", minutes=None), settle_minutes=settle_minutes, load=costs.load)
    of_start = costs.of(start)
    epochs = range(1, 1 if first.minutes else start.options.epochs + 1)
    kept = [epoch for epoch in epochs if pretraining.is_kept(epoch, start.options, of_start.steps, of_start.epoch_steps)]
    total = {"starting": of_start.seconds - of_start.working} | dict.fromkeys(TRAININGS, 0.0)
    total["pretrain"] = 60 * first.minutes if first.minutes else of_start.working
    total["pretrain"] += sum(_of_other_method(registry, options, costs) for options in others)
    evaluations = [step for step in steps if step[0] != "pretrain"]
    again = [step for step in evaluations if step[1].get("init") == "pretrained"]  # all methods share the scratch runs
    probes = over_time([step for step in steps if step[0] == "probe"], kept)
    for kind, arguments in [*evaluations, *len(others) * again, *(1 + len(others)) * probes]:
        values = {option: value for option, value in arguments.items() if option != "at_epoch"} | {"init": "scratch"}
        evaluation: Any = build(TRAININGS[kind], values)
        command = fill(evaluation, start.options.options(), f"from preset {name}")
        total[kind] += costs.of(evaluating.settle(registry, command, None, load=costs.load)).working
    return total


def _of_other_method(registry: Registry, options: Pretrain, costs: Costs) -> float:
    """Working seconds of another pretraining of a preset; those that are given in minutes are not timed."""
    if options.minutes:
        return 60 * options.minutes
    return costs.of(pretraining.plan(registry, options, settle_minutes=settle_minutes, load=costs.load)).working
