"""What a study says when a signal stops it: what is done, what is left, and the command that goes on with it."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sslcli.errors import Interrupted
from sslcli.launch import as_typed
from sslcli.runs.registry import Registry
from sslcli.studies.jobs import runs_of
from sslcli.studies.tuning import study_of_trials


@contextmanager
def told_when_stopped(registry: Registry, study: str, *, left: str) -> Iterator[None]:
    """Say of a signal that stops the block how far the study is; `left` is what the block and all after it would make."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise Interrupted(signal.SIGINT, _how_far(registry, study, left)) from stopped
    except Interrupted as stopped:
        raise Interrupted(stopped.number, _how_far(registry, study, left)) from stopped


def _how_far(registry: Registry, study: str, left: str) -> str:
    counts = Counter(registry.status(run) for run in runs_of(registry, study))
    finished = counts.pop("finished", 0)
    others = "".join(f", {count} {state}" for state, count in counts.items())
    trials = sum(registry.status(run) == "finished" for run in runs_of(registry, study_of_trials(study)))
    tuned = f", {trials} trial{'s' * (trials != 1)} of tuning" if trials else ""
    done = f"{finished or 'no'} run{'s' * (finished != 1)}{tuned} finished{others}"
    return f"study {study}: {done}; left: {left}; to go on, type: {as_typed()}"
