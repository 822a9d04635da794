"""A comparison's tables in a terminal: what all rows share stands above, and ids are shortened if need be. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import accumulate, product
from typing import Any

from sslcli.console.tables import print_within, text_of, width_of
from sslcli.console.wrapping import wrapped
from sslcli.evaluation.naming import heading

GAP = 2  # spaces between columns
MOST_IDS = 3  # shortened ones that a cell names
PUBLISHED = "published"
COLUMNS = {
    "dataset": "data set", "backbone": "backbone", "epochs": "epochs", "label_fraction": "labels", "setting": "setting",
    "init": "init", "method": "method", "seeds": "seeds", "test_acc": "test", "interval_acc": "95 % interval",
    "best_test_acc": "best test", "rate": "rate", "at_epoch": "epoch", "run": "run", "kept": "kept",
}  # fmt: skip
SHARED = {"dataset": "{}", "backbone": "{}", "epochs": "{} epochs", "label_fraction": "{} of the labels", "method": "{}",
          "seeds": "seeds {}"}  # fmt: skip
"""Columns that are said once, above the table, where all of its rows have the same."""
Row = Mapping[str, Any]
Words = Callable[[Sequence[str]], str]
Laid = tuple[list[dict[str, Any]], dict[str, str]]
"""A table's rows, and its columns with their headings."""


def print_tables(tables: Mapping[str, Sequence[Row]], *, ids: Collection[str], room: int) -> None:
    """Print a protocol's rows under its name, for each, in lines of at most `room` characters.

    `ids` are those of all runs, from which shortened ones can be told.
    """
    for protocol, (rows, columns) in _fitting(tables, ids, room).items():
        print(f"\n{heading(protocol)}")
        print("\n".join(wrapped(", ".join(_shared(tables[protocol]).values()), room)))
        print_within(rows, columns, room=room, gap=GAP)
    if any(row.get("kept") for rows in tables.values() for row in rows):
        print(f"\n{PUBLISHED}: numbers only")


def _fitting(tables: Mapping[str, Sequence[Row]], ids: Collection[str], room: int) -> dict[str, Laid]:
    """Each table laid out: with whole ids, else with shortened ones, else with one each; the best over epochs if it fits."""
    endings = _endings(ids)

    def short(names: Sequence[str], most: int = MOST_IDS) -> str:
        listed = ", ".join(f"…{endings[name]}" for name in names[:most])
        return f"{listed} +{len(names) - most}" if len(names) > most else listed

    forms: tuple[Words, ...] = (_whole, short, partial(short, most=1))
    laid: dict[str, Laid] = {}
    for words, best in product(forms, (True, False)):
        laid = {protocol: _laid_out(rows, words, best=best) for protocol, rows in tables.items()}
        if all(width_of(rows, columns, gap=GAP) <= room for rows, columns in laid.values()):
            break
    return laid


def _laid_out(rows: Sequence[Row], words: Words, *, best: bool) -> Laid:
    """A table's rows with their runs in words, and its columns: those that are not the same for all rows."""
    brief = [_brief(row) | ({"run": _named(row, words)} if "runs" in row else {}) for row in rows]
    left_out = {*_shared(rows)} | ({"best_test_acc"} if not best and any(row.get("test_acc") for row in rows) else set())
    used = {key: head for key, head in COLUMNS.items() if key not in left_out and any(row.get(key) for row in brief)}
    return brief, used


def _named(row: Row, words: Words) -> str:
    """The runs of a row, or of which run it is the difference."""
    return f"of {words(row['runs'])}" if row["init"] == "difference" else words(row["runs"])


def _brief(row: Row) -> dict[str, Any]:
    """A row whose difference has a deviation for its unit, whose best accuracy none, and which is published in one word."""
    texts = {key: str(row[key]) for key in ("test_acc", "best_test_acc") if isinstance(row.get(key), str)}
    plain = {key: text.removesuffix(" points") for key, text in texts.items()}
    if row.get("difference_sd") is not None and "test_acc" in plain:
        plain["test_acc"] += f" ± {100 * row['difference_sd']:.2f}"
    best = {"best_test_acc": plain["best_test_acc"].partition(" ±")[0]} if "best_test_acc" in plain else {}
    return {**row, **plain, **best} | ({"kept": PUBLISHED} if row.get("kept") else {})


def _shared(rows: Sequence[Row]) -> dict[str, str]:
    """What all rows of a table have in common, in words; scratch, which no method trained, aside."""
    found = {}
    for key, words in SHARED.items():
        texts = {text_of(key, row[key]) for row in rows if key in row and not (key == "method" and row["init"] == "scratch")}
        if len(texts) == 1 and (text := texts.pop()):
            found[key] = words.format(text) if key != "seeds" or "," in text else f"seed {text}"
    return found


def _whole(ids: Sequence[str]) -> str:
    return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else ids[0]


def _endings(ids: Collection[str]) -> dict[str, str]:
    """The shortest ending of each id that no other has, in whole words between hyphens."""
    endings = {name: [*accumulate(reversed(name.split("-")), lambda end, word: f"{word}-{end}")] for name in ids}
    counts = Counter(ending for several in endings.values() for ending in several)
    return {name: next((ending for ending in several if counts[ending] == 1), name) for name, several in endings.items()}
