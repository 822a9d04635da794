"""What --help shows beside an option: the values that it takes, in words. Imports no torch."""

from __future__ import annotations

import copy
from pathlib import Path
from types import NoneType
from typing import Annotated, get_args, get_origin

from typer.models import OptionInfo

from sslcli.options.values import Above

NO_END = 10**6
"""A person never reaches an upper bound from here on."""
_NAMES: dict[object, str] = {bool: "", int: "<int>", float: "<number>", str: "<text>", Path: "<path>", list: "<text>"}


def in_help(hint: object) -> object:
    """The annotation for Typer, without bounds: `check` compares a value with them, and names them when it refuses one."""
    kind, *metadata = get_args(hint)
    member = next((member for member in get_args(kind) if member is not NoneType), kind)
    shown = [copy.copy(item) for item in metadata]
    for item in (item for item in shown if isinstance(item, OptionInfo)):
        bounds = _bounds(item, next((above.low for above in metadata if isinstance(above, Above)), None))
        item.metavar = item.metavar or bounds or _NAMES.get(get_origin(member) or member)
        item.min = item.max = None
    return Annotated[kind, *shown]


def _bounds(option: OptionInfo, above: float | None) -> str:
    """The range of a number where it has two ends or excludes one; "" otherwise."""
    high = None if option.max is None or option.max >= NO_END else option.max
    if above is not None:
        return f"<above {above:g}>" if high is None else f"<above {above:g} to {high:g}>"
    return "" if option.min is None or high is None else f"<{option.min:g} to {high:g}>"
