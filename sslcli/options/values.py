"""The values of an option: check one (type, choices, bounds), and show in --help what is accepted."""

from __future__ import annotations

import copy
import re
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from typer.models import OptionInfo, ParameterInfo

from sslcli.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class OneOf:
    """Metadata of a text option: the accepted values, and prefixes (like folder:) that any text may follow.

    `form` is another accepted form: how help shows it, and its pattern.
    """

    values: tuple[str, ...]
    beginnings: tuple[str, ...] = ()
    form: tuple[str, re.Pattern[str]] | None = None

    def accepts(self, value: str) -> bool:
        """Whether it is one of the values, starts with a prefix, or has the form."""
        begins = any(value.startswith(begin) and value != begin for begin in self.beginnings)
        return value in self.values or begins or (self.form is not None and self.form[1].fullmatch(value) is not None)

    def in_words(self) -> str:
        """What is accepted, for messages."""
        return ", ".join([*self.values, *(f"{begin}…" for begin in self.beginnings), *([self.form[0]] if self.form else [])])


@dataclass(frozen=True)
class Above:
    """Metadata of a number: it must be greater than this."""

    low: float


@dataclass(frozen=True)
class But:
    """Metadata of a text option: it must not be this word, which has its own meaning."""

    word: str


def one_of(*groups: Iterable[str], beginnings: tuple[str, ...] = ()) -> OneOf:
    """The names of all groups, each once, and everything with one of the prefixes `beginnings`."""
    return OneOf(tuple(dict.fromkeys(name for group in groups for name in group)), beginnings)


class _Read(NamedTuple):
    """An annotation, taken apart. It is kept, so that no other one gets its identity."""

    hint: object
    kind: type[object]
    optional: bool
    metadata: list[object]


_READ: dict[int, _Read] = {}


def _read(hint: object) -> _Read:
    """An annotation, taken apart once: a study checks a hundred thousand values against the same few hundred."""
    if (known := _READ.get(id(hint))) is None:
        kind, *metadata = get_args(hint)
        if optional := get_origin(kind) in (Union, types.UnionType):
            kind = next(member for member in get_args(kind) if member is not types.NoneType)
        if get_origin(kind) is Literal:
            metadata.append(OneOf(get_args(kind)))
            kind = str
        known = _READ[id(hint)] = _Read(hint, list if get_origin(kind) is list else kind, optional, metadata)
    return known


def check(name: str, hint: object, value: Any) -> None:
    """Check a value against its annotation: type, choices, bounds. A UsageError says what is accepted."""
    _, kind, optional, metadata = _read(hint)
    if value is None and optional:
        return
    option = "--" + name.replace("_", "-")
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    fits = fits and (kind is not list or all(isinstance(item, str) for item in value))
    if not fits or (kind is float and not abs(value) <= sys.float_info.max):  # no infinity and no NaN
        raise UsageError(f"{option} takes {_WORDS[kind]}, not {value!r}")
    if kind is str and not value.isprintable():
        raise UsageError(f"{option} {value!r}: accepted are printable characters")
    for item in metadata:
        if isinstance(item, OneOf) and not item.accepts(value):
            raise UsageError(f"{option} {value!r}: {did_you_mean(value, item.values)}accepted: {item.in_words()}")
        if isinstance(item, But) and value == item.word:
            raise UsageError(f"{option} {value}: {value} means the newest run; choose another name")
    if kind in (int, float):
        _check_range(option, kind, metadata, value)


def _check_range(option: str, kind: type[object], metadata: list[object], value: float) -> None:
    """Check a number against the bounds of its annotation; the message names both."""
    low, high = next(((item.min, item.max) for item in metadata if isinstance(item, ParameterInfo)), (None, None))
    above = next((item.low for item in metadata if isinstance(item, Above)), None)
    if (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above):
        return
    words = [f"above {above} and"] * (above is not None)
    if low is None:
        words += [] if high is None else [f"up to {high:,.9g}"]
    else:
        words.append(f"of {low} or more" if high is None else f"from {low} to {high}")
    shown = value if kind is int else f"{value:g}"
    raise UsageError(f"{option} {shown}: accepted is {_WORDS[kind]} {' '.join(words)}")


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path", list: "a list of texts"}


NO_END = 10**6
"""A person never reaches an upper bound from here on."""
_NAMES: dict[object, str] = {bool: "", int: "<int>", float: "<number>", str: "<text>", Path: "<path>", list: "<text>"}


def in_help(hint: object) -> object:
    """The annotation for Typer, without bounds: `check` compares a value with them, and names them when it refuses one."""
    kind, *metadata = get_args(hint)
    member = next((member for member in get_args(kind) if member is not types.NoneType), kind)
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
