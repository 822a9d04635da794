"""Turn the words of a command line into checked options, and call the command's function with them."""

from __future__ import annotations

import inspect
import shlex
import sys
from dataclasses import make_dataclass, replace
from functools import cache, lru_cache
from typing import Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from sslcli.commands.bench import Bench
from sslcli.entry import Entry
from sslcli.errors import UsageError
from sslcli.exit_codes import errors_to_exit_codes
from sslcli.launch import read_launch, read_world
from sslcli.methods import MethodFile
from sslcli.options.command import ENVIRONMENT, Command, annotations_of, check_typed
from sslcli.options.of_methods import OF_METHODS, method_hints
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import TRAININGS, with_file
from sslcli.options.typed_paths import hold_to_paths
from sslcli.options.values import in_help

ORIGINS = {"COMMANDLINE": "command line", "ENVIRONMENT": ENVIRONMENT}


def add_command(target: typer.Typer, name: str, entry: Entry) -> None:
    """Add the command of an entry to a Typer application, with its options."""
    options, kind = entry.options, dispatching(entry)
    setattr(options, "__signature__", _signature(options))  # noqa: B010  (where Typer looks first)
    passing = issubclass(options, Bench)
    target.command(
        name, cls=benching(kind) if passing else kind, help=options.about(), epilog=f"Example: {entry.example}",
        rich_help_panel=entry.group, context_settings={"ignore_unknown_options": passing},
    )(options)  # fmt: skip


def _signature(kind: type[Command]) -> inspect.Signature:
    """The options as parameters for Typer, with the annotations that --help shows; those of every command come last."""
    hints, (_, *parameters) = annotations_of(kind), inspect.signature(vars(kind)["__init__"]).parameters.values()
    parameters.sort(key=lambda parameter: parameter.name in Command.__annotations__)
    return inspect.Signature([parameter.replace(annotation=in_help(hints[parameter.name])) for parameter in parameters])


def dispatching(entry: Entry) -> type[TyperCommand]:
    """A Typer command that builds and checks its options, and passes them to the function of the entry."""
    options = entry.options

    class Dispatching(TyperCommand):
        def __init__(self, *words: Any, **settings: Any) -> None:
            super().__init__(*words, **settings)
            for parameter in self.params:
                _take_the_default_as_it_is(parameter)

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            typed = list(args)
            beside = {"method": _show_method(self, typed)} if issubclass(options, Pretrain) else {}
            try:
                return super().parse_args(ctx, args)
            except typer.BadParameter as error:
                if error.param is not None:  # word it as values from a file are refused
                    given = self.make_parser(ctx).parse_args(typed)[0].get(error.param.name or "")
                    texts = given if isinstance(given, list) else [given or error.param.value_from_envvar(ctx)]
                    for text in (text for text in texts if text is not None):  # None: it is missing
                        check_typed(options, error.param.name or "", str(text), beside)
                raise

        def build(self, ctx: Any) -> Command:
            built = {parameter.name for parameter in _as_built(self)}
            of_file = {name: ctx.params.pop(name) for name in ctx.params.keys() - built}
            command: Command = super().invoke(ctx)  # Typer takes no option that it did not build
            command = replace(command, **of_file) if of_file else command
            for parameter in self.params:
                source = ctx.get_parameter_source(parameter.name).name
                command.origins[parameter.name or ""] = ORIGINS.get(source, "default")
            return with_file(command)

        def invoke(self, ctx: Any) -> Any:
            command = self.build(ctx)
            with errors_to_exit_codes(debug=command.debug):
                _hold_to_one_process(command)
                hold_to_paths(command, f"ssl {_name_of(ctx)} --help")
                entry.run(command)
                sys.stdout.flush()  # so that a full disk is an error of this command

    return Dispatching


def _take_the_default_as_it_is(parameter: Any) -> None:
    """Check a value only if it was typed or set in the environment: Typer imports pydantic for that, a tenth of a second."""
    checked = parameter.process_value
    if parameter.nargs == 1 and not parameter.multiple and not parameter.required and parameter.callback is None:
        vars(parameter)["process_value"] = lambda ctx, value: (
            value if ctx.get_parameter_source(parameter.name).name == "DEFAULT" else checked(ctx, value)
        )


def _name_of(ctx: Any) -> str:
    """The words of a command, such as data check, without the program's."""
    above = _name_of(ctx.parent) if ctx.parent is not None and ctx.parent.parent is not None else ""
    return f"{above} {ctx.info_name}".strip()


def _show_method(command: TyperCommand, typed: list[str]) -> str:
    """Make the command show only the options of the method that was typed; return the method's name."""
    after = [*typed, ""]
    given = [after[place + 1] if word == "--method" else word.removeprefix("--method=")
             for place, word in enumerate(typed) if word == "--method" or word.startswith("--method=")]  # fmt: skip
    method = given[-1] if given else Pretrain.method
    file = Pretrain.file_of(method)
    own = {parameter.name: parameter for parameter in _parameters_of(file)}
    for parameter in (every := _as_built(command)):
        vars(parameter)["hidden"] = parameter.name in OF_METHODS
    command.params = [own.pop(parameter.name, parameter) for parameter in every] + [*own.values()]
    about = f"\n\n--method {method} is {file.about}" if file else ""
    command.epilog = f"{_epilog_as_built(command)}{about}"
    return method


@cache
def _as_built(command: TyperCommand) -> list[Any]:
    """The parameters of a command before it shows the options of a method."""
    return list(command.params)


@cache
def _epilog_as_built(command: TyperCommand) -> str:
    return command.epilog or ""


@lru_cache(maxsize=32)
def _parameters_of(file: MethodFile | None) -> list[Any]:
    """The options of a method as parameters of a command, with the method's defaults."""
    options = file.options if file else {}
    own = [(name, in_help(hint), options[name].default) for name, hint in method_hints(file).items()]
    app = typer.Typer(add_completion=False)
    app.command()(make_dataclass("Options", own, kw_only=True))
    return [parameter for parameter in get_command(app).params if parameter.name in options]


def benching(dispatching: type[Any]) -> type[TyperCommand]:
    """A command that takes the options of another; that one checks them as if it had been typed."""

    class Benching(dispatching):  # type: ignore[misc]
        def build(self, ctx: Any) -> Bench:
            from sslcli.options.side_by_side import side_by_side

            timing: Bench = super().build(ctx)
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
    """A UsageError if torchrun started several processes of a command for one, or if its variables are wrong."""
    count = read_world()
    if count > 1 and not command.joins_processes:
        raise UsageError(
            f"this command on {count} processes: accepted are ssl pretrain and ssl resume of its runs; "
            "type other commands without torchrun"
        )
    read_launch()
