"""Options from YAML: names and values, each converted and checked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar, get_args

from sslcli.errors import UsageError, did_you_mean
from sslcli.options.command import NO_OPTION_OF_A_RUN, Command
from sslcli.options.values import check

CommandT = TypeVar("CommandT", bound=Command)


class Optioned(Protocol):
    """A class whose fields are options, such as a command."""

    @classmethod
    def hints(cls, values: Mapping[str, object]) -> dict[str, object]:
        """The annotations that these values are checked against."""
        ...


def build(kind: type[CommandT], values: Mapping[str, object]) -> CommandT:
    """The options of a command with these values; a UsageError if a value is not accepted."""
    of_any_values: Callable[..., CommandT] = kind
    return of_any_values(**values)


def from_mapping(kind: type[Optioned], values: object, source: str) -> dict[str, object]:
    """Turn YAML content into checked keyword arguments of `kind`; `source` names the place in messages."""
    if not isinstance(values, dict):
        raise UsageError(f"{source} must hold option names and values, not {type(values).__name__}: {str(values)[:60]!r}")
    hints, arguments = kind.hints(values), dict[str, object]()
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


def _convert(place: str, hint: object, value: object) -> object:
    """Turn text into a Path where one is wanted, and text like 1e-3 (which YAML does not read as a number) into a number.

    A whole number becomes a float where a float is wanted, or 1 and 1.0 would count as two settings.
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
