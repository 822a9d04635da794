"""The tables of the page: one for each protocol, and accuracy by fraction of the labels. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sslcli.comparison.differences import INTERVALS
from sslcli.comparison.ranking import Ranking
from sslcli.comparison.ranking_rows import RANKED, correction_of, heading_of, ranking_rows
from sslcli.comparison.rows import EvaluationRow
from sslcli.evaluation.naming import settings_with_method
from sslcli.evaluation.statistics import InitDifference
from sslcli.report.answer import ProtocolWords, interval, points, protocol_key, protocol_of, share, words_of


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the value to sort by, a smaller line below, and its style."""

    text: str = ""
    sort: float | str = ""
    note: str = ""
    kind: str = ""  # "number", "code" or none
    head: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `columns` are (heading, whether it holds numbers); the rows of `foot` stay below when the others are sorted."""

    caption: str
    columns: list[tuple[str, bool]]
    rows: list[list[Cell]]
    foot: list[list[Cell]] = field(default_factory=list)
    sortable: bool = True


COLUMNS = {
    "dataset": "data set", "backbone": "backbone", "label_fraction": "labels", "epochs": "epochs",
    "at_epoch": "of epoch", "folds": "folds", "setting": "setting", "init": "init", "method": "method",
    "seed": "seed", "test_acc": "test accuracy (%)", "best_test_acc": "best test accuracy (%)", "test_nll": "NLL (nats)",
    "test_ece": "ECE (%)", "run": "run",
}  # fmt: skip
NUMBERS = ("label_fraction", "epochs", "at_epoch", "folds", "seed", "test_acc", "best_test_acc", "test_nll", "test_ece")
ALWAYS = ("label_fraction", "init", "seed", "test_acc", "run")


def result_tables(rows: Sequence[EvaluationRow], differences: Sequence[InitDifference]) -> list[tuple[ProtocolWords, Table]]:
    """A table for each protocol: its runs, below them its differences. Protocols never share a column of accuracies."""
    tables = []
    for protocol in dict.fromkeys(map(protocol_of, rows)):
        mine = [row for row in rows if protocol_of(row) == protocol]
        found = [difference for difference in differences if protocol_key(difference) == protocol]
        shared = ("dataset", "backbone", "epochs")  # shown if they vary
        varying = [key for key in shared if len({getattr(row, key) for row in (mine if key == "epochs" else rows)}) > 1]
        known = [key for key in COLUMNS if key not in shared and any(getattr(row, key) is not None for row in mine)]
        keys = [key for key in COLUMNS if key in (*ALWAYS, *varying, *known)]
        epochs = {float(row.epochs) for row in mine if row.epochs}
        trained = f", {'/'.join(f'{e:g}' for e in sorted(epochs))} epochs" if epochs else ""
        tables.append((
            words_of(protocol),
            Table(
                f"{words_of(protocol).heading}{trained}: every run, and pretrained minus scratch in points",
                [(COLUMNS[key], key in NUMBERS) for key in keys],
                [[_cell(key, getattr(row, key)) for key in keys] for row in mine],
                [_difference_row(keys, difference) for difference in found],
            ),
        ))  # fmt: skip
    return tables


def _cell(key: str, value: Any) -> Cell:
    if key == "label_fraction":
        return Cell(share(value), 1 if value is None else value, kind="number")
    if value is None:
        return Cell("–", kind="number" if key in NUMBERS else "")
    if key.endswith(("acc", "ece")):
        return Cell(f"{100 * value:.2f}", value, kind="number")
    if key in NUMBERS:
        return Cell(f"{value:.3f}" if key == "test_nll" else f"{value:g}", value, kind="number")
    return Cell(str(value), str(value), kind="code" if key == "run" else "", head=key == "run")


def _difference_row(keys: Sequence[str], found: InitDifference) -> list[Cell]:
    known = ", ".join(str(seed) for seed in found.seeds if seed is not None) or "–"
    spread = f"; SD over seeds {100 * found.difference_sd:.2f}" if found.difference_sd is not None else ""
    kind = f" {INTERVALS[found.interval]}" if found.interval in INTERVALS else ""
    cells = {
        "init": Cell(f"{found.init or 'pretrained'} − scratch", note=f"95 % interval{kind}{spread}", head=True),
        "label_fraction": _cell("label_fraction", found.label_fraction),
        "seed": Cell(known, kind="number"),
    }
    if found.best_test_difference is not None:
        cells["best_test_acc"] = Cell(points(found.best_test_difference, 2), kind="number")
    cells[found.metric] = Cell(points(found.difference, 2), note=interval(found, 2), kind="number")
    shown = {"dataset": found.dataset, "at_epoch": found.at_epoch, "setting": found.setting, "method": found.method}
    plain = {key: Cell(str(value), kind="number" * (key in NUMBERS)) for key, value in shown.items() if value}
    return [(plain | cells).get(key, Cell()) for key in keys]


def ranking_tables(rankings: Sequence[Ranking]) -> list[tuple[str, str, Table]]:
    """For each ranking of methods: the heading, the sentence that names the best method, and the table."""
    return [
        (
            heading_of(ranking),
            ranking.sentence(),
            Table(
                correction_of(ranking),
                [(ranking.noun if key == "method" else head, key.endswith("_acc")) for key, head in RANKED.items()],
                [[_ranked_cell(key, row.get(key)) for key in RANKED] for row in ranking_rows(ranking)],
                sortable=False,
            ),
        )
        for ranking in rankings
    ]


def _ranked_cell(key: str, text: str | None) -> Cell:
    if key.endswith("_acc"):
        return Cell((text or "–").replace("-", "−"), kind="number")
    return Cell(text or "–", head=key == "method")


def few_label_tables(differences: Sequence[InitDifference]) -> list[Table]:
    """For each protocol that was run with fewer labels: accuracy by fraction of the labels, pretrained beside scratch."""
    tables = []
    for protocol in dict.fromkeys(map(protocol_key, differences)):
        mine = [found for found in differences if protocol_key(found) == protocol]
        mine.sort(key=lambda found: found.label_fraction or 1)
        if (mine[0].label_fraction or 1) == 1:
            continue
        settings = settings_with_method(mine)
        several = any(settings)
        columns = [
            "labels",
            *(["setting"] * several),
            "seeds",
            "pretrained (%)",
            "scratch (%)",
            "difference (points)",
            "95 % interval (points)",
        ]
        rows = [
            [
                _cell("label_fraction", found.label_fraction),
                *([Cell(setting)] * several),
                Cell(", ".join(map(str, found.seeds)), kind="number"),
                Cell(f"{100 * found.pretrained:.2f}", found.pretrained, kind="number"),
                Cell(f"{100 * found.scratch:.2f}", found.scratch, kind="number"),
                Cell(points(found.difference, 2), found.difference, kind="number"),
                Cell(interval(found, 2), found.low, kind="number"),
            ]
            for found, setting in zip(mine, settings, strict=True)
        ]
        caption = f"{words_of(protocol).heading} by fraction of the training labels"
        tables.append(Table(caption, [(column, column != "setting") for column in columns], rows))
    return tables
