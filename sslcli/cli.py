"""The table of commands, their dispatch, and what a user sees of an error."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, make_dataclass
from functools import cache
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from sslcli.commands import (
    bench,
    compare,
    data_check,
    embed,
    export,
    finetune,
    neighbours,
    plots,
    predict,
    pretrain,
    probe,
    report,
    resume,
    runs_list,
    runs_note,
    runs_rebuild,
    runs_rm,
    runs_show,
    runs_verify,
    status,
    study,
    views,
)
from sslcli.commands import map as map_command
from sslcli.console.streams import lasting, say_aloud
from sslcli.errors import Interrupted, StateError, UsageError, UserError
from sslcli.launch import Launch, read_launch, read_world
from sslcli.methods import FILES, options_of
from sslcli.options.command import ENVIRONMENT, Command, annotations_of, check_typed
from sslcli.options.config_file import with_file
from sslcli.options.finetune import Finetune
from sslcli.options.of_methods import OF_METHODS, method_hints
from sslcli.options.pictures import DataCheck, Map, Neighbours, Predict, Views
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.side_by_side import side_by_side
from sslcli.options.study import Study
from sslcli.options.trainings import TRAININGS


@dataclass(frozen=True)
class Entry:
    """A command: the class of its options, and what is done with one."""

    options: type[Command]
    run: Callable[[Any], None]


COMMANDS = {
    "pretrain": Entry(Pretrain, pretrain.run),
    "probe": Entry(Probe, probe.run),
    "finetune": Entry(Finetune, finetune.run),
    "compare": Entry(compare.Compare, compare.run),
    "plots": Entry(plots.Plots, plots.run),
    "predict": Entry(Predict, predict.run),
    "map": Entry(Map, map_command.run),
    "embed": Entry(embed.Embed, embed.run),
    "neighbours": Entry(Neighbours, neighbours.run),
    "views": Entry(Views, views.run),
    "report": Entry(report.Report, report.run),
    "bench": Entry(bench.Bench, bench.run),
    "export": Entry(export.Export, export.run),
    "study": Entry(Study, study.run),
    "resume": Entry(resume.Resume, resume.run),
}
NO_MEMORY = ("MemoryError", "OutOfMemoryError")
"""The types of Python's error where the memory does not suffice, and of torch's for a GPU; for a CPU it has none of its own."""
RUNS_COMMANDS = {
    "list": Entry(runs_list.RunsList, runs_list.run),
    "show": Entry(runs_show.RunsShow, runs_show.run),
    "note": Entry(runs_note.RunsNote, runs_note.run),
    "verify": Entry(runs_verify.RunsVerify, runs_verify.run),
    "rebuild": Entry(runs_rebuild.RunsRebuild, runs_rebuild.run),
    "rm": Entry(runs_rm.RunsRm, runs_rm.run),
}
DATA_COMMANDS = {"check": Entry(DataCheck, data_check.run)}


ORIGINS = {"COMMANDLINE": "command line", "ENVIRONMENT": ENVIRONMENT}


@cache
def command_line() -> Any:
    """The whole command line, every command of the tables, built once: called with words, it does what they say, and exits."""
    settings: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}
    app = typer.Typer(help="Self-supervised learning on images, from two CPU cores up.", **settings | {"add_completion": True})
    runs = typer.Typer(
        no_args_is_help=True, help="List, show, note, verify, rebuild, rm: care of the run registry.", **settings
    )
    app.callback(invoke_without_command=True)(_without_command)
    data = typer.Typer(no_args_is_help=True, help="Check: what is in a data set.", **settings)
    for group in (runs, data):
        group.callback()(lambda: None)
    for table, target in ((COMMANDS, app), (RUNS_COMMANDS, runs), (DATA_COMMANDS, data)):
        for name, entry in table.items():
            options, dispatching = entry.options, _dispatching(entry)
            vars(options)["__init__"].__annotations__.update(annotations_of(options))  # Typer knows one file's names alone
            if options is bench.Bench:
                words_pass: dict[str, Any] = {"context_settings": {"ignore_unknown_options": True}}
                target.command(name, cls=_benching(dispatching), **words_pass)(options)
            else:
                target.command(name, cls=dispatching)(options)
    app.add_typer(runs, name="runs")
    app.add_typer(data, name="data")
    return get_command(app)


def _without_command(ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from sslcli import __version__

        print(f"ssl {__version__}")
    elif ctx.invoked_subcommand is None:
        status.run()


def _dispatching(entry: Entry) -> type[TyperCommand]:
    """A command whose options, once built and checked, go to its function."""
    options = entry.options

    class Dispatching(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            typed = list(args)
            beside = {"method": _show_method(self, typed)} if issubclass(options, Pretrain) else {}
            try:
                return super().parse_args(ctx, args)
            except typer.BadParameter as error:
                if error.param is not None:  # say it in the words in which a file's values are refused
                    given = self.make_parser(ctx).parse_args(typed)[0].get(error.param.name or "")
                    texts = given if isinstance(given, list) else [given or error.param.value_from_envvar(ctx)]
                    for text in (text for text in texts if text is not None):  # None: it is missing
                        check_typed(options, error.param.name or "", str(text), beside)
                raise

        def build(self, ctx: Any) -> Command:
            command: Command = super().invoke(ctx)
            for parameter in self.params:
                source = ctx.get_parameter_source(parameter.name).name
                command.origins[parameter.name or ""] = ORIGINS.get(source, "default")
            return with_file(command)

        def invoke(self, ctx: Any) -> Any:
            command = self.build(ctx)
            with _errors_to_exit_codes(debug=command.debug):
                _hold_to_one_process(command)
                entry.run(command)
                sys.stdout.flush()  # here what a full disk does to it is an error of the command

    return Dispatching


def _show_method(command: TyperCommand, typed: list[str]) -> str:
    """Have the command show the options of the method that was typed, as that has them, and those of no other; its name."""
    after = [*typed, ""]
    given = [after[place + 1] if word == "--method" else word.removeprefix("--method=")
             for place, word in enumerate(typed) if word == "--method" or word.startswith("--method=")]  # fmt: skip
    method = given[-1] if given else Pretrain.method
    own = {parameter.name: parameter for parameter in _parameters_of(method)}
    for parameter in (every := _as_built(command)):
        vars(parameter)["hidden"] = parameter.name in OF_METHODS
    command.params = [own.get(parameter.name, parameter) for parameter in every]
    command.epilog = f"{method}: {FILES[method].about}" if method in FILES else None
    return method


@cache
def _as_built(command: TyperCommand) -> list[Any]:
    """The parameters of a command before it showed any method."""
    return list(command.params)


@cache
def _parameters_of(method: str) -> list[Any]:
    """The options of a method as those of a command, its defaults among them."""
    own = [(name, hint, options_of(method)[name].default) for name, hint in method_hints(method).items()]
    app = typer.Typer(add_completion=False)
    app.command()(make_dataclass("Options", own, kw_only=True))
    return [parameter for parameter in get_command(app).params if parameter.name in options_of(method)]


def _benching(dispatching: type[Any]) -> type[TyperCommand]:
    """The command that takes the options of another, which checks them as if it had been typed itself."""

    class Benching(dispatching):  # type: ignore[misc]
        def build(self, ctx: Any) -> bench.Bench:
            timing: bench.Bench = super().build(ctx)
            words = timing.words or []
            kind, words = (words[0], words[1:]) if words and not words[0].startswith("-") else ("pretrain", words)
            if kind not in TRAININGS:
                raise UsageError(f"ssl bench {kind}: accepted are {', '.join(TRAININGS)}, and their options")
            target = ctx.parent.command.commands[kind]
            flags = [name for option in target.params if getattr(option, "is_flag", False) for name in option.opts]
            for line in side_by_side(words, flags):
                with target.make_context(kind, list(line), parent=ctx.parent) as context:
                    timing.trainings.append(target.build(context))
                timing.typed.append(shlex.join(["ssl", kind, *line]))
            return timing

    return Benching


def _hold_to_one_process(command: Command) -> None:
    """A UsageError if torchrun started several processes of a command that knows of one, or says what cannot be."""
    count = read_world()
    if count > 1 and not isinstance(command, (Pretrain, resume.Resume)):
        raise UsageError(
            f"this command on {count} processes: accepted are ssl pretrain, and ssl resume of its "
            "runs; type the others without torchrun"
        )
    read_launch()


@contextmanager
def _one_voice() -> Iterator[None]:
    """Of the processes that torchrun started let the first alone be heard. Bugs are heard from all: they leave this block."""
    if _launch().rank == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _launch() -> Launch:
    """How this process was started; one alone where the environment says what cannot be, of which each command speaks."""
    try:
        return read_launch()
    except UsageError:
        return Launch()


@contextmanager
def _errors_to_exit_codes(*, debug: bool) -> Iterator[None]:
    """Turn what a user or a signal caused into a message and the exit code that goes with it."""
    try:
        yield
    except (UserError, Interrupted) as error:
        code, message = error.exit_code, str(error)
    except KeyboardInterrupt:
        code, message = 130, "stopped"
    except OSError as error:
        code, message = StateError.exit_code, str(error)
    except (MemoryError, RuntimeError) as error:
        if type(error).__name__ not in NO_MEMORY and "can't allocate memory" not in str(error):
            raise
        code, message = StateError.exit_code, "the memory does not suffice: smaller numbers are needed, of --batch-size for one"
    else:
        return
    if debug:
        traceback.print_exc()
    if _launch().local_rank == 0:  # an error is said once on every machine
        say_aloud(f"ssl: {message}")
    sys.exit(code)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 2, 3, 129, 130, 143; 1 is a bug."""
    sys.argv[1:] = sys.argv[1:] if arguments is None else arguments
    with lasting(), _errors_to_exit_codes(debug="--debug" in sys.argv), _one_voice():
        try:
            command_line()(sys.argv[1:])
        finally:
            sys.stdout.flush()
