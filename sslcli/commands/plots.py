"""ssl plots: draw the curves of TensorBoard's event files, or check a page's images. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Option

from sslcli.console.messages import say
from sslcli.errors import UsageError
from sslcli.options.annotations import StudyName
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.paths import relative


@dataclass(frozen=True, kw_only=True)
class Plots(Command):
    """Draw training curves from TensorBoard's event files, pretrained and scratch in one picture; or check a page's images.

    Writes to results/figures/<experiment>/. File names are in lower case.
    """

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    logdir: Annotated[Path | None, Option(help="Draw the event files in this folder, from any program.")] = None
    out: Annotated[Path | None, Option(help="Folder for the figures. Default: results/figures in the project.")] = None
    svg: Annotated[bool, Option("--svg", help="Also write each figure as SVG, in a light and a dark version.")] = False
    check: Annotated[
        Path | None,
        Option(help="Draw nothing; list missing local images of this Markdown file (upper and lower case count)."),
    ] = None
    fix: Annotated[bool, Option("--fix", help="With --check: fix links that have exactly one possible target.")] = False


def run(command: Plots) -> None:
    """Draw and print the path of each figure; or check a page."""
    if command.check is not None:
        from sslcli.report.links import check

        check(command.check, fix=command.fix)
        return
    if command.fix:
        raise UsageError("--fix needs --check; type: ssl plots --check README.md --fix")
    from sslcli.gallery.curves import save_curves, save_foreign_curves

    registry = open_registry(command)
    out = command.out or registry.path("results/figures")
    written = (
        save_foreign_curves(command.logdir, out, svg=command.svg)
        if command.logdir
        else save_curves(registry, study=command.study, out=out, svg=command.svg)
    )
    for path in written:
        print(relative(path))
    advice = "" if command.logdir else f"; to see what the runs predict, type: {registry.command('ssl predict')}"
    say(f"wrote {len(written)} figures{advice}")
