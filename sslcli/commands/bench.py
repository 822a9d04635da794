"""ssl bench: what a training would cost here, its step taken apart, and how long each preset would take."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from sslcli.console.messages import say
from sslcli.options.annotations import Format
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Bench(Command):
    """What would this cost here? Times a few steps of ssl pretrain (or probe, finetune) and says how long the command takes.

    Takes every option of that command: ssl bench finetune --batch-size 256. An option given twice compares side by side: ssl
    bench --precision bf16 --precision fp32; several such are paired in order. Nothing is written. Random images
    stand in for a named data set that is missing. The share of the peak counts the step's matrix products and convolutions,
    against the product of two large matrices in the same precision. Times of presets are without their pictures.
    """

    words: Annotated[
        list[str] | None,
        Argument(
            metavar="[pretrain|probe|finetune] [OPTIONS]", help="The command to time, and its options: ssl pretrain --help."
        ),
    ] = None
    presets: Annotated[
        bool | None, Option("--presets/--no-presets", help="The time of each preset too; default: unless two are compared.")
    ] = None
    format: Format = "table"
    config: Path | None = field(init=False, default=None)  # as the next, an option of the command that is timed
    project: Path | None = field(init=False, default=None)
    trainings: list[Any] = field(init=False, default_factory=list)  # filled in: what the words mean, built and checked
    typed: list[str] = field(init=False, default_factory=list)  # filled in: the command line of each


def run(command: Bench) -> None:
    """Time the trainings that were asked for, then those of the presets."""
    from sslcli.bench.columns import differences, measure, of_preset
    from sslcli.bench.cost import Costs
    from sslcli.bench.shown import show
    from sslcli.options.presets import preset_names

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
