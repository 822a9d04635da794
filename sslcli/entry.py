"""What the table of commands says about each of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sslcli.options.command import Command


@dataclass(frozen=True)
class Entry:
    """A command: its file in commands/, an example line, its group in --help (None: no group), and where its options are.

    They are a class named as the file is (`runs_list`: RunsList), in the file of that name in the room `options_in`, or in the
    file `options_in`. A list of commands is made of entries alone, and imports none of these files.
    """

    file: str
    example: str
    group: str | None = None
    options_in: str = "commands"

    @property
    def _module(self) -> str:
        return self.options_in if "." in self.options_in else f"{self.options_in}.{self.file}"

    @property
    def _class(self) -> str:
        return self.file.title().replace("_", "")

    @cached_property
    def options(self) -> type[Command]:
        """The class of the command's options."""
        kind: type[Command] = getattr(import_module(f"sslcli.{self._module}"), self._class)
        return kind

    def summary(self) -> str:
        """What the command does: the first paragraph of its options' docstring, read from their file without importing it."""
        source = Path(__file__).parent.joinpath(*self._module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        found = re.search(rf'^class {self._class}\(.*?"""(.*?)(?:\n\n|""")', source, re.DOTALL | re.MULTILINE)
        return " ".join(found[1].split()) if found else ""

    def run(self, command: Command) -> None:
        """Do what the options ask for. The command's file is imported now: no command needs another's."""
        import_module(f"sslcli.commands.{self.file}").run(command)
