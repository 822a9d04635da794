"""Where a command works and what counts as the same: imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from sslcli.config import Command
from sslcli.errors import StateError
from sslcli.registry import EXPERIMENTS, Registry, Run, find_project

NOT_IN_PAIR = ("init", "encoder", "at_epoch", "name", "data_dir", "download", "device")
"""Options in which the two runs of a pair may differ: init, the encoder that it stands for, and where things are."""


def say(text: str) -> None:
    """A message to the person, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def open_registry(command: Command) -> Registry:
    """The registry of the project that a command works in."""
    named = command.project or os.environ.get("SSL_PROJECT")
    root = Path(named) if named else find_project(Path.cwd())
    if root.exists() and not root.is_dir():
        raise StateError(f"--project {root} is not a folder")
    return Registry(root.resolve())


def comparable(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the two runs of a pair share."""
    return {name: value for name, value in options.items() if name not in NOT_IN_PAIR}


def pair_key(experiment: str, options: dict[str, Any], fingerprint: str) -> str:
    """Twelve hexadecimal digits that are equal for runs on equal data whose resolved options differ in `init` alone."""
    text = json.dumps([experiment, comparable(options), fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changed_options(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The options in which two runs differ and a pair may not, in words: name (old against new)."""
    first, second = comparable(old), comparable(new)
    return [
        f"{key} ({first.get(key)} against {second.get(key)})" for key in first | second if first.get(key) != second.get(key)
    ]


def next_command(registry: Registry) -> str:
    """What a person would most likely want to do now."""
    own = [run for run in registry.runs() if run.status != "published"]
    if not own:
        return registry.command("ssl study")
    last = own[-1]
    if registry.status(last) in ("interrupted", "failed"):
        return recorded_command(registry, last) if last.study else registry.command(f"ssl resume {last.id}")
    if last.experiment == "pretrain":
        return registry.command("ssl probe")
    evaluations = [run for run in own if run.experiment != "pretrain" and run.status == "finished"]
    inits = {(run.pair, run.init) for run in evaluations}
    lonely = [run for run in evaluations if not {(run.pair, "pretrained"), (run.pair, "scratch")} <= inits]
    return partner_command(registry, lonely[-1]) if lonely else registry.command("ssl compare")


def partner_command(registry: Registry, run: Run) -> str:
    """The command that makes the partner of an evaluation: the one that made it, with the other --init."""
    return recorded_command(registry, run, f"--init {'scratch' if run.init == 'pretrained' else 'pretrained'}")


def recorded_command(registry: Registry, run: Run, addition: str = "") -> str:
    """The command that made a run, to be typed from here, with an option added or changed."""
    words = shlex.split(record_or_index(registry, run).command or f"ssl {EXPERIMENTS[run.experiment]}")
    for option in ("--project", "--name", "--at-epoch", *addition.split()[:1]):
        while option in words:
            del words[words.index(option) : words.index(option) + 2]
        words = [word for word in words if not word.startswith(f"{option}=")]
    return registry.command(shlex.join([*words, *addition.split()]))


def record_or_index(registry: Registry, run: Run) -> Run:
    """The whole record of a run; what the index has where its folder is lost."""
    try:
        return registry.load(run)
    except StateError:
        return run
