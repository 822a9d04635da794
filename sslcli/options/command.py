"""The options of every command, once: a dataclass is the Typer command, and is what YAML and Python build.

Whatever builds a command, `Command.__post_init__` holds its values to what the annotations say.
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
"""The origin of an option's value that is neither typed nor a default."""
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
    """Whether it needs a project that is there already."""
    joins_processes: ClassVar[bool] = False
    """Whether several processes that torchrun starts may do it together."""

    def __post_init__(self) -> None:
        for name, hint in self.hints(vars(self)).items():
            check(name, hint, getattr(self, name))

    @classmethod
    def about(cls) -> str:
        """What --help says of the command: its docstring, each paragraph as one line."""
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(cls.__doc__ or "").split("\n\n"))

    @classmethod
    def hints(cls, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG003
        """The annotations that these values of the options are held to."""
        return annotations_of(cls)

    def default_of(self, name: str) -> object:
        """The value that an option has where nobody says otherwise."""
        return type(self).__dataclass_fields__[name].default

    def left_open_by(self, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG002
        """The options that other `values` leave without one, as None: they have a default again."""
        return {}

    def because(self, origin: str, **values: object) -> Self:
        """A copy with other values, and `origin` as the place where they came from."""
        copied: Callable[..., Self] = replace
        changed = copied(self, **(self.left_open_by(values) | values))
        changed.origins.update({**self.origins, **dict.fromkeys(values, origin)})
        return changed

    def was_chosen(self, name: str) -> bool:
        """Whether an option has another value than its default, or was given."""
        return self.origins.get(name, "default") != "default" or getattr(self, name) != self.default_of(name)

    def at_most(self, name: str, most: int) -> Self:
        """The command, or where nobody chose the number `name` and it is more than there are, a copy with `most`."""
        if self.was_chosen(name) or getattr(self, name) <= most:
            return self
        return self.because(f"there are {most}", **{name: most})

    def options(self) -> dict[str, object]:
        """Plain values of the command's own options, as a run records them. Paths become text."""
        own = [f.name for f in fields(self) if f.name not in NO_OPTION_OF_A_RUN]
        return {name: str(value) if isinstance(value := getattr(self, name), Path) else value for name in own}


def annotations_of(kind: type[Command]) -> dict[str, object]:
    """The annotations of a command's options, each as it is where it was written."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind) if f.init}


def check_typed(kind: type[Command], name: str, text: str, beside: Mapping[str, object]) -> None:
    """A UsageError if what was typed for an option, beside others, is none of its values."""
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
