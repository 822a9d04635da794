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
    """Say whether pretraining helps, show pretrained beside scratch with each difference, and rank methods."""

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    all: Annotated[bool, Option("--all", help="Every evaluation, of earlier epochs too, here or in --study.")] = False
    without_duplicates: Annotated[
        bool, Option("--without-duplicates", help="Leave out the test images that ssl data check found elsewhere too.")
    ] = False
    format: Format = "table"


def run(command: Compare) -> None:
    """Print the answer and the tables of a study, the difference under each pair."""
    from sslcli.comparison.printing import print_comparison

    print_comparison(
        open_registry(command), command.study, everything=command.all, without_duplicates=command.without_duplicates,
        style=command.format,
    )  # fmt: skip
