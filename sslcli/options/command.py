"""The options of a command are one dataclass: it is the Typer command, and what YAML and Python build.

However a command is built, `Command.__post_init__` checks its values against the annotations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self, get_args, get_type_hints

from typer import Option

from sslcli.options.values import check

ENVIRONMENT = "environment"
"""The origin of a value that comes from an environment variable."""
NO_OPTION_OF_A_RUN = ("config", "project", "debug", "origins", "dry_run", "run", "minutes")


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command takes. `origins` says where each option's value came from."""

    config: Annotated[
        Path | None, Option(help="YAML file of options: a line NAME: VALUE for each.", rich_help_panel="Everywhere")
    ] = None
    project: Annotated[
        Path | None,
        Option(
            envvar="SSL_PROJECT",
            help="Project folder. Default: the nearest parent with a registry.yaml, else this folder.",
            rich_help_panel="Everywhere",
        ),
    ] = None
    debug: Annotated[bool, Option("--debug", help="Show the traceback of an error.", rich_help_panel="Everywhere")] = False
    origins: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)
    only_reads: ClassVar[bool] = False
    """Whether it needs an existing project."""
    joins_processes: ClassVar[bool] = False
    """Whether several processes of torchrun can run it together."""

    def __post_init__(self) -> None:
        for name, hint in self.hints(vars(self)).items():
            check(name, hint, getattr(self, name))

    @classmethod
    def about(cls) -> str:
        """What --help says of the command: its docstring, each paragraph as one line."""
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(cls.__doc__ or "").split("\n\n"))

    @classmethod
    def hints(cls, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG003
        """The annotations that these values are checked against."""
        return annotations_of(cls)

    def default_of(self, name: str) -> object:
        """The default of an option."""
        return type(self).__dataclass_fields__[name].default

    def left_open_by(self, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG002
        """The options that other `values` reset, as None: they take their default again."""
        return {}

    def because(self, origin: str, **values: object) -> Self:
        """The options with other values, and `origin` as the place where they come from."""
        if not values:
            return self
        copied: Callable[..., Self] = replace
        changed = copied(self, **(self.left_open_by(values) | values))
        changed.origins.update({**self.origins, **dict.fromkeys(values, origin)})
        return changed

    def was_chosen(self, name: str) -> bool:
        """Whether an option was given, or has a value other than its default."""
        return self.origins.get(name, "default") != "default" or getattr(self, name) != self.default_of(name)

    def at_most(self, name: str, most: int) -> Self:
        """The command; if nobody chose the number `name` and it is above `most`, a copy with `most`."""
        if self.was_chosen(name) or getattr(self, name) <= most:
            return self
        return self.because(f"there are {most}", **{name: most})

    def options(self) -> dict[str, object]:
        """The command's own options as plain values, as a run records them. Paths become text."""
        own = [f.name for f in fields(self) if f.name not in NO_OPTION_OF_A_RUN]
        return {name: str(value) if isinstance(value := getattr(self, name), Path) else value for name in own}


def annotations_of(kind: type[Command]) -> dict[str, object]:
    """The annotations of a command's options, resolved in the modules where they are written."""
    if kind not in _ANNOTATIONS:  # it takes 2 ms, and a study builds thousands of commands
        hints = get_type_hints(kind, include_extras=True)
        _ANNOTATIONS[kind] = {f.name: hints[f.name] for f in fields(kind) if f.init}
    return _ANNOTATIONS[kind].copy()


_ANNOTATIONS: dict[type[Command], dict[str, object]] = {}


def check_typed(kind: type[Command], name: str, text: str, beside: Mapping[str, object]) -> None:
    """A UsageError if the text typed for an option is not accepted, given the other options `beside` it."""
    hint = kind.hints(beside)[name]
    value: str | float = text
    for number in (int, float):
        try:
            value = number(text)
            break
        except ValueError:
            continue
    kinds = (get_args(hint)[0], *get_args(get_args(hint)[0]))
    check(name, hint, value if int in kinds or float in kinds else text)
