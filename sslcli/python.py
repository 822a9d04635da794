"""The program in Python: the commands as functions, with the same names and options, and typed values in return.

    import sslcli
    run = sslcli.pretrain(dataset="folder:photos", minutes=15)
    print(sslcli.probe(encoder=run.id).metrics["test_acc"])

Every function takes `quiet=True` to print nothing, and raises what a person can cause as an `sslcli.errors.UserError`.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sslcli.comparison.comparison import Comparison, compared
from sslcli.errors import UsageError
from sslcli.export.encoders import load_encoder
from sslcli.launch import called
from sslcli.options import command as config
from sslcli.options.command import Command, from_mapping
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

__all__ = ["Comparison", "Registry", "Run", "Studied", "compare", "finetune", "load_encoder", "pretrain", "probe", "study"]
NOT_HERE = ("config", "debug", "format", "dry_run")
"""Options of the command line alone."""
MODULES = {"pretrain": "sslcli.workflows.pretraining", "probe": "sslcli.workflows.probing",
           "finetune": "sslcli.workflows.finetuning", "study": "sslcli.studies.study"}  # fmt: skip
C = TypeVar("C", bound=Command)
Function = TypeVar("Function", bound=Callable[..., Any])


class Studied(NamedTuple):
    """A finished study: its name, the page to hand in (None if it only pretrains), and its numbers."""

    name: str
    page: Path | None
    comparison: Comparison | None


def _takes(kind: type[Command]) -> Callable[[Function], Function]:
    """Give a function the signature of a command's options, for help() and for editors that ask the running function."""
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


@_takes(config.Pretrain)
def pretrain(*, quiet: bool = False, **options: Any) -> Run:
    """Train an encoder without labels, as `ssl pretrain` does; the finished run's record.

    With `run="name"` it goes on with the run of that name, or begins it.
    """
    run: Run = _done("pretrain", _command(config.Pretrain, options), quiet=quiet, given=options)
    return run


@_takes(config.Probe)
def probe(*, quiet: bool = False, **options: Any) -> Run:
    """Measure a frozen encoder, as `ssl probe` does; the finished run's record, whose `metrics` has `test_acc`, a fraction."""
    run: Run = _done("probe", _command(config.Probe, options), quiet=quiet, given=options)
    return run


@_takes(config.Finetune)
def finetune(*, quiet: bool = False, **options: Any) -> Run:
    """Train encoder and classifier end to end, as `ssl finetune` does; the finished run's record."""
    run: Run = _done("finetune", _command(config.Finetune, options), quiet=quiet, given=options)
    return run


@_takes(config.Compare)
def compare(*, quiet: bool = False, **options: Any) -> Comparison:
    """Pretrained beside scratch, as `ssl compare` has it: rows, differences with intervals, and the answer in words."""
    with _spoken(quiet=quiet):
        return compared(_command(config.Compare, options))


@_takes(config.Study)
def study(*, quiet: bool = False, **options: Any) -> Studied:
    """Pretraining, its evaluations beside scratch and a page, as `ssl study`; called again it does what is missing."""
    command = _command(config.Study, options)
    name, page = _done("study", command, quiet=quiet, given=options)
    if page is None:
        return Studied(name, None, None)
    with _spoken(quiet=quiet):
        return Studied(name, page, compared(config.Compare(project=command.project, study=name)))


def _command(kind: type[C], options: dict[str, Any]) -> C:
    """The command with these options, checked as a YAML file's are; each counts as chosen, also at its default."""
    call = f"sslcli.{kind.__name__.lower()}"
    for name in NOT_HERE:
        if name in options:
            raise UsageError(f"{call}: {name} is an option of the command line alone; leave it out")
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    given = from_mapping(kind, {name: value for name, value in plain.items() if value is not None}, call)
    return kind().because("Python", **given)


def _done(command: str, options: Command, *, quiet: bool, given: dict[str, Any]) -> Any:
    said = ", ".join(f"{name}={value!r}" for name, value in given.items())
    with _spoken(quiet=quiet), called(f"sslcli.{command}({said})"):
        return importlib.import_module(MODULES[command]).run(options)


@contextmanager
def _spoken(*, quiet: bool) -> Iterator[None]:
    """Let what is printed be seen, or nothing of it."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
