"""Options from what YAML gave: names and values, each converted and checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from sslcli.errors import UsageError
from sslcli.options.command import NO_OPTION_OF_A_RUN, Command
from sslcli.options.values import check, did_you_mean


def from_mapping(kind: type[Command], values: Any, source: str) -> dict[str, Any]:
    """Turn what YAML gave into keyword arguments of `kind`, each checked; `source` names the place in messages."""
    if not isinstance(values, dict):
        raise UsageError(f"{source} must hold option names and values, not {type(values).__name__}: {str(values)[:60]!r}")
    hints, arguments = kind.hints(values), {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in hints or name == "config":
            known = [hint for hint in hints if hint not in NO_OPTION_OF_A_RUN]
            raise UsageError(f"{source}: no option {str(key)!r}; {did_you_mean(name, known)}accepted: {', '.join(known)}")
        arguments[name] = _convert(f"{source}: {key}", hints[name], value)
        try:
            check(name, hints[name], arguments[name])
        except UsageError as error:
            raise UsageError(f"{source}: {error}") from None
    return arguments


def _convert(place: str, hint: Any, value: Any) -> Any:
    """Paths come as text; so do numbers like 1e-3, which YAML reads as text: taken as the number, and said.

    A whole number for what may be a fraction becomes such a one, or 1 and 1.0 would be two settings.
    """
    kinds = (get_args(hint)[0], *get_args(get_args(hint)[0]))
    if Path in kinds and isinstance(value, str):
        return Path(value)
    if float in kinds and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if float in kinds and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        print(
            f"{place}: {value!r} is text in YAML (it wants 1.0e-3, not 1e-3); taken as the number {number:g}", file=sys.stderr
        )
        return number
    return value
