"""ssl bench: what a training would cost here, its step taken apart, and how long each preset would take."""

from __future__ import annotations

from typing import Any

from sslcli.bench.cost import Cost, Costs
from sslcli.bench.timing import forget_peak_memory, matmul_peak, peak_memory
from sslcli.console.tables import print_rows
from sslcli.options.command import TRAININGS, Bench, Pretrain, Study
from sslcli.plans.settling import Plan, tell_of_speed
from sslcli.runs.registry import Registry
from sslcli.runs.selection import open_registry, say
from sslcli.studies.study import over_time, preset_names, read_preset, trainings_of
from sslcli.training.device import describe
from sslcli.training.log import duration
from sslcli.workflows import finetuning as finetune
from sslcli.workflows import pretraining as pretrain
from sslcli.workflows import probing as probe
from sslcli.workflows.finishing import fill, inherit

SETTLE: dict[str, Any] = {"probe": probe.settle, "finetune": finetune.settle}
SECTIONS = {"pretrain": "pretraining", "probe": "probes", "finetune": "fine-tuning"}
CSV_COLUMNS = ("name", "seconds_per_step", "batch", "augmentation", "forward", "backward", "optimizer", "rest",
               "images_per_second", "matmul_share", "peak_memory", "steps", "expected_seconds")  # fmt: skip


def run(command: Bench) -> None:
    """Time the trainings that were asked for, then those of the presets."""
    first = command.trainings[0]
    registry, costs = open_registry(first), Costs(stand_in=True)
    columns = []
    for training, name in zip(command.trainings, differences(command.trainings), strict=True):
        say(f"timing {name}")
        columns.append({"name": name} | measure(registry, training, costs))
    presets: dict[str, dict[str, float]] = {}
    if command.presets or (command.presets is None and len(columns) == 1):
        costs.in_part = True
        for name in preset_names():
            say(f"timing preset {name}")
            presets[name] = of_preset(registry, name, first, costs)
    show(columns, presets, style=command.format)
    lines = [line if "--project" in line else registry.command(line) for line in command.typed]
    say(f"to run it, type: {', or: '.join(lines)}")


def differences(trainings: list[Any]) -> list[str]:
    """Each training by the options in which they differ; by its command if it is alone."""
    values = [training.options() for training in trainings]
    differing = [name for name in values[0] if any(other[name] != values[0][name] for other in values)]
    if not differing:
        return [f"ssl {type(training).__name__.lower()}" for training in trainings]
    return [" ".join(f"--{name.replace('_', '-')} {of[name]}" for name in differing) for of in values]


def settle(registry: Registry, command: Any, costs: Costs) -> Plan:
    """A training that is fully determined. What an encoder was trained to costs nothing: a random one stands in for it."""
    if isinstance(command, Pretrain):
        return pretrain.plan(registry, command, load=costs.load)
    earlier = {"at_epoch": None} if "at_epoch" in command.options() else {}
    inherited, _ = inherit(registry, command.because("costs the same", init="scratch", **earlier))
    plan: Plan = SETTLE[type(command).__name__.lower()](registry, inherited, None, load=costs.load)
    return plan


def measure(registry: Registry, command: Any, costs: Costs) -> dict[str, Any]:
    """A column: the training's step, its memory, and the seconds that the command takes."""
    plan = settle(registry, command, costs)
    device, options = plan.setting.device, plan.options
    tell_of_speed(device, [options.precision])
    peak = matmul_peak(device, options.precision)
    costs.forget()
    forget_peak_memory(device)
    cost = costs.of(plan)
    return {
        "device": describe(device),
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
    """Seconds of a preset's study, without its pictures, by kind of training; on the device and the data of `like`."""
    study = Study(preset=name, data_dir=like.data_dir, device=like.device)
    steps = trainings_of(read_preset(name), study)
    start = pretrain.plan(registry, Pretrain(**steps[0][1]), load=costs.load)
    of_start = costs.of(start)
    epochs = range(1, start.options.epochs + 1)
    kept = [epoch for epoch in epochs if pretrain.is_kept(epoch, start.options, of_start.steps, of_start.epoch_steps)]
    total = {"starting": of_start.expected["starting"]} | dict.fromkeys(TRAININGS, 0.0)
    total["pretrain"] = of_start.seconds - total["starting"]
    for kind, arguments in [*steps[1:], *over_time([step for step in steps if step[0] == "probe"], kept)]:
        values = {option: value for option, value in arguments.items() if option != "at_epoch"} | {"init": "scratch"}
        command = fill(TRAININGS[kind](**values), start.options.options(), f"from preset {name}")
        cost = costs.of(SETTLE[kind](registry, command, None, load=costs.load))
        total[kind] += cost.seconds - cost.expected["starting"]
    return total


def show(columns: list[dict[str, Any]], presets: dict[str, dict[str, float]], *, style: str) -> None:
    """Print the columns side by side, and the presets."""
    if style == "json":
        of_presets = {name: {"expected_seconds": sum(of.values()), "expected": of} for name, of in presets.items()}
        print_rows(columns, {}, style="json", whole={"columns": columns, "presets": of_presets})
    elif style == "csv":
        rows = [column | column.get("split", {}) for column in columns]
        rows += [{"name": name, "expected_seconds": sum(of.values())} for name, of in presets.items()]
        print_rows(rows, dict(zip(CSV_COLUMNS, CSV_COLUMNS, strict=True)), style="csv")
    else:
        heads = {str(number): column["name"] for number, column in enumerate(columns)}
        words = [in_words(column) for column in columns]
        most_first = sorted(words, key=len, reverse=True)  # a protocol without steps lacks their lines
        lines = dict.fromkeys(line for of in most_first for line in of)
        rows = [{"": line} | {place: of.get(line, "") for place, of in zip(heads, words, strict=True)} for line in lines]
        print_rows(rows, {"": columns[0]["device"]} | heads, style=style)
        if presets:
            print()
            titles = {"": "expected time of the study", "whole": "whole"} | SECTIONS
            print_rows([_preset_row(name, of) for name, of in presets.items()], titles, style=style)


def _preset_row(name: str, of: dict[str, float]) -> dict[str, str]:
    parts = {section: duration(of[section]) for section in SECTIONS}
    return {"": f"ssl study --preset {name}", "whole": duration(sum(of.values()))} | parts


def in_words(column: dict[str, Any]) -> dict[str, str]:
    """A column as a person reads it: the lines' names and what stands in them."""
    lines = {}
    if "split" in column:
        lines = {"seconds a step": f"{column['seconds_per_step']:.4g}"}
        lines |= {
            f"  {phase}": f"{seconds:.4g} ({seconds / column['seconds_per_step']:.0%})"
            for phase, seconds in column["split"].items()
        }
        lines["images a second"] = f"{column['images_per_second']:,.0f}"
        share, peak, precision = column["matmul_share"], column["matmul_peak"], column["precision"]
        lines["share of the peak of products"] = f"{share:.0%} of {peak / 1e12:.3g} TFLOP/s, {precision}"
    if column["peak_memory"] is not None:
        lines["most memory, all in all"] = f"{column['peak_memory'] / 2**30:.2f} GiB"
    lines["expected time"] = duration(column["expected_seconds"])
    return lines | {f"  {part}": duration(seconds) for part, seconds in column["expected"].items()}
