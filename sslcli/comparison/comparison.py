"""ssl compare: pretrained beside scratch, a table for each protocol, and the answer in a sentence. Imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sslcli.comparison.differences import (
    answer,
    difference_of,
    in_order,
    over_settings,
    pair_up,
    setting_of,
    spread,
)
from sslcli.comparison.options_apart import NO_SETTINGS, Settings, settings_in_words
from sslcli.console.tables import print_rows
from sslcli.errors import StateError
from sslcli.evaluation.naming import heading
from sslcli.evaluation.protocols import PROTOCOLS, evaluations, protocol_named
from sslcli.options.command import Compare
from sslcli.options.pairing import changed_options
from sslcli.options.project import open_registry
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.next_step import partner_command, record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_study

COLUMNS = {
    "dataset": "data set", "backbone": "backbone", "epochs": "epochs", "label_fraction": "labels", "setting": "setting",
    "init": "init", "method": "method",
    "seeds": "seed", "test_acc": "test accuracy", "interval_acc": "95 % interval", "best_test_acc": "best test accuracy",
    "rate": "rate", "run": "run", "kept": "kept",
}  # fmt: skip
CSV_COLUMNS = ("experiment", "protocol", "init", "dataset", "label_fraction", "at_epoch", "backbone", "epochs", "seed",
               "test_acc", "test_images", "best_test_acc", "test_nll", "test_ece", "run", "setting", "method")  # fmt: skip
FIGURES = ("test_acc", "best_test_acc", "val_acc", "test_nll", "test_ece", "test_images")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A study's numbers: a row for each run, a difference for each setting, as `--format json` has them, and the answer."""

    rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    answer: str


def compared(command: Compare) -> Comparison:
    """What `run` prints, as values."""
    registry = open_registry(command)
    chosen, _ = _chosen(registry, command)
    setups = pretrain_setups(registry, chosen)
    return Comparison(**results(chosen, setups, settings_in_words(registry, chosen, setups)))


def _chosen(registry: Registry, command: Compare) -> tuple[list[Run], list[str]]:
    """The runs to compare, and the names of other studies."""
    chosen, others = choose(registry, study=command.study, everything=command.all)
    if command.without_duplicates:
        from sslcli.comparison.without_duplicates import without_duplicates

        chosen = without_duplicates(registry, chosen)
    return chosen, others


def run(command: Compare) -> None:
    """Print the tables of a study, the difference under each pair, and last the sentence."""
    registry = open_registry(command)
    chosen, others = _chosen(registry, command)
    setups = pretrain_setups(registry, chosen)
    settings = settings_in_words(registry, chosen, setups)
    own = any(run.status != "published" for run in chosen)
    found = results(chosen, setups, settings) | {"without_duplicates": command.without_duplicates}
    if command.format == "json":
        print_rows(found["rows"], {}, style="json", whole=found)
    elif command.format == "csv":
        print_rows(found["rows"], dict(zip(CSV_COLUMNS, CSV_COLUMNS, strict=True)), style="csv")
    else:
        epochs_shown = {"at_epoch": "of epoch"} if any(run.at_epoch for run in chosen) else {}
        for protocol, rows in tables(chosen, found["differences"], setups, settings, tell_published=own).items():
            print(f"\n### {heading(protocol)}\n" if command.format == "markdown" else f"\n{heading(protocol)}")
            used = {key: words for key, words in (COLUMNS | epochs_shown).items() if any(row.get(key) for row in rows)}
            print_rows(rows, used, style=command.format)
    lonely = [run for run in pair_up(chosen)[1] if not _repeated(run, chosen)]
    for message in _messages(registry, chosen, lonely, others):
        print(message, file=sys.stderr)
    if command.format in ("table", "markdown"):
        print("\nWithout the test images that are duplicates." * command.without_duplicates + f"\n{found['answer']}")


def _messages(registry: Registry, chosen: list[Run], lonely: list[Run], others: list[str]) -> list[str]:
    found = [f"{run.id} has no partner: {why_lonely(registry, run, chosen)}" for run in lonely]
    if apart := [run.id for run in chosen if run.init not in (None, *INIT_WORDS)]:
        found.append(f"began with others' weights, and so are in no pair: {', '.join(apart)}")
    if named := [name for name in others if name]:
        found.append(
            f"other studies here: {', '.join(named)}; to see one, type: {registry.command('ssl compare --study NAME')}"
        )
    return found


def _repeated(run: Run, runs: list[Run]) -> bool:
    """Whether a later one of the runs is the same training, and so stands in its place."""
    return any((other.pair, other.init) == (run.pair, run.init) for other in runs[runs.index(run) + 1 :] if run.pair)


def results(chosen: list[Run], setups: dict[str, str | None], settings: Settings = NO_SETTINGS) -> dict[str, Any]:
    """What `--format json` prints: a row for each run, a difference for each setting, and the answer."""
    groups = over_settings(pair_up(chosen)[0], setups)
    differences = [difference_of(pairs) | {"setting": settings.get(pairs[0][0].id)} for pairs in groups]
    return {"rows": [row_of(run, settings) for run in chosen], "differences": differences, "answer": answer(differences)}


def tables(
    chosen: list[Run],
    differences: list[dict[str, Any]],
    setups: dict[str, str | None],
    settings: Settings = NO_SETTINGS,
    *,
    tell_published: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """For each protocol, in words, its rows: runs that differ in seed alone in one (a seed done twice also in one of its own),
    and each difference under its scratch. `tell_published` marks the rows of runs whose numbers alone are here."""
    groups: dict[tuple[Any, ...], list[Run]] = {}
    for run in chosen:
        groups.setdefault(setting_of(run, setups), []).append(run)
    of_scratch: dict[str, list[dict[str, Any]]] = {}
    for found in differences:
        of_scratch.setdefault(found["scratch_run"], []).append(found)
    made: dict[str, list[dict[str, Any]]] = {}
    for group in groups.values():
        protocol = group[0].protocol
        rows = made.setdefault(PROTOCOLS[protocol].name if protocol in PROTOCOLS else group[0].experiment, [])
        of_seed = {run.seed: run for run in group}
        newest_each = list(of_seed.values())
        of_seeds = [[run] for run in group if run not in newest_each] + [newest_each]
        rows += [_row_over_seeds(runs, settings) | (_kept(runs) if tell_published else {}) for runs in of_seeds]
        mine = [found for run in group for found in of_scratch.get(run.id, [])]
        rows += [_difference_row(found, name_it=len(mine) > 1) for found in mine]
    return made


def pretrain_setups(registry: Registry, chosen: list[Run]) -> dict[str, str | None]:
    """The setups of the pretrain runs that evaluations start from; the index is read only if there are some."""
    if not any(run.parent for run in chosen):
        return {}
    return {run.id: run.setup for run in registry.runs() if run.experiment == "pretrain"}


def _row_over_seeds(runs: list[Run], settings: Settings) -> dict[str, Any]:
    row = row_of(runs[0], settings) | {"seeds": ", ".join(str(run.seed) for run in runs if run.seed is not None)}
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
    whose = {"run": f"of {found['pretrained_run']}"} if name_it else {}
    return {
        "init": "difference",
        "setting": found.get("setting"),
        "method": found.get("method"),
        "seeds": ", ".join(str(seed) for seed in found["seeds"] if seed is not None),
        "at_epoch": found["at_epoch"],
        found["metric"]: _points(found["difference"]),
        "best_test_acc": _points(found["best_test_difference"]),
        "interval_acc": f"{100 * found['low']:+.2f} to {100 * found['high']:+.2f}",
        "bold": True,
    } | whose


def choose(registry: Registry, *, study: str | None, everything: bool = False) -> tuple[list[Run], list[str]]:
    """The finished evaluations of the study that was asked for, else of the newest; and the names of other studies.

    Evaluations of earlier epochs' checkpoints are among them only if everything is asked for.
    """
    every = registry.runs()
    runs = [run for run in every if run.experiment in evaluations() and run.status in ("finished", "published")]
    runs = [run for run in runs if everything or run.at_epoch is None]
    if not runs:
        commands = f"{registry.command('ssl study')}, or: {registry.command('ssl probe')}"
        raise StateError(f"there is no finished evaluation in {registry.root}; to make some, type: {commands}")
    studies = list(dict.fromkeys(run.study or "" for run in runs))
    if study is not None and study not in studies:
        raise StateError(f"no study is called {study!r}; there are: {', '.join(filter(None, studies)) or 'none'}")
    wanted = (newest_study(runs) if study is None and not everything else study) or ""
    within = [run for run in runs if (run.study or "") == wanted]
    whole = everything and study is None
    chosen = runs if whole else within if everything else newest(within, {run.id: run.setup for run in every})
    return sorted(chosen, key=in_order), [] if whole else [name for name in studies if name != wanted]


def newest(runs: Iterable[Run], setups: dict[str, str | None]) -> list[Run]:
    """Of runs with equal options, those of the pretraining included, the newest alone; `setups` are those of runs by id."""

    def same(run: Run) -> tuple[Any, ...]:
        parent = run.parent and (setups.get(run.parent) or run.parent)
        return run.experiment, run.pair or run.id, run.init, parent, run.at_epoch

    return list({same(run): run for run in runs}.values())


def row_of(run: Run, settings: Settings = NO_SETTINGS) -> dict[str, Any]:
    """A run as a row of the comparison; accuracies are fractions."""
    keys = ("experiment", "protocol", "init", "dataset", "label_fraction", "backbone", "epochs", "seed", "status", "parent",
            "at_epoch")  # fmt: skip
    return {key: getattr(run, key) for key in keys} | {key: run.metrics.get(key) for key in FIGURES} | {
        "setting": settings.get(run.id), "run": run.id, "method": run.encoder_method
    }  # fmt: skip


def _points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f} points"


def why_lonely(registry: Registry, run: Run, others: list[Run]) -> str:
    """Name the options in which a run differs from the closest run of the other init."""
    candidates = [other for other in others if other.protocol == run.protocol and {other.init, run.init} == set(INIT_WORDS)]
    if not candidates:
        wanted = "pretrained" if run.init == "scratch" else "scratch"
        return f"there is no {wanted} run; to make it, type: {partner_command(registry, run)}"
    mine = _identity(registry, run)
    best: list[str] = []
    for other in candidates:
        different = changed_options(run.experiment, mine, _identity(registry, other))
        if not best or len(different) < len(best):
            best = different
    return f"the closest run of the other init differs in {', '.join(best) or 'options that are not on record'}"


def _identity(registry: Registry, run: Run) -> dict[str, Any]:
    record = record_or_index(registry, run)
    options = record.options or {key: getattr(run, key) for key in ("dataset", "backbone", "seed", "epochs", "label_fraction")}
    data = {"data": record.data["sha256"][:12]} if "sha256" in record.data else {}
    return options | data
