"""ssl compare: pretrained beside scratch, and the answer in a sentence. Imports no torch."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from sslcli.commands.project import changed_options, in_words, open_registry, partner_command, record_or_index
from sslcli.commands.tables import print_rows
from sslcli.config import Compare
from sslcli.errors import StateError
from sslcli.evaluation.statistics import difference_interval
from sslcli.registry import Registry, Run

COLUMNS = {
    "experiment": "experiment", "protocol": "protocol", "init": "init", "dataset": "data set", "label_fraction": "labels",
    "backbone": "backbone", "epochs": "epochs", "seed": "seed", "test_acc": "test accuracy",
    "best_test_acc": "best test accuracy", "run": "run",
}  # fmt: skip
EVALUATIONS = ("linear_eval", "finetune")


def run(command: Compare) -> None:
    """Print the rows of a study, the difference under each pair, and last the sentence."""
    registry = open_registry(command)
    chosen, others = choose(registry, study=command.study, everything=command.all)
    pairs, lonely = pair_up(chosen)
    rows, differences = [row_of(run) for run in chosen], [difference_of(*pair) for pair in pairs]
    sentence = answer(differences)
    whole = {"rows": rows, "differences": differences, "answer": sentence}
    shown = _with_differences(rows, differences) if command.format in ("table", "markdown") else rows
    epochs_shown = {"at_epoch": "of epoch"} if any(run.at_epoch for run in chosen) else {}
    print_rows(shown, COLUMNS | epochs_shown, style=command.format, whole=whole)
    messages = [f"{run.id} has no partner: {reason}" for run, reason in ((r, why_lonely(registry, r, chosen)) for r in lonely)]
    messages += (
        [f"other studies here: {', '.join(others)}; to see one, type: {registry.command('ssl compare --study NAME')}"]
        if others
        else []
    )
    for message in messages:
        print(message, file=sys.stderr)
    if command.format in ("table", "markdown"):
        print(f"\n{sentence}")


def _with_differences(rows: list[dict[str, Any]], differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, and under each scratch run its differences; if it has several, each says whose."""
    under: dict[str, list[dict[str, Any]]] = {}
    for found in differences:
        under.setdefault(found["scratch_run"], []).append(found)
    shown = []
    for row in rows:
        shown.append(row)
        for found in (mine := under.get(row["run"], [])):
            figures = {found["metric"]: _points(found["difference"]), "best_test_acc": _points(found["best_test_difference"])}
            whose = {"run": f"of {found['pretrained_run']}"} if len(mine) > 1 else {}
            shown.append({"init": "difference", **figures, **whose, "bold": True})
    return shown


def choose(registry: Registry, *, study: str | None, everything: bool) -> tuple[list[Run], list[str]]:
    """The finished evaluations of the study that was asked for, else of the newest; and the names of other studies.

    Evaluations of earlier epochs' checkpoints are among them only if everything is asked for.
    """
    runs = [run for run in registry.runs() if run.experiment in EVALUATIONS and run.status in ("finished", "published")]
    runs = [run for run in runs if everything or run.at_epoch is None]
    if not runs:
        commands = f"{registry.command('ssl study')}, or: {registry.command('ssl probe')}"
        raise StateError(f"there is no finished evaluation in {registry.root}; to make some, type: {commands}")
    studies = list(dict.fromkeys(run.study or "" for run in runs))
    if study is not None and study not in studies:
        raise StateError(f"no study is called {study!r}; there are: {', '.join(filter(None, studies)) or 'none'}")
    wanted = study if study is not None else runs[-1].study or ""
    chosen = runs if everything else newest([run for run in runs if (run.study or "") == wanted])
    order = {"pretrained": 0, "scratch": 1}
    chosen.sort(key=lambda r: (EVALUATIONS.index(r.experiment), -(r.label_fraction or 1), r.dataset or "", r.seed or 0,
                               r.pair or "", order.get(r.init or "", 2)))  # fmt: skip
    return chosen, [name for name in studies if name and name != wanted and not everything]


def newest(runs: list[Run]) -> list[Run]:
    """Of runs with equal options, parent included, the newest alone."""
    return list({(run.experiment, run.pair or run.id, run.init, run.parent, run.at_epoch): run for run in runs}.values())


def pair_up(runs: list[Run]) -> tuple[list[tuple[Run, Run]], list[Run]]:
    """Pretrained runs with their scratch partners (options equal but for init), and the runs that have none."""
    scratch = {run.pair: run for run in runs if run.init == "scratch" and run.pair}
    pairs = [(run, scratch[run.pair]) for run in runs if run.init == "pretrained" and run.pair in scratch]
    paired = {run.id for pair in pairs for run in pair}
    return pairs, [run for run in runs if run.id not in paired]


def row_of(run: Run) -> dict[str, Any]:
    """A run as a row of the comparison; accuracies are fractions."""
    row = {key: getattr(run, key, None) for key in (*COLUMNS, "status", "parent", "at_epoch")} | {"run": run.id}
    return row | {key: run.metrics.get(key) for key in ("test_acc", "best_test_acc", "val_acc", "test_images")}


def difference_of(pretrained: Run, scratch: Run) -> dict[str, Any]:
    """Pretrained minus scratch, on the test accuracy that validation chose; where unknown, on the best over epochs."""
    metric = "test_acc" if "test_acc" in pretrained.metrics and "test_acc" in scratch.metrics else "best_test_acc"
    first, second = pretrained.metrics[metric], scratch.metrics[metric]
    low, high = difference_interval(first, second, pretrained.metrics.get("test_images", 10_000))
    best: list[Any] = [run.metrics.get("best_test_acc") for run in (pretrained, scratch)]
    return {
        "experiment": pretrained.experiment, "protocol": pretrained.protocol, "dataset": pretrained.dataset,
        "label_fraction": pretrained.label_fraction, "at_epoch": pretrained.at_epoch, "seed": pretrained.seed, "metric": metric,
        "pretrained": first, "scratch": second, "difference": first - second, "low": low, "high": high,
        "best_test_difference": None if None in best else best[0] - best[1],
        "pretrained_run": pretrained.id, "scratch_run": scratch.id,
    }  # fmt: skip


def _points(difference: float | None) -> str:
    return "" if difference is None else f"{100 * difference:+.2f} points"


def answer(differences: list[dict[str, Any]]) -> str:
    """One sentence: does pretraining help? A difference whose interval spans 0 is never called a gain or a loss."""
    if not differences:
        return "There is no pair of pretrained and scratch runs with otherwise equal options, so no difference to state."
    places = [in_words(found["experiment"], found["label_fraction"], found["at_epoch"]) for found in differences]
    count, parts = Counter(places), []
    for found, place in zip(differences, places, strict=True):
        where = place if count[place] == 1 else f"{place} ({found['pretrained_run']})"
        figures = f"{found['pretrained']:.2%} against {found['scratch']:.2%}"
        if found["low"] > 0:
            parts.append(f"{where}, yes, by {100 * found['difference']:.1f} points ({figures})")
        elif found["high"] < 0:
            parts.append(f"{where}, no, it costs {-100 * found['difference']:.1f} points ({figures})")
        else:
            parts.append(f"{where}, no difference that the test images can show ({figures})")
    seeds = len({found["seed"] for found in differences})
    return f"Does pretraining help? In {'; in '.join(parts)}; {'one seed' if seeds == 1 else f'{seeds} seeds'}."


def why_lonely(registry: Registry, run: Run, others: list[Run]) -> str:
    """Name the options in which a run differs from the closest run of the other init."""
    candidates = [other for other in others if other.experiment == run.experiment and other.init != run.init]
    if not candidates:
        wanted = "pretrained" if run.init == "scratch" else "scratch"
        return f"there is no {wanted} run; to make it, type: {partner_command(registry, run)}"
    mine = _identity(registry, run)
    best: list[str] = []
    for other in candidates:
        different = changed_options(mine, _identity(registry, other))
        if not best or len(different) < len(best):
            best = different
    return f"the closest run of the other init differs in {', '.join(best) or 'options that are not on record'}"


def _identity(registry: Registry, run: Run) -> dict[str, Any]:
    record = record_or_index(registry, run)
    options = record.options or {key: getattr(run, key) for key in ("dataset", "backbone", "seed", "epochs", "label_fraction")}
    data = {"data": record.data["sha256"][:12]} if "sha256" in record.data else {}
    return options | data
