"""The output of ssl runs verify: a line for every run, and the number of runs in each state."""

from __future__ import annotations

from collections import Counter

from sslcli.console.messages import say
from sslcli.console.tables import print_rows
from sslcli.errors import StateError
from sslcli.runs.proofs import PROOFS, SOURCES
from sslcli.runs.registry import Registry
from sslcli.verification.records import BAD, LookCloser, look


def print_states(registry: Registry, look_closer: LookCloser | None) -> None:
    """Print a line for every run, then the number of runs in each state; a StateError at the end if one is not as recorded."""
    states = Counter[str]()
    for run in registry.runs():
        state, words = look(registry, run, look_closer)
        states[state] += 1
        print(f"{run.id}: {words or state}")
    known = {run.folder for run in registry.runs()}
    for path in sorted(registry.root.glob("runs/*/*/run.yaml")):
        folder = path.parent.relative_to(registry.root).as_posix()
        if folder not in known:
            states[BAD] += 1
            print(f"{folder}: orphaned, not in the registry; to add it, type: {registry.command('ssl runs rebuild')}")
    say(f"{states.total()} runs" + "".join(f"; {count} {state}" for state, count in states.items()))
    if states[BAD]:
        raise StateError(f"{states[BAD]} of these runs are not as recorded")


def print_fields() -> None:
    """Print what each field of a record is checked against."""
    rows = [{"field": name, "by": "; ".join(SOURCES[by] for by in proofs) or "not provable"} for name, proofs in PROOFS.items()]
    print_rows(rows, {"field": "field", "by": "proven by"}, style="table")
