"""An option that a study lacks and its trainings have: how to set it in the study. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import get_args

from sslcli.errors import nearest
from sslcli.options.command import NO_OPTION_OF_A_RUN
from sslcli.options.trainings import TRAININGS

DECIDED = (*NO_OPTION_OF_A_RUN, "name", "init", "encoder", "at_epoch")
"""Options of trainings that the study itself sets, or that no training records."""


def set_in_study(option: str, value: str | None, *, own: Iterable[str]) -> str:
    """The words for a wrong option of `ssl study`, as --optimzer: the option of a training that is meant, and --set for it.

    "" if no training has one like it, or if one of the study's `own` options is more like it. `value` is what was typed after
    it, if anything was.
    """
    kinds: dict[str, list[str]] = {}
    for kind, options in TRAININGS.items():
        for name in options.hints({}):
            if name not in DECIDED:
                kinds.setdefault(f"--{name.replace('_', '-')}", []).append(kind)
    meant = nearest(option, [*own, *kinds])
    if meant is None or meant not in kinds:
        return ""
    first, *others = kinds[meant]
    name = meant.removeprefix("--")
    is_flag = bool in get_args(TRAININGS[first].hints({})[name.replace("-", "_")])
    shown = value if value and value.isprintable() else "true" if is_flag else "VALUE"
    setting = f"--set {shlex.quote(f'{first}.{name}={shown}')}"
    more = f" (or {', '.join(f'{kind}.{name}' for kind in others)})" if others else ""
    whose = f"ssl {first} has it; " if meant == option else f"did you mean {meant} of ssl {first}? "
    return f"{whose}in a study add: {setting}{more}"
