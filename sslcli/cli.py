"""The table of commands, their dispatch, and what a user sees of an error."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperCommand

from sslcli import config
from sslcli.config import Command, with_file
from sslcli.errors import Interrupted, StateError, UserError

COMMANDS = {
    "pretrain": (config.Pretrain, "sslcli.commands.pretrain:run"),
    "probe": (config.Probe, "sslcli.commands.probe:run"),
    "finetune": (config.Finetune, "sslcli.commands.finetune:run"),
    "compare": (config.Compare, "sslcli.commands.compare:run"),
    "study": (config.Study, "sslcli.commands.study:run"),
    "resume": (config.Resume, "sslcli.commands.resume:run"),
}
RUNS_COMMANDS = {
    "list": (config.RunsList, "sslcli.commands.runs:list_runs"),
    "show": (config.RunsShow, "sslcli.commands.runs:show"),
    "note": (config.RunsNote, "sslcli.commands.runs:note"),
    "verify": (config.RunsVerify, "sslcli.commands.verify:run"),
    "rebuild": (config.RunsRebuild, "sslcli.commands.runs:rebuild"),
    "rm": (config.RunsRm, "sslcli.commands.runs:remove"),
}


def build_app() -> typer.Typer:
    """The Typer application: every command of the two tables."""
    settings: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}
    app = typer.Typer(help="Self-supervised learning on images, from two CPU cores up.", **settings)
    runs = typer.Typer(
        no_args_is_help=True, help="List, show, note, verify, rebuild, rm: care of the run registry.", **settings
    )
    app.callback(invoke_without_command=True)(_without_command)
    runs.callback()(lambda: None)
    for table, target in ((COMMANDS, app), (RUNS_COMMANDS, runs)):
        for name, (options, path) in table.items():
            target.command(name, cls=_dispatching(path))(options)
    app.add_typer(runs, name="runs")
    return app


def _without_command(ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from sslcli import __version__

        print(f"ssl {__version__}")
    elif ctx.invoked_subcommand is None:
        importlib.import_module("sslcli.commands.status").run()


def _dispatching(path: str) -> type[TyperCommand]:
    """A command whose options, once built and checked, go to the function at `path`, imported no sooner."""

    class Dispatching(TyperCommand):
        def invoke(self, ctx: Any) -> Any:
            command: Command = super().invoke(ctx)
            for parameter in self.params:
                source = ctx.get_parameter_source(parameter.name)
                command.origins[parameter.name or ""] = "default" if source.name.startswith("DEFAULT") else "command line"
            command = with_file(command)
            module, _, function = path.partition(":")
            return getattr(importlib.import_module(module), function)(command)

    return Dispatching


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 2, 3, 130, 143; 1 is a bug."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        build_app()(arguments)
    except (UserError, Interrupted) as error:
        _leave(str(error), error.exit_code, debug="--debug" in arguments)
    except KeyboardInterrupt:
        _leave("stopped", 130, debug=False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush finds a reader
        sys.exit(0)
    except OSError as error:
        _leave(str(error), StateError.exit_code, debug="--debug" in arguments)


def _leave(message: str, code: int, *, debug: bool) -> None:
    if debug:
        raise  # noqa: PLE0704  (the error that is being handled, with its traceback)
    print(f"ssl: {message}", file=sys.stderr)
    sys.exit(code)
