"""ssl runs verify: is every run as recorded?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, ClassVar

from typer import Option

from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.errors import StateError
from sslcli.options.annotations import DataDir, Device
from sslcli.options.command import Command
from sslcli.options.project import open_registry
from sslcli.runs.proofs import PROOFS, SOURCES
from sslcli.runs.registry import Registry
from sslcli.verification.records import BAD, LookCloser, look


@dataclass(frozen=True, kw_only=True)
class RunsVerify(Command):
    """Check that every run is as recorded; exit code 3 if one is not.

    Compares each checkpoint with its recorded sha256, registry.yaml with run.yaml, and the fields of each record with each
    other. --numbers compares the records with what the checkpoints and test logits say, too.
    """

    only_reads: ClassVar[bool] = True
    numbers: Annotated[
        bool,
        Option("--numbers", help="Check every field against the checkpoint's own copy, every figure against the test logits."),
    ] = False
    from_checkpoint: Annotated[
        bool, Option("--from-checkpoint", help="And the test logits again from weights and data, which takes longer.")
    ] = False
    fields: Annotated[bool, Option("--fields", help="Check nothing; list what proves each field of a record.")] = False
    data_dir: DataDir = None
    device: Device = "auto"


def run(command: RunsVerify) -> None:
    """Print a line for every run, and how many there are of each state; a StateError at the end if one is not as recorded."""
    if command.fields:
        show_fields()
        return
    registry = open_registry(command)
    states, look_closer = Counter[str](), _closer(registry, command)
    for run in registry.runs():
        state, words = look(registry, run, look_closer)
        states[state] += 1
        print(f"{run.id}: {words or state}")
    known = {run.folder for run in registry.runs()}
    for path in sorted(registry.root.glob("runs/*/*/run.yaml")):
        folder = path.parent.relative_to(registry.root).as_posix()
        if folder not in known:
            states[BAD] += 1
            print(f"{folder}: orphaned, not in the registry; to take it in, type: {registry.command('ssl runs rebuild')}")
    say(f"{states.total()} runs" + "".join(f"; {count} {state}" for state, count in states.items()))
    if states[BAD]:
        raise StateError(f"{states[BAD]} of these are not as recorded")


def show_fields() -> None:
    """Print what proves each field of a record."""
    rows = [{"field": name, "by": "; ".join(SOURCES[by] for by in proofs) or "not provable"} for name, proofs in PROOFS.items()]
    print_rows(rows, {"field": "field", "by": "proven by"}, style="table")


def _closer(registry: Registry, command: RunsVerify) -> LookCloser | None:
    """What looks into checkpoints and logits, which takes torch; None where that was not asked for."""
    if not (command.numbers or command.from_checkpoint):
        return None
    from sslcli.verification.numbers import Prover

    prover = Prover(registry, from_checkpoint=command.from_checkpoint, data_dir=command.data_dir, device=command.device)
    return prover.look
