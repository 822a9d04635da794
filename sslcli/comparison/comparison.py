"""A study compared: a row for each run, a difference for each setting, and the answer. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sslcli.comparison.choice import choose
from sslcli.comparison.differences import (
    answer,
    difference_of,
    over_settings,
    pair_up,
)
from sslcli.comparison.options_apart import NO_SETTINGS, Settings, settings_in_words
from sslcli.comparison.rows import row_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A study's numbers: a row for each run, a difference for each setting, as `--format json` has them, and the answer."""

    rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    answer: str


def compared(
    registry: Registry, study: str | None, *, everything: bool = False, without_duplicates: bool = False
) -> Comparison:
    """A study's numbers, by default the newest one's; a StateError if there is no finished evaluation."""
    chosen, _ = chosen_runs(registry, study, everything=everything, without_duplicates=without_duplicates)
    setups = pretrain_setups(registry, chosen)
    return Comparison(**results(chosen, setups, settings_in_words(registry, chosen, setups)))


def chosen_runs(
    registry: Registry, study: str | None, *, everything: bool, without_duplicates: bool
) -> tuple[list[Run], list[str]]:
    """The runs to compare, `without_duplicates` with figures of the other test images, and the names of other studies."""
    chosen, others = choose(registry, study=study, everything=everything)
    if without_duplicates:
        from sslcli.comparison.without_duplicates import leave_out_duplicates  # it takes numpy, for which nobody else waits

        chosen = leave_out_duplicates(registry, chosen)
    return chosen, others


def results(chosen: list[Run], setups: dict[str, str | None], settings: Settings = NO_SETTINGS) -> dict[str, Any]:
    """What `--format json` prints: a row for each run, a difference for each setting, and the answer."""
    groups = over_settings(pair_up(chosen)[0], setups)
    differences = [difference_of(pairs) | {"setting": settings.get(pairs[0][0].id)} for pairs in groups]
    return {"rows": [row_of(run, settings) for run in chosen], "differences": differences, "answer": answer(differences)}


def pretrain_setups(registry: Registry, chosen: list[Run]) -> dict[str, str | None]:
    """The setups of the pretrain runs that evaluations start from; the index is read only if there are some."""
    if not any(run.parent for run in chosen):
        return {}
    return {run.id: run.setup for run in registry.runs() if run.experiment == "pretrain"}
