"""The table of commands, and how their usage errors are worded."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from itertools import takewhile
from typing import Any

import typer
from typer.main import get_command

from sslcli.console.streams import lasting
from sslcli.entry import Entry
from sslcli.errors import UsageError
from sslcli.exit_codes import errors_to_exit_codes, one_voice

REMARK = "#"
"""Begins a remark on a pasted line, which some shells pass on as words: zsh, as macOS has it, and cmd."""
TYPED_WRONG: Any = typer.BadParameter.__base__
"""Click's UsageError, wherever Typer imports it from."""
COMMANDS = {
    "study": Entry("study", "ssl study --dataset folder:photos --minutes 15", group="Study", options_in="options"),
    "compare": Entry("compare", "ssl compare --format markdown", group="Study"),
    "report": Entry("report", "ssl report --study demo --title 'My pictures'", group="Study"),
    "pretrain": Entry("pretrain", "ssl pretrain --dataset folder:photos --minutes 15", group="Train", options_in="options"),
    "status": Entry("status", "ssl status --watch", group="Study"),
    "resume": Entry("resume", "ssl resume", group="Train"),
    "bench": Entry("bench", "ssl bench pretrain --batch-size 256 --batch-size 512", group="Train"),
    "probe": Entry("probe", "ssl probe --init scratch", group="Evaluate", options_in="options"),
    "finetune": Entry("finetune", "ssl finetune --epochs 10 --label-fraction 0.1", group="Evaluate", options_in="options"),
    "card": Entry("card", "ssl card latest --n 2000", group="Evaluate"),
    "plots": Entry("plots", "ssl plots", group="Look"),
    "predict": Entry("predict", "ssl predict --n 16 --seed 1", group="Look", options_in="options.pictures"),
    "map": Entry("map", "ssl map --queries 4", group="Look", options_in="options.pictures"),
    "neighbours": Entry("neighbours", "ssl neighbours photos/cat.jpg", group="Look", options_in="options.pictures"),
    "suggest": Entry("suggest", "ssl suggest --n 50", group="Look"),
    "views": Entry("views", "ssl views --dataset shapes", group="Look", options_in="options.pictures"),
    "export": Entry("export", "ssl export latest --format onnx", group="Share"),
    "embed": Entry("embed", "ssl embed --images photos", group="Share"),
}
RUNS_COMMANDS = {
    "list": Entry("runs_list", "ssl runs list --experiment pretrain"),
    "show": Entry("runs_show", "ssl runs show latest"),
    "note": Entry("runs_note", "ssl runs note latest 'with the new camera'"),
    "verify": Entry("runs_verify", "ssl runs verify --numbers"),
    "rebuild": Entry("runs_rebuild", "ssl runs rebuild"),
    "rm": Entry("runs_rm", "ssl runs rm latest"),
}
DATA_COMMANDS = {"check": Entry("data_check", "ssl data check --dataset folder:photos", options_in="options.pictures")}
ALL_COMMANDS = frozenset({*COMMANDS, *RUNS_COMMANDS, *DATA_COMMANDS})


@cache
def command_line(typed: frozenset[str] | None = None) -> Any:
    """The whole command line, built from the tables. Called with words, it carries them out and exits.

    If `typed` is given, only the commands named there get their options; the others are only listed, and their files are not
    imported. To build the options of all takes a fifth of a second.
    """
    settings: dict[str, Any] = {"add_completion": False, "pretty_exceptions_enable": False}
    app = typer.Typer(
        help="Self-supervised learning on images: does pretraining help? Two CPU cores are enough.",
        **settings | {"add_completion": True},
    )
    runs = typer.Typer(no_args_is_help=True, help="List, show, annotate, verify and delete runs.", **settings)
    app.callback(invoke_without_command=True)(_without_command)
    data = typer.Typer(no_args_is_help=True, help="Check a data set.", **settings)
    for group in (runs, data):
        group.callback()(lambda: None)
    for table, target in ((COMMANDS, app), (RUNS_COMMANDS, runs), (DATA_COMMANDS, data)):
        for name, entry in table.items():
            if typed is not None and name not in typed:
                target.command(name, help=entry.summary(), rich_help_panel=entry.group)(lambda: None)
                continue
            from sslcli.dispatch import add_command  # a list of commands needs the options of none

            add_command(target, name, entry)
    app.add_typer(runs, name="runs", rich_help_panel="Care")
    app.add_typer(data, name="data", rich_help_panel="Care")
    whole = get_command(app)
    _finish_flags(whole)
    return whole


def _finish_flags(command: Any) -> None:
    """Take the word <bool> off the flags that Typer itself adds to a command and those below it, such as --help.

    Those that only act get a default, too. A flag without one is checked each time, and for that Typer imports pydantic.
    """
    for parameter in (*command.params, command.get_help_option(typer.Context(command))):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
            if not parameter.expose_value:
                parameter.default = False
    for below in getattr(command, "commands", {}).values():
        _finish_flags(below)


def _without_command(ctx: typer.Context, version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from sslcli import __version__

        print(f"ssl {__version__}")
    elif ctx.invoked_subcommand is None:
        from sslcli.commands.status import first_steps

        first_steps()


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0, 2, 3, 129, 130, 143; 1 is a bug."""
    words = sys.argv[1:] if arguments is None else arguments
    sys.argv[1:] = takewhile(REMARK.__ne__, words)
    with lasting(), errors_to_exit_codes(debug="--debug" in sys.argv), one_voice():
        try:
            sys.exit(command_line(commands_in(sys.argv[1:]))(sys.argv[1:], standalone_mode=False) or 0)
        except TYPED_WRONG as error:
            if type(error).__name__ == "NoArgsIsHelpError":
                error.show()
                sys.exit(error.exit_code)
            raise UsageError(_in_our_words(error)) from error
        finally:
            sys.stdout.flush()


def commands_in(words: list[str]) -> frozenset[str] | None:
    """The words that may name a command whose options are needed; None, for all: a shell completes so, without words."""
    if "bench" in words:
        from sslcli.options.trainings import TRAININGS

        words = [*words, *TRAININGS]
    completes = not words and any(name.endswith("_COMPLETE") for name in os.environ)
    return None if completes else frozenset(words) & ALL_COMMANDS


def _in_our_words(error: Any) -> str:
    """Typer's usage error in the form of our own errors: what is wrong, the nearest word, what to type."""
    typed = list(takewhile({*ALL_COMMANDS, "runs", "data"}.__contains__, sys.argv[1:]))
    named = typed[1:] if typed[1:] and typed[0] == "bench" else typed  # the options belong to the command that is timed
    said = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in error.format_message().strip())
    found = re.fullmatch(r"(.*?)\.?(?: Did you mean (.*)\?| \W*\(Possible options: (.*?)\)\W*)?", said)
    what, *near = found.groups() if found else (said,)
    question = "".join(f"did you mean {words}? " for words in near if words)
    if typed[:1] == ["study"] and type(error).__name__ == "NoSuchOption":
        from sslcli.options.of_trainings import set_in_study  # only this error needs it; all else starts faster without it

        setting = set_in_study(error.option_name, _value_after(error.option_name), own=error.possibilities or ())
        question = f"{setting}; " if setting else question
    return f"{what[:1].lower()}{what[1:]}; {question}to see what is accepted, type: {' '.join(['ssl', *named, '--help'])}"


def _value_after(option: str) -> str | None:
    """What was typed as the value of an option; None if nothing was."""
    for word, following in zip(sys.argv, [*sys.argv[1:], "--"], strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option:
            return None if following.startswith("--") else following
    return None
