"""Keys that are equal for two runs that make a pair, a setup, or the same job. Imports no torch.

Recorded keys of all versions can be compared, even from the index, which has no options. Therefore an option that version 1
did not have counts only if it is not at its default. The options of version 1 always count, under the names that they had
then; one that was removed since counts at the default that it had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields

from sslcli.data import FOLDER
from sslcli.methods import options_of
from sslcli.options.command import NO_OPTION_OF_A_RUN
from sslcli.options.of_methods import OF_METHODS
from sslcli.options.trainings import TRAININGS
from sslcli.runs.naming import file_of_method
from sslcli.runs.option_versions import FIRST, added_since_first, first_name, method_of
from sslcli.runs.run import EXPERIMENTS

NOT_IN_PAIR = ("init", "encoder", "at_epoch", "name", "data_dir", "download", "device", "deterministic", "labels", "image_size",
               "fit", "watch")  # fmt: skip
"""Options in which the two runs of a pair may differ: init and its encoder, places, what the data's fingerprint covers, and
what is only looked at.
"""


def defaults_of_newer(experiment: str, options: dict[str, object]) -> dict[str, object]:
    """The options that version 1 did not have, at the values that count for older runs: from CHANGES, else the defaults.

    If the run with these `options` has a method that version 1 did not have, all options of the method are included.
    """
    command = EXPERIMENTS[experiment]
    method = method_of(command, options)
    own = {} if method is None else {name: option.default for name, option in options_of(method).items()}
    all_own = method != FIRST[command].get("method")
    common = {name: value for name, value in _defaults(command).items() if name not in OF_METHODS or command != "pretrain"}
    newer = {
        name: value for name, value in (common | own).items()
        if first_name(command, name) not in FIRST[command] or (all_own and name in own)
    }  # fmt: skip
    return newer | added_since_first(command, method=method)


def comparable(experiment: str, options: dict[str, object]) -> dict[str, object]:
    """The options that the two runs of a pair share, without newer ones at their default.

    The path of a folder does not count: the fingerprint covers its content. Nor does that of a method's file, whose code
    is in the key.
    """
    newer = defaults_of_newer(experiment, options)
    shared = {
        name: value for name, value in options.items()
        if name not in NOT_IN_PAIR and not (name in newer and value == newer[name])
    }  # fmt: skip
    in_file = file_of_method(shared.get("method"))
    return (
        shared
        | ({"dataset": FOLDER} if str(shared.get("dataset")).startswith(FOLDER) else {})
        | ({"method": f":{in_file[1]}"} if in_file else {})
    )


def pair_key(experiment: str, options: dict[str, object], fingerprint: str, *, but: tuple[str, ...] = ()) -> str:
    """Twelve hexadecimal digits, equal for runs on equal data whose options differ only in `init` and `but`."""
    command = EXPERIMENTS[experiment]
    known = {first_name(command, name) for name in _defaults(command)}
    gone = {name: value for name, value in FIRST[command].items() if name not in known}
    counting = {name: value for name, value in comparable(experiment, options).items() if name not in but}
    shared = comparable(experiment, gone) | {first_name(command, name): value for name, value in counting.items()}
    text = json.dumps([experiment, shared, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def begun_with(fingerprint: str, *files: Mapping[str, object]) -> str:
    """The fingerprint of the data and of the files that a pretraining starts from: others' weights, a method's code."""
    return "".join([fingerprint, *(str(file.get("sha256", "")) for file in files)])


def changed_options(experiment: str, old: dict[str, object], new: dict[str, object]) -> list[str]:
    """The options that differ between two runs and keep them from being a pair, as: name (old against new)."""
    first, second = (defaults_of_newer(experiment, values) | comparable(experiment, values) for values in (old, new))
    return [
        f"{key} ({first.get(key)} against {second.get(key)})" for key in first | second if first.get(key) != second.get(key)
    ]


def _defaults(command: str) -> dict[str, object]:
    """The options that runs of a command record today, with their defaults."""
    return {field.name: field.default for field in fields(TRAININGS[command]) if field.name not in NO_OPTION_OF_A_RUN}
