"""ssl alone: where you stand, and the next command. Imports no torch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sslcli.registry import Registry, Run, find_project

FIRST_STEPS = """\
ssl: self-supervised learning on images, and whether it helped.

  ssl study                          the whole study on made pictures, in minutes, no data needed
  ssl study --preset cifar10-cpu     the same on CIFAR-10, on two CPU cores
  ssl pretrain                       train an encoder without labels
  ssl probe, ssl finetune            measure it; --init scratch: beside an untrained one
  ssl compare                        the table, and the answer
  ssl runs list, ssl resume          what was run; go on with what was interrupted
  ssl --help                         everything
"""


def run() -> None:
    """Print the commands, the state of the project in a line, and what to type next."""
    registry = Registry(find_project(Path.cwd()))
    runs = registry.runs()
    print(FIRST_STEPS)
    counts = Counter(f"{registry.status(run)} {run.experiment}" for run in runs)
    state = ", ".join(f"{number} {kind}" for kind, number in counts.items()) or "no runs yet"
    print(f"Project {registry.root}: {state}.")
    print(f"Next, type: {next_command(registry, runs)}")


def next_command(registry: Registry, runs: list[Run]) -> str:
    """What a person would most likely want to do now."""
    own = [run for run in runs if run.status != "published"]
    if not own:
        return "ssl study"
    stopped = [run for run in own if registry.status(run) == "interrupted"]
    if stopped:
        return f"ssl resume {stopped[-1].id}"
    finished = {(run.experiment, run.init) for run in own if run.status == "finished"}
    for experiment, command in (("linear_eval", "probe"), ("finetune", "finetune")):
        if ("pretrain", None) in finished and (experiment, "pretrained") not in finished:
            return f"ssl {command}"
        if (experiment, "pretrained") in finished and (experiment, "scratch") not in finished:
            return f"ssl {command} --init scratch"
    return "ssl compare" if any(run.experiment != "pretrain" for run in own) else "ssl pretrain"
