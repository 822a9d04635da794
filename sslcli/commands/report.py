"""ssl report: a study as a single, complete HTML page to hand in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Option

from sslcli.console.messages import say
from sslcli.options.annotations import StudyName
from sslcli.options.command import Command
from sslcli.options.project import open_registry


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Write a study as one HTML page to hand in: the answer, the tables, the pictures, where each number comes from.

    The page needs no network and no other file. It shows the pictures that are drawn, and names the commands for the others.
    """

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    title: Annotated[str | None, Option(help="Title of the page. Default: the question.")] = None
    out: Annotated[Path | None, Option(help="Page to write. Default: results/<study>.html in the project.")] = None


def run(command: Report) -> None:
    """Write the page and print its path."""
    from sslcli.report.page import make

    path = make(open_registry(command), command.study, command.out, title=command.title)
    print(os.path.relpath(path))
    say(f"wrote {path.stat().st_size / 1e6:.1f} MB; to read it, open it in a browser")
