"""The tables of the page: one for each protocol, and accuracy by fraction of the labels. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sslcli.comparison.arms import NOUN, ArmDifference, arm_words
from sslcli.comparison.differences import INTERVALS
from sslcli.comparison.ranked import Ranking
from sslcli.comparison.ranking_rows import RANKED, correction_of, heading_of, ranking_rows
from sslcli.comparison.rows import EvaluationRow, endings
from sslcli.evaluation.naming import heading, settings_with_method, tested
from sslcli.evaluation.statistics import InitDifference
from sslcli.report.answer import ProtocolWords, interval, points, protocol_key, protocol_of, share, typeset, words_of
from sslcli.runs.naming import INIT_WORDS


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


@dataclass(frozen=True)
class Naming:
    """The names of a page: of encoders by init, and the shortest unique ending of each run's id."""

    encoders: Mapping[str, str]
    endings: Mapping[str, str]

    @property
    def with_others(self) -> bool:
        """Whether encoders from elsewhere are among them."""
        return bool(set(self.encoders) - set(INIT_WORDS))

    def row(self, row: EvaluationRow) -> EvaluationRow:
        """A row with the names of the page."""
        return replace(row, init=self.encoders.get(row.init or "", row.init), run=f"…{self.endings[row.run]}")

    def pretrained(self, init: str | None) -> str:
        """The name of a pretrained encoder."""
        return self.encoders.get(init or "", init or "pretrained")


def naming_of(rows: Sequence[EvaluationRow]) -> Naming:
    """The names for these rows."""
    return Naming(arm_words(row.init for row in rows), endings([row.run for row in rows]))


def result_tables(rows: Sequence[EvaluationRow], differences: Sequence[InitDifference]) -> list[tuple[ProtocolWords, Table]]:
    """A table for each protocol: its runs, below them its differences. Protocols never share a column of accuracies.

    The network of an encoder from elsewhere stands in the recipe, so the column of backbones is for one's own.
    """
    tables, names = [], naming_of(rows)
    own = [row for row in rows if row.init in (None, *INIT_WORDS)]
    for protocol in dict.fromkeys(map(protocol_of, rows)):
        mine = [row for row in rows if protocol_of(row) == protocol]
        found = [difference for difference in differences if protocol_key(difference) == protocol]
        shared = {"dataset": rows, "backbone": own, "epochs": mine, "folds": mine}  # shown if they vary
        varying = [key for key, among in shared.items() if len({getattr(row, key) for row in among}) > 1]
        known = [key for key in COLUMNS if key not in shared and any(getattr(row, key) is not None for row in mine)]
        keys = [key for key in COLUMNS if key in (*ALWAYS, *varying, *known)]
        tables.append((
            words_of(protocol),
            Table(
                _caption(protocol, mine, names),
                [(_column(key, mine, names), key in NUMBERS) for key in keys],
                [[_cell(key, getattr(row, key)) for key in keys] for row in map(names.row, mine)],
                [_difference_row(keys, difference, names) for difference in found],
            ),
        ))  # fmt: skip
    return tables


def _caption(protocol: str, rows: Sequence[EvaluationRow], names: Naming) -> str:
    epochs = {float(row.epochs) for row in rows if row.epochs}
    trained = f", {'/'.join(f'{e:g}' for e in sorted(epochs))} epochs" if epochs else ""
    on = dict.fromkeys(tested(row.test_images, row.folds) for row in rows if row.test_images)
    where = f", on {' or '.join(on)}" if on else ""
    whole = f"{names.pretrained('pretrained')} minus scratch in points"
    return f"{words_of(protocol).heading}{trained}{where}: every run, and {whole}"


def _column(key: str, rows: Sequence[EvaluationRow], names: Naming) -> str:
    """The heading of a column; an accuracy in folds is not called that of the test."""
    if key == "test_acc" and all(row.folds for row in rows):
        return "accuracy in folds (%)"
    return "encoder" if key == "init" and names.with_others else COLUMNS[key]


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


def _difference_row(keys: Sequence[str], found: InitDifference, names: Naming) -> list[Cell]:
    known = ", ".join(str(seed) for seed in found.seeds if seed is not None) or "–"
    spread = f"; SD over seeds {100 * found.difference_sd:.2f}" if found.difference_sd is not None else ""
    kind = f" {INTERVALS[found.interval]}" if found.interval in INTERVALS else ""
    cells = {
        "init": Cell(f"{names.pretrained(found.init)} − scratch", note=f"95 % interval{kind}{spread}", head=True),
        "label_fraction": _cell("label_fraction", found.label_fraction),
        "seed": Cell(known, kind="number"),
    }
    if found.best_test_difference is not None:
        cells["best_test_acc"] = Cell(points(found.best_test_difference, 2), kind="number")
    cells[found.metric] = Cell(points(found.difference, 2), note=interval(found, 2), kind="number")
    shown = {"dataset": found.dataset, "at_epoch": found.at_epoch, "setting": found.setting, "method": found.method}
    plain = {key: Cell(str(value), kind="number" * (key in NUMBERS)) for key, value in shown.items() if value}
    return [(plain | cells).get(key, Cell()) for key in keys]


def ranking_tables(rankings: Sequence[Ranking], beside: Sequence[ArmDifference] = ()) -> list[tuple[str, list[str], Table]]:
    """For each ranking: the heading, sentences, and the table. `beside` is own pretraining minus each of the other encoders."""
    return [
        (
            heading_of(ranking),
            _beside_in_words(ranking, beside) if ranking.noun == NOUN else [ranking.sentence()],
            Table(
                correction_of(ranking),
                [(ranking.noun if key == "method" else head, key.endswith("_acc")) for key, head in RANKED.items()],
                [[_ranked_cell(key, row.get(key)) for key in RANKED] for row in ranking_rows(ranking)],
                sortable=False,
            ),
        )
        for ranking in rankings
    ]


def _beside_in_words(ranking: Ranking, beside: Sequence[ArmDifference]) -> list[str]:
    """Own pretraining minus each of the others; the order of the encoders stands in the answer already."""
    return [typeset(f"{heading(one.sentence())}.") for one in beside if one.place == ranking.place]


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
        several, datasets = any(settings), len({found.dataset for found in mine}) > 1
        columns = [
            *(["data set"] * datasets),
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
                *([Cell(str(found.dataset))] * datasets),
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
        tables.append(Table(caption, [(column, column not in ("setting", "data set")) for column in columns], rows))
    return tables
