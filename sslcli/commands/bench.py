"""ssl bench: the time and memory of a training here, the parts of its step, and the time of each preset."""

from __future__ import annotations

import re
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
    """Estimate what a training would cost here: time a few steps of ssl pretrain (or probe, finetune); write nothing.

    Takes every option of that command: ssl bench finetune --batch-size 256. Give an option twice to compare two values:
    ssl bench --precision bf16 --precision fp32. If several options are repeated, their first values belong together.

    If a named data set is missing, random images replace it. The fraction of peak matmul speed is the speed of the step's
    products and convolutions, divided by that of one large product in the same precision. Times of presets leave out drawing.
    """

    words: Annotated[
        list[str] | None,
        Argument(
            metavar="[pretrain|probe|finetune] [OPTIONS]",
            help="Command to time, with its options (ssl pretrain --help lists them).",
        ),
    ] = None
    presets: Annotated[
        bool | None, Option("--presets/--no-presets", help="Time each preset too. Default: yes, unless values are compared.")
    ] = None
    format: Format = "table"
    config: Path | None = field(init=False, default=None)  # like the next, an option of the command that is timed
    project: Path | None = field(init=False, default=None)
    trainings: list[Any] = field(init=False, default_factory=list)  # filled in later: the options of each command to time
    typed: list[str] = field(init=False, default_factory=list)  # filled in later: the command line of each


def run(command: Bench) -> None:
    """Time the trainings on the command line, then those of the presets."""
    from sslcli.bench.columns import differences, measure, of_preset
    from sslcli.bench.cost import Costs
    from sslcli.bench.machine import class_in_words
    from sslcli.bench.minutes import LONG
    from sslcli.bench.shown import show
    from sslcli.console.progress import duration
    from sslcli.options.study import preset_files

    first = command.trainings[0]
    registry, costs = open_registry(first), Costs(stand_in=True)
    columns = []
    for training, name in zip(command.trainings, differences(command.trainings), strict=True):
        say(f"timing {name}")
        columns.append({"name": name} | measure(registry, training, costs))
    say(class_in_words(columns[0]["machine_class"]))
    presets: dict[str, dict[str, float]] = {}
    if command.presets or (command.presets is None and len(columns) == 1):
        costs.in_part = True
        for name in preset_files():
            say(f"timing preset {name}")
            presets[name] = of_preset(registry, name, first, costs)
    show(columns, presets, style=command.format)
    lines = [line if "--project" in line else registry.command(line) for line in command.typed]
    seconds = max(column["expected_seconds"] for column in columns)
    if seconds > LONG and lines[0].startswith("ssl pretrain") and columns[0]["machine_class"] != "cuda":
        sooner = re.sub(r" --(epochs|max-steps)[ =]\S+", "", lines[0])
        say(f"this would take {duration(seconds)}; for a result sooner, type: {sooner} --minutes 15")
    say(f"to run it, type: {', or: '.join(lines)}")
