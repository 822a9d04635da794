"""`python -m tests.docs.cli_reference`: the page docs/cli.md, made from the commands themselves."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from typer.models import ArgumentInfo, ParameterInfo

from sslcli.cli import COMMANDS, DATA_COMMANDS, RUNS_COMMANDS
from sslcli.entry import Entry
from sslcli.methods import FILES
from sslcli.options.command import Command
from sslcli.options.of_methods import OF_METHODS, method_hints
from sslcli.options.values import NO_END, Above

HEAD = """# Command line

Every command with its options, as `ssl COMMAND --help` shows them. This page is made from the commands.

An option without a default is off, unless its help names a default. `ssl --install-completion` teaches your shell to complete
commands and options.
"""
EVERYWHERE = "Everywhere"
KINDS = {int: "whole number", float: "number", bool: "", str: "text", Path: "path", list: "text; can be given again"}


def page() -> str:
    """The whole page, in Markdown."""
    same = {name: hint for name, hint in Command.hints({}).items() if panel_of(hint) == EVERYWHERE}
    everywhere = f"## Options of every command\n\n{table(same, defaults_of(Command))}"
    return "\n".join([HEAD, everywhere, *(section(name, entry) for name, entry in every_command())])


def every_command() -> Iterator[tuple[str, Entry]]:
    """Every command by its whole name, in the order of --help."""
    for prefix, commands in (("ssl", COMMANDS), ("ssl runs", RUNS_COMMANDS), ("ssl data", DATA_COMMANDS)):
        for name, entry in commands.items():
            yield f"{prefix} {name}", entry


def section(name: str, entry: Entry) -> str:
    """The part of the page on one command."""
    kind = entry.options
    hints = {name: hint for name, hint in kind.hints({}).items() if not info_of(hint).hidden}
    if "method" in hints:
        hints = {name: hint for name, hint in hints.items() if name not in OF_METHODS}
    about = re.sub(r"(?m)^  (\S+) +", r"- `\1`: ", kind.about())
    parts = [f"## {name}\n", about + "\n", f"Example: `{entry.example}`\n"]
    for panel in dict.fromkeys(panel_of(hint) for hint in hints.values() if panel_of(hint) != EVERYWHERE):
        own = {name: hint for name, hint in hints.items() if panel_of(hint) == panel}
        parts.append(f"**{panel}**\n\n{table(own, defaults_of(kind))}")
    for method, file in FILES.items() if "method" in hints else ():
        defaults = {name: option.default for name, option in file.options.items()}
        parts.append(f"**Options of `--method {method}`**\n\n{table(method_hints(file), defaults)}")
    return "\n".join(parts)


def defaults_of(kind: type[Command]) -> dict[str, Any]:
    """The default of each option of a command."""
    return {field.name: field.default for field in fields(kind)}


def info_of(hint: Any) -> ParameterInfo:
    """What an annotation tells the command line."""
    return next(item for item in get_args(hint) if isinstance(item, ParameterInfo))


def panel_of(hint: Any) -> str:
    """The group in which --help shows an option."""
    info = info_of(hint)
    return str(info.rich_help_panel or ("Arguments" if isinstance(info, ArgumentInfo) else "Options"))


def table(hints: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Options as a table."""
    rows = ["| option | takes | default | what it does |", "|---|---|---|---|"]
    for name, hint in hints.items():
        info, default = info_of(hint), defaults[name]
        shown = f"`{default}`" if isinstance(default, (int, float, str)) and not isinstance(default, bool) else ""
        environment = f" Environment: `{info.envvar}`." * (info.envvar is not None)
        cells = (spelled(name, hint), takes(hint), shown, " ".join((info.help or "").split()) + environment)
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def spelled(name: str, hint: Any) -> str:
    """How a person types an option."""
    info = info_of(hint)
    if isinstance(info, ArgumentInfo):
        return f"`{info.metavar or name}`"
    return ", ".join(f"`{word}`" for word in info.param_decls or ["--" + name.replace("_", "-")])


def takes(hint: Any) -> str:
    """The accepted values in words; nothing of a flag."""
    kind, *metadata = get_args(hint)
    if NoneType in get_args(kind):
        kind = next(member for member in get_args(kind) if member is not NoneType)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    words = KINDS[get_origin(kind) or kind]
    above = next((item.low for item in metadata if isinstance(item, Above)), None)
    return words + (bounds(info_of(hint), above) if kind in (int, float) else "")


def bounds(info: ParameterInfo, above: float | None) -> str:
    """The bounds of a number in words; nothing where there are none."""
    high = None if info.max is None or info.max >= NO_END else info.max
    words = [] if above is None else [f"above {above:,}"]
    if info.min is not None:
        words.append(f"{info.min:,} or more" if high is None else f"{info.min:,} to {high:,}")
    elif high is not None:
        words.append(f"at most {high:,g}")
    return "".join(f", {word}" for word in words)


def main(arguments: list[str] | None = None) -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the page docs/cli.md")
    options = parser.parse_args(arguments)
    if options.write is None:
        sys.stdout.write(page())
    else:
        options.write.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
