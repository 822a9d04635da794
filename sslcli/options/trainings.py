"""The commands that make runs, and the file of --config, which may have a section for each of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from sslcli.errors import UsageError
from sslcli.files import load_yaml
from sslcli.options.command import Command
from sslcli.options.finetune import Finetune
from sslcli.options.mapping import from_mapping
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe

TrainingOptions = Pretrain | Probe | Finetune
"""The options of a command that trains."""
OptionsT = TypeVar("OptionsT", Pretrain, Probe, Finetune)
OptionsT_co = TypeVar("OptionsT_co", bound=TrainingOptions, covariant=True)
EvaluationT = TypeVar("EvaluationT", Probe, Finetune)
TRAININGS: dict[str, type[TrainingOptions]] = {
    "pretrain": Pretrain,
    "probe": Probe,
    "finetune": Finetune,
}
"""The commands that train, and so make runs."""


def with_file(command: Command) -> Command:
    """Add the options of the --config file that the command line does not give. A file may have a section per command."""
    if command.config is None:
        return command
    if not command.config.is_file():
        raise UsageError(
            f"--config {command.config}: there is no such file; accepted: a YAML file with a line NAME: VALUE for each option; "
            f"to see the options, type: ssl {_typed(command)} --help"
        )
    values = _own_section(load_yaml(command.config), type(command).__name__.lower(), command.config)
    arguments = from_mapping(type(command), values, str(command.config))
    given = {name for name, origin in command.origins.items() if origin == "command line"}
    return command.because(str(command.config), **{name: value for name, value in arguments.items() if name not in given})


def _typed(command: Command) -> str:
    """The words of a command as they are typed, from the name of its class: DataCheck is data check."""
    return " ".join(re.findall("[A-Z][a-z]+", type(command).__name__)).lower()


def _own_section(values: object, section: str, path: Path) -> object:
    """The part of a file that is meant for a command: its section if the file has sections of commands, else everything."""
    if not isinstance(values, dict) or not values or not set(values) <= set(TRAININGS):
        return values
    if section not in values:
        hint = f"; as a study: ssl study --preset {path}" if section == "study" else ""
        raise UsageError(f"{path}: no section {section} for ssl {section}; it has: {', '.join(values)}{hint}")
    own = values[section] or {}
    if isinstance(own, list):
        if len(own) != 1:
            raise UsageError(f"{path}: the section {section} has {len(own)} entries; a --config file may have one")
        own = own[0] or {}
    return own
