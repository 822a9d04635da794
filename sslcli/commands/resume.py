"""ssl resume: continue an interrupted run from its last checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from typer import Argument, Option

from sslcli.options.annotations import MACHINE, DataDir
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Resume(Command):
    """Continue an interrupted run of any kind from its last checkpoint."""

    joins_processes: ClassVar[bool] = True
    run: Annotated[str | None, Argument(help="Run: id, name or unique prefix. Default: the newest interrupted one.")] = None
    data_dir: DataDir = None
    device: Annotated[
        Literal["auto", "cuda", "mps", "cpu"] | None,
        Option(help="Device to compute on. Default: the run's.", rich_help_panel=MACHINE),
    ] = None
    force: Annotated[
        bool, Option("--force", help="Continue even if another machine runs it. Be sure that it is dead there.")
    ] = False
    if_needed: Annotated[
        bool, Option("--if-needed", help="End with code 0 if the run is finished already, instead of an error.")
    ] = False


def run(command: Resume) -> None:
    """Continue the named run, or the newest interrupted one."""
    from sslcli.distributed import joined
    from sslcli.workflows.resume import resume

    with joined():  # an error on one process ends all of them
        resume(
            open_registry(command),
            command.run,
            data_dir=command.data_dir,
            device=command.device,
            force=command.force,
            if_needed=command.if_needed,
        )
