"""ssl runs verify: check that every run is as recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from typer import Option

from sslcli.options.annotations import DataDir, Device
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.runs.registry import Registry

if TYPE_CHECKING:
    from sslcli.verification.records import LookCloser


@dataclass(frozen=True, kw_only=True)
class RunsVerify(Command):
    """Check that every run is as recorded; exit code 3 if one is not.

    Compares each checkpoint with its recorded sha256, registry.yaml with run.yaml, and the fields of a record with each
    other. With --numbers it also compares the records with the checkpoints and the saved test logits.
    """

    only_reads: ClassVar[bool] = True
    numbers: Annotated[
        bool,
        Option(
            "--numbers",
            help="Compare every field with the copy in the checkpoint; recompute every metric from the saved test logits.",
        ),
    ] = False
    from_checkpoint: Annotated[
        bool, Option("--from-checkpoint", help="Recompute the test logits too, from weights and data. Takes longer.")
    ] = False
    fields: Annotated[bool, Option("--fields", help="Check nothing; list what each field of a record is checked against.")] = (
        False
    )
    data_dir: DataDir = None
    device: Device = "auto"


def run(command: RunsVerify) -> None:
    """Check every run of the project, or list what each field is checked against."""
    from sslcli.verification.printing import print_fields, print_states

    if command.fields:
        print_fields()
    else:
        registry = open_registry(command)
        print_states(registry, _closer(registry, command))


def _closer(registry: Registry, command: RunsVerify) -> LookCloser | None:
    """The check of checkpoints and logits, which needs torch; None if it was not asked for."""
    if not (command.numbers or command.from_checkpoint):
        return None
    from sslcli.verification.numbers import Prover

    prover = Prover(registry, from_checkpoint=command.from_checkpoint, data_dir=command.data_dir, device=command.device)
    return prover.look
