"""The options of each method, as options of ssl pretrain, with the method's defaults and help."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, TypeVar, get_args, get_origin

from typer.models import ParameterInfo

from sslcli.methods import FILES, MethodFile, methods_with
from sslcli.options.annotations import METHOD
from sslcli.options.command import Command

T = TypeVar("T")
OF_METHODS = tuple(dict.fromkeys(name for file in FILES.values() for name in file.options))
"""The options of ssl pretrain that belong only to some methods."""


@lru_cache(maxsize=64)  # a study asks thousands of times
def method_hints(file: MethodFile | None) -> Mapping[str, object]:
    """The annotations of a method's options, in their own panel of --help."""
    return {} if file is None else {name: in_panel(option.hint) for name, option in file.options.items()}


def in_panel(hint: object, **changed: object) -> object:
    """An annotation in the methods' panel of --help, with the `changed` attributes."""
    kind, *metadata = get_args(hint)
    shown = [copy.copy(item) for item in metadata]
    for item in shown:
        if isinstance(item, ParameterInfo):
            vars(item).update(changed | {"rich_help_panel": METHOD})
    return Annotated[kind, *shown]


def of_any_method(file: MethodFile, name: str) -> object:
    """The annotation of an option, whichever method has it: may be None, without the bounds, which each method sets."""
    kind, *metadata = get_args(in_panel(file.options[name].hint, min=None, max=None))
    return Annotated[(str if get_origin(kind) is Literal else kind) | None, *metadata]


def with_options_of_methods(kind: type[T]) -> type[T]:
    """Add the options of all methods to a class, after --init. None means the method's default, if it has the option."""
    if taken := [name for name in OF_METHODS if name in kind.__annotations__ | Command.__annotations__]:
        raise TypeError(f"options of a method have names that all methods' options have: {', '.join(taken)}")
    annotations: dict[str, object] = {}
    for name, hint in kind.__annotations__.items():
        annotations[name] = hint
        if name == "init":
            annotations |= {option: of_any_method(FILES[methods_with(option)[0]], option) for option in OF_METHODS}
    kind.__annotations__ = annotations
    for option in OF_METHODS:
        setattr(kind, option, None)
    return kind
