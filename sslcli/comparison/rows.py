"""Evaluations and their differences as rows of tables."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from sslcli.comparison.differences import (
    setting_of,
    spread,
)
from sslcli.comparison.options_apart import NO_SETTINGS, Settings
from sslcli.evaluation.protocols import PROTOCOLS, protocol_named
from sslcli.runs.run import Run

FIGURES = ("test_acc", "best_test_acc", "val_acc", "test_nll", "test_ece", "test_images")


def tables(
    chosen: list[Run],
    differences: list[dict[str, Any]],
    setups: dict[str, str | None],
    settings: Settings = NO_SETTINGS,
    *,
    tell_published: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """For each protocol, in words, its rows: runs that differ in seed alone in one (a seed done twice also in one of its own),
    and each difference under the later of its two. `tell_published` marks the rows of runs whose numbers alone are here."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in chosen:
        groups.setdefault(setting_of(run, setups), []).append(run)
    order = {run.id: place for place, run in enumerate(chosen)}
    under: dict[str, list[dict[str, Any]]] = {}
    for found in differences:
        under.setdefault(max(found["pretrained_run"], found["scratch_run"], key=order.__getitem__), []).append(found)
    made: dict[str, list[dict[str, Any]]] = {}
    for group in groups.values():
        protocol = group[0].protocol
        rows = made.setdefault(PROTOCOLS[protocol].name if protocol in PROTOCOLS else group[0].experiment, [])
        of_seed = {run.seed: run for run in group}
        newest_each = list(of_seed.values())
        of_seeds = [[run] for run in group if run not in newest_each] + [newest_each]
        rows += [_row_over_seeds(runs, settings) | (_kept(runs) if tell_published else {}) for runs in of_seeds]
        mine = [found for run in group for found in under.get(run.id, [])]
        rows += [_difference_row(found, name_it=len(mine) > 1) for found in mine]
    return made


def _row_over_seeds(runs: list[Run], settings: Settings) -> dict[str, Any]:
    row = row_of(runs[0], settings) | {"runs": [run.id for run in runs]}
    row["seeds"] = ", ".join(str(run.seed) for run in runs if run.seed is not None)
    searched = [run.metrics["rate"] for run in runs if not _frozen(run) and "rate" in run.metrics]
    row["rate"] = ", ".join(dict.fromkeys(f"{rate:.3g}" for rate in searched))
    if len(runs) == 1:
        return row
    for key in ("test_acc", "best_test_acc"):
        known = [run.metrics[key] for run in runs if key in run.metrics]
        row[key] = f"{fmean(known):.2%} ± {100 * (spread(known) or 0):.2f}" if len(known) == len(runs) else None
    return row | {"run": f"{runs[0].id} and {len(runs) - 1} more"}


def _frozen(run: Run) -> bool:
    return protocol_named(run.protocol, run.experiment).frozen


def _kept(runs: list[Run]) -> dict[str, Any]:
    """What is kept of runs, where that is less than all: of published ones only numbers, which nothing here proves."""
    return {"kept": "published: numbers only"} if any(run.status == "published" for run in runs) else {}


def _difference_row(found: dict[str, Any], *, name_it: bool) -> dict[str, Any]:
    whose = {"run": f"of {found['pretrained_run']}", "runs": [found["pretrained_run"]]} if name_it else {}
    return {
        "init": "difference",
        "setting": found.get("setting"),
        "method": found.get("method"),
        "seeds": ", ".join(str(seed) for seed in found["seeds"] if seed is not None),
        "at_epoch": found["at_epoch"],
        found["metric"]: _points(found["difference"]),
        "best_test_acc": _points(found["best_test_difference"]),
        "interval_acc": f"{100 * found['low']:+.2f} to {100 * found['high']:+.2f}",
        "difference_sd": found["difference_sd"],
        "bold": True,
    } | whose


def row_of(run: Run, settings: Settings = NO_SETTINGS) -> dict[str, Any]:
    """A run as a row of the comparison; accuracies are fractions."""
    keys = ("experiment", "protocol", "init", "dataset", "label_fraction", "backbone", "epochs", "seed", "status", "parent",
            "at_epoch")  # fmt: skip
    return {key: getattr(run, key) for key in keys} | {key: run.metrics.get(key) for key in FIGURES} | {
        "setting": settings.get(run.id), "run": run.id, "method": run.encoder_method
    }  # fmt: skip


def _points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f} points"
