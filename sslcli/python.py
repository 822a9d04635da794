"""The program in Python: the commands as functions, with the same names and options, and typed values in return.

    import sslcli
    run = sslcli.pretrain(dataset="folder:photos", minutes=15)
    print(sslcli.probe(encoder=run.id).metrics["test_acc"])

Every function takes `quiet=True` to print nothing. Errors that a user can cause are `sslcli.errors.UserError`s.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sslcli.commands.compare import Compare
from sslcli.comparison.comparison import Comparison, compared
from sslcli.distributed import joined
from sslcli.errors import UsageError
from sslcli.export.encoders import load_encoder
from sslcli.launch import called
from sslcli.options.command import Command
from sslcli.options.finetune import Finetune
from sslcli.options.mapping import from_mapping
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.project_folder import open_registry
from sslcli.options.study import Study
from sslcli.options.typed_paths import hold_to_paths
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies.study import carry_out
from sslcli.workflows import begin

__all__ = ["Comparison", "Registry", "Run", "Studied", "compare", "finetune", "load_encoder", "pretrain", "probe", "study"]
NOT_HERE = ("config", "debug", "format", "dry_run", "plan")
"""Options that only the command line has."""
C = TypeVar("C", bound=Command)
T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


class Studied(NamedTuple):
    """A finished study: its name, its page (None if it only pretrains), and its numbers."""

    name: str
    page: Path | None
    comparison: Comparison | None


def _takes(kind: type[Command]) -> Callable[[Function], Function]:
    """Give a function the signature of a command's options, for help() and for editors."""
    parameters = [
        inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type)
        for option in fields(kind)
        if option.init and option.name not in NOT_HERE
    ]
    quiet = inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation="bool")

    def decorate(function: Function) -> Function:
        returned = inspect.signature(function).return_annotation
        function.__signature__ = inspect.Signature([*parameters, quiet], return_annotation=returned)  # type: ignore[attr-defined]
        return function

    return decorate


@_takes(Pretrain)
def pretrain(*, quiet: bool = False, **options: Any) -> Run:
    """Train an encoder without labels, as `ssl pretrain` does. Returns the record of the finished run.

    With `run="name"` it continues the run of that name, or starts it.
    """
    run = _done(begin.pretrain, _command(Pretrain, options), quiet=quiet, given=options)
    assert run is not None  # only --dry-run gives None
    return run


@_takes(Probe)
def probe(*, quiet: bool = False, **options: Any) -> Run:
    """Measure a frozen encoder, as `ssl probe` does. Returns the record; its `metrics` has `test_acc`, a fraction."""
    return _done(begin.probe, _command(Probe, options), quiet=quiet, given=options)


@_takes(Finetune)
def finetune(*, quiet: bool = False, **options: Any) -> Run:
    """Train encoder and classifier end to end, as `ssl finetune` does. Returns the record of the finished run."""
    return _done(begin.finetune, _command(Finetune, options), quiet=quiet, given=options)


@_takes(Compare)
def compare(*, quiet: bool = False, **options: Any) -> Comparison:
    """Compare pretrained with scratch, as `ssl compare` does: rows, differences with intervals, the answer in words."""
    with _spoken(quiet=quiet):
        command = _command(Compare, options)
        return compared(
            open_registry(command), command.study, everything=command.all, without_duplicates=command.without_duplicates
        )


@_takes(Study)
def study(*, quiet: bool = False, **options: Any) -> Studied:
    """Run pretraining, its evaluations beside scratch, and a page, as `ssl study` does. A second call does what is missing."""
    command = _command(Study, options)
    name, page = _done(carry_out, command, quiet=quiet, given=options)
    if page is None:
        return Studied(name, None, None)
    with _spoken(quiet=quiet):
        return Studied(name, page, compared(open_registry(command), name))


def _command(kind: type[C], options: dict[str, Any]) -> C:
    """The command with these options, checked like those of a YAML file. Each counts as chosen, even at its default."""
    call = f"sslcli.{kind.__name__.lower()}"
    for name in NOT_HERE:
        if name in options:
            raise UsageError(f"{call}: only the command line has the option {name}; leave it out")
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    given = from_mapping(kind, {name: value for name, value in plain.items() if value is not None}, call)
    return kind().because("Python", **given)


def _done(work: Callable[[Registry, C], T], command: C, *, quiet: bool, given: dict[str, Any]) -> T:
    """Run a command; the records that it makes name this call."""
    said = ", ".join(f"{name}={value!r}" for name, value in given.items())
    together = joined() if command.joins_processes else nullcontext()
    name = f"sslcli.{type(command).__name__.lower()}"
    with _spoken(quiet=quiet), called(f"{name}({said})"), together:
        hold_to_paths(command, f"help({name})")
        return work(open_registry(command), command)


@contextmanager
def _spoken(*, quiet: bool) -> Iterator[None]:
    """Show what is printed, or nothing of it."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
