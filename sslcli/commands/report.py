"""ssl report: a study as a single, complete HTML page to hand in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Option

from sslcli.console.messages import say
from sslcli.options.annotations import StudyName
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.paths import relative


@dataclass(frozen=True, kw_only=True)
class Report(Command):
    """Write a study as one HTML page to hand in: the answer, the tables, the pictures, where each number comes from.

    The page needs no network and no other file. It shows the pictures that are drawn, and names the commands for the others.
    """

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    title: Annotated[str | None, Option(help="Title of the page. Default: the question.")] = None
    author: Annotated[str | None, Option(help="Author of the page: a line below the title.")] = None
    svg: Annotated[
        Path | None, Option(help="Folder for the plot of the differences as SVG, in a light and a dark version.")
    ] = None
    out: Annotated[Path | None, Option(help="Page to write. Default: results/<study>.html in the project.")] = None


def run(command: Report) -> None:
    """Write the page and what goes with it, and print the paths."""
    from sslcli.report.page import make

    registry = open_registry(command)
    path = make(registry, command.study, command.out, title=command.title, author=command.author)
    print(relative(path))
    if command.svg is not None:
        from sslcli.report.differences import save_differences

        for drawn in save_differences(registry, command.study, command.svg):
            print(relative(drawn))
    say(f"wrote {path.stat().st_size / 1e6:.1f} MB; to read it, open it in a browser")
