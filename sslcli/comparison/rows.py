"""Evaluations and their differences as rows of tables, and how these fit a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, product
from statistics import fmean
from typing import Any

from sslcli.comparison.differences import (
    but_for_seed,
    folds_of,
    spread,
)
from sslcli.comparison.options_apart import NO_SETTINGS, Settings
from sslcli.console.tables import text_of, width_of
from sslcli.evaluation.protocols import PROTOCOLS, protocol_named
from sslcli.evaluation.statistics import InitDifference
from sslcli.runs.naming import inits_in_words
from sslcli.runs.run import Run

GAP = 2  # spaces between columns
MOST_IDS = 3  # shortened ids in a cell, at most
PUBLISHED = "published"
IN_TERMINAL = {
    "dataset": "data set", "backbone": "backbone", "epochs": "epochs", "label_fraction": "labels", "folds": "folds",
    "setting": "setting",
    "init": "init", "method": "method", "seeds": "seeds", "test_acc": "test", "interval_acc": "95 % interval",
    "best_test_acc": "best test", "rate": "rate", "at_epoch": "epoch", "run": "run", "kept": "kept",
}  # fmt: skip
SHARED = {"dataset": "{}", "backbone": "{}", "epochs": "{} epochs", "label_fraction": "{} of the labels", "method": "{}",
          "folds": "{} folds of all labelled images", "seeds": "seeds {}"}  # fmt: skip
"""Columns that stand above the table if all rows have the same value."""
Row = Mapping[str, Any]
Words = Callable[[Sequence[str]], str]
Laid = tuple[list[dict[str, Any]], dict[str, str]]
"""The rows of a table, and its columns with their headings."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRow:
    """An evaluation's numbers, in the order of `--format json`. Accuracies are fractions; None was not measured or recorded."""

    experiment: str
    protocol: str | None
    init: str | None
    dataset: str | None
    label_fraction: float | None
    backbone: str | None
    epochs: float | None
    seed: int | None
    status: str
    parent: str | None
    at_epoch: int | None
    test_acc: float | None
    best_test_acc: float | None
    val_acc: float | None
    test_nll: float | None
    test_ece: float | None
    test_images: float | None
    setting: str | None
    run: str
    method: str | None
    folds: int | None = None


def tables(
    chosen: list[Run],
    differences: Sequence[InitDifference],
    setups: dict[str, str | None],
    settings: Settings = NO_SETTINGS,
    *,
    tell_published: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each protocol, by its name in words: one for runs that differ only in seed (a repeated seed gets its own),
    and each difference under the later of its two rows, with its two accuracies where it has fewer seeds than these.
    `tell_published` marks rows of runs of which only numbers are here."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in chosen:
        groups.setdefault(but_for_seed(run, setups), []).append(run)
    names = inits_in_words(run.init for run in chosen)
    order = {run.id: place for place, run in enumerate(chosen)}
    seeds = {run.id: len({other.seed for other in group}) for group in groups.values() for run in group}
    under: dict[str, list[InitDifference]] = {}
    for found in differences:
        under.setdefault(max(found.pretrained_run, found.scratch_run, key=order.__getitem__), []).append(found)
    made: dict[str, list[dict[str, Any]]] = {}
    for group in groups.values():
        protocol = group[0].protocol
        rows = made.setdefault(PROTOCOLS[protocol].name if protocol in PROTOCOLS else group[0].experiment, [])
        of_seed = {run.seed: run for run in group}
        newest_each = list(of_seed.values())
        of_seeds = [[run] for run in group if run not in newest_each] + [newest_each]
        named = {"init": names.get(group[0].init or "")}
        rows += [_row_over_seeds(runs, settings) | named | (_kept(runs) if tell_published else {}) for runs in of_seeds]
        mine = [found for run in group for found in under.get(run.id, [])]
        for found in mine:
            fewer = {seeds[found.pretrained_run], seeds[found.scratch_run]} != {len(found.seeds)}
            rows.append(_difference_row(found, name_it=len(mine) > 1, with_means=fewer))
    return made


def _row_over_seeds(runs: list[Run], settings: Settings) -> dict[str, Any]:
    row = vars(row_of(runs[0], settings)) | {"runs": [run.id for run in runs]}
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
    """What is kept of runs, if not everything: of published ones only numbers, which cannot be checked here."""
    return {"kept": "published: numbers only"} if any(run.status == "published" for run in runs) else {}


def _difference_row(found: InitDifference, *, name_it: bool, with_means: bool) -> dict[str, Any]:
    means = f"{found.pretrained:.2%} against {found.scratch:.2%}" if with_means else ""
    whose: dict[str, Any] = {"run": ": ".join(filter(None, (f"of {found.pretrained_run}" * name_it, means))), "means": means}
    whose |= {"runs": [found.pretrained_run]} if name_it else {}
    return {
        "init": "difference",
        "setting": found.setting,
        "method": found.method,
        "seeds": ", ".join(str(seed) for seed in found.seeds if seed is not None),
        "at_epoch": found.at_epoch,
        found.metric: _points(found.difference),
        "best_test_acc": _points(found.best_test_difference),
        "interval_acc": f"{100 * found.low:+.2f} to {100 * found.high:+.2f}",
        "difference_sd": found.difference_sd,
        "bold": True,
    } | whose


def row_of(run: Run, settings: Settings = NO_SETTINGS) -> EvaluationRow:
    """A run as a row of the comparison."""
    figure = run.metrics.get
    return EvaluationRow(
        experiment=run.experiment, protocol=run.protocol, init=run.init, dataset=run.dataset, label_fraction=run.label_fraction,
        backbone=run.backbone, epochs=run.epochs, seed=run.seed, status=run.status, parent=run.parent, at_epoch=run.at_epoch,
        test_acc=figure("test_acc"), best_test_acc=figure("best_test_acc"), val_acc=figure("val_acc"),
        test_nll=figure("test_nll"), test_ece=figure("test_ece"), test_images=figure("test_images"),
        setting=settings.get(run.id), run=run.id, method=run.encoder_method, folds=folds_of(run),
    )  # fmt: skip


def _points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f} points"


def within_room(tables: Mapping[str, Sequence[Row]], ids: Collection[str], room: int) -> dict[str, Laid]:
    """Lay out each table: with whole ids, else with shortened ones, else with one each; the best over epochs if it fits."""
    known: dict[str, str] = {}

    def short(names: Sequence[str], most: int = MOST_IDS) -> str:
        known.update({} if known else endings(ids))
        listed = ", ".join(f"…{known[name]}" for name in names[:most])
        return f"{listed} +{len(names) - most}" if len(names) > most else listed

    forms: tuple[Words, ...] = (_whole, short, partial(short, most=1))
    laid: dict[str, Laid] = {}
    for words, best in product(forms, (True, False)):
        laid = {protocol: _laid_out(rows, words, best=best) for protocol, rows in tables.items()}
        if all(width_of(rows, columns, gap=GAP) <= room for rows, columns in laid.values()):
            break
    return laid


def _laid_out(rows: Sequence[Row], words: Words, *, best: bool) -> Laid:
    """The rows of a table with their runs in words, and the columns that are not the same for all rows."""
    brief = [_brief(row) | ({"run": _named(row, words)} if "runs" in row else {}) for row in rows]
    left_out = {*shared_words(rows)} | ({"best_test_acc"} if not best and any(row.get("test_acc") for row in rows) else set())
    used = {key: head for key, head in IN_TERMINAL.items() if key not in left_out and any(row.get(key) for row in brief)}
    return brief, used


def _named(row: Row, words: Words) -> str:
    """The runs of a row, or the run whose difference it is, and this difference's accuracies if they stand nowhere else."""
    if row["init"] != "difference":
        return words(row["runs"])
    return ": ".join(filter(None, (f"of {words(row['runs'])}", row["means"])))


def _brief(row: Row) -> dict[str, Any]:
    """A row with the deviation beside its difference, none beside its best accuracy, and short words."""
    texts = {key: str(row[key]) for key in ("test_acc", "best_test_acc") if isinstance(row.get(key), str)}
    plain = {key: text.removesuffix(" points") for key, text in texts.items()}
    if row.get("difference_sd") is not None and "test_acc" in plain:
        plain["test_acc"] += f" ± {100 * row['difference_sd']:.2f}"
    best = {"best_test_acc": plain["best_test_acc"].partition(" ±")[0]} if "best_test_acc" in plain else {}
    named = {"backbone": row["backbone"].rpartition(":")[2]} if row.get("backbone") else {}  # its library is told elsewhere
    return {**row, **plain, **best, **named} | ({"kept": PUBLISHED} if row.get("kept") else {})


def shared_words(rows: Sequence[Row]) -> dict[str, str]:
    """What all rows of a table have in common, in words, apart from scratch, which no method trained."""
    found = {}
    for key, words in SHARED.items():
        values = {row[key] for row in rows if key in row and not (key == "method" and row["init"] == "scratch")}
        texts = {text_of(key, value) for value in values}
        if len(texts) == 1 and (text := texts.pop()):
            found[key] = words.format(text) if key != "seeds" or "," in text else f"seed {text}"
    return found


def _whole(ids: Sequence[str]) -> str:
    return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else ids[0]


def endings(ids: Collection[str]) -> dict[str, str]:
    """The shortest unique ending of each id, in whole words between hyphens."""
    found = {name: [*accumulate(reversed(name.split("-")), lambda end, word: f"{word}-{end}")] for name in ids}
    counts = Counter(ending for several in found.values() for ending in several)
    return {name: next((ending for ending in several if counts[ending] == 1), name) for name, several in found.items()}
