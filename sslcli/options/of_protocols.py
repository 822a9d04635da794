"""The options of protocols as options of the command that makes their runs: each protocol's own, with its default and help."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar, get_args, get_type_hints

from typer import Option
from typer.models import ParameterInfo

from sslcli.evaluation.protocols import PROTOCOLS, own_options
from sslcli.training.recipe import TRAINING

T = TypeVar("T")


def with_options_of_protocols(command: str) -> Callable[[type[T]], type[T]]:
    """Give a class the options of the protocols that a command evaluates by, before its own.

    If it has the option `protocol`, that takes their keys, and help says whose an option is.
    """

    def give(kind: type[T]) -> type[T]:
        chosen = "protocol" in kind.__annotations__
        hints: dict[str, object] = {"protocol": _choice(command)} if chosen else {}
        for name, keys in own_options(command).items():
            options = PROTOCOLS[keys[0]].options
            hint = get_type_hints(options, include_extras=True)[name]
            hints[name] = _in_panel(hint, whose=f"Of {', '.join(keys)}: " if chosen else "")
            setattr(kind, name, getattr(options, name))
        kind.__annotations__ = hints | {name: hint for name, hint in kind.__annotations__.items() if name not in hints}
        return kind

    return give


def _choice(command: str) -> object:
    """The annotation of the option that chooses among the protocols of a command."""
    protocols = [protocol for protocol in PROTOCOLS.values() if protocol.command == command]
    literal: Any = Literal
    help_text = "; ".join(f"{protocol.key}: {protocol.help}" for protocol in protocols)
    return Annotated[
        literal[tuple(protocol.key for protocol in protocols)], Option(help=f"{help_text}.", rich_help_panel=TRAINING)
    ]


def _in_panel(hint: object, *, whose: str) -> object:
    """An annotation as --help shows it: among those of training where it names no panel."""
    kind, *metadata = get_args(hint)
    shown = [copy.copy(item) for item in metadata]
    for item in shown:
        if isinstance(item, ParameterInfo):
            item.help, item.rich_help_panel = f"{whose}{item.help}", item.rich_help_panel or TRAINING
    return Annotated[kind, *shown]
