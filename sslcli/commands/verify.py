"""ssl runs verify: every checkpoint against its recorded hash, and every figure against what it is made of."""

from __future__ import annotations

import hashlib

from sslcli.commands.project import open_registry
from sslcli.config import RunsVerify
from sslcli.errors import StateError, UserError
from sslcli.registry import Registry, Run


def run(command: RunsVerify) -> None:
    """Print a line for every run; a StateError at the end if one is not as recorded."""
    registry = open_registry(command)
    bad = 0
    for run in registry.runs():
        problems = [] if run.status == "published" else check(registry, run)
        if run.status == "finished" and (command.numbers or command.from_checkpoint):
            problems += _numbers(registry, run, command)
        bad += bool(problems)
        state = "no weights here (published)" if run.status == "published" else "; ".join(problems) or "as recorded"
        print(f"{run.id}: {state}")
    known = {run.folder for run in registry.runs()}
    for path in sorted(registry.root.glob("runs/*/*/run.yaml")):
        folder = path.parent.relative_to(registry.root).as_posix()
        if folder not in known:
            bad += 1
            print(f"{folder}: orphaned, not in the registry; to take it in, type: {registry.command('ssl runs rebuild')}")
    if bad:
        raise StateError(f"{bad} of these are not as recorded")


def _numbers(registry: Registry, run: Run, command: RunsVerify) -> list[str]:
    """The figures of a run that cannot be made again, in words."""
    from sslcli.commands.verify_numbers import from_checkpoint, numbers

    problems = numbers(registry, run)
    problems += from_checkpoint(registry, run, command) if command.from_checkpoint else []
    return list(dict.fromkeys(problems))


def check(registry: Registry, run: Run) -> list[str]:
    """What is wrong with a run's files, in words; empty if nothing is."""
    if not registry.path(f"{run.folder}/run.yaml").exists():
        return [f"missing: {run.folder}/run.yaml"]
    try:
        record = registry.load(run)
    except UserError as error:
        return [f"damaged: {error}"]
    problems = []
    index, own = run.index_entry(), record.index_entry()
    if unequal := [f"{key} ({index.get(key)} against {own.get(key)})" for key in index | own if index.get(key) != own.get(key)]:
        remedy = registry.command("ssl runs rebuild")
        problems.append(
            f"changed: registry.yaml and run.yaml disagree in {', '.join(unequal)}; where run.yaml is right, type: {remedy}"
        )
    for file, hashes in record.checkpoints.items():
        path = registry.path(f"{run.folder}/checkpoints/{file}")
        if not path.exists():
            problems.append(f"missing: {path}")
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) not in hashes:
            problems.append(f"damaged: {path} has sha256 {found[:12]}…, recorded is {hashes[0][:12]}…")
    return problems
