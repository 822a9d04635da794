"""ssl compare: the answer, and pretrained beside scratch in a table for each protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from typer import Option

from sslcli.options.annotations import Format, StudyName
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Say whether pretraining helps: every pair of pretrained and scratch with its difference, and methods ranked."""

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    all: Annotated[
        bool, Option("--all", help="Every evaluation of the project (or of --study), also those of earlier epochs.")
    ] = False
    without_duplicates: Annotated[
        bool, Option("--without-duplicates", help="Leave out test images that ssl data check found to be duplicates.")
    ] = False
    format: Format = "table"


def run(command: Compare) -> None:
    """Print the answer and the tables of a study, with the difference under each pair."""
    from sslcli.comparison.printing import print_comparison

    print_comparison(
        open_registry(command), command.study, everything=command.all, without_duplicates=command.without_duplicates,
        style=command.format,
    )  # fmt: skip
