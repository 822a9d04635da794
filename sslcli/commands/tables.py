"""Rows as a table in the terminal, JSON, CSV or Markdown. Imports no torch."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def print_rows(rows: Sequence[Row], columns: Mapping[str, str], *, style: str, whole: Any = None) -> None:
    """Print rows to stdout. `columns` maps keys to headings; JSON prints `whole`, or the rows as they are.

    In tables accuracies (keys that end in acc or knn) are per cent, elsewhere fractions.
    """
    if style == "json":
        print(json.dumps(rows if whole is None else whole, indent=2))
    elif style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row.get(key) for key in columns] for row in rows)
    elif style == "markdown":
        lines = [list(columns.values()), ["---:" if _is_number(key) else "---" for key in columns]]
        lines += [[_text(key, row.get(key)).replace("|", "\\|") for key in columns] for row in rows]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        _print_table(rows, columns)


def _print_table(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """A table that is never cut: piped, as wide as it needs; in a terminal too narrow, what is equal in all rows goes below."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, below = Console(), ""
    if sys.stdout.isatty() and _width(rows, columns) > console.width:
        equal = [key for key in columns if len({_text(key, row[key]) for row in rows if key in row}) == 1 and len(rows) > 1]
        below = ", ".join(f"{columns[key]} {text}" for key in equal if (text := _text(key, rows[0].get(key))))
        columns = {key: heading for key, heading in columns.items() if key not in equal}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, heading in columns.items():
        table.add_column(heading, justify="right" if _is_number(key) else "left", overflow="fold")
    for row in rows:
        style = "bold" if row.get("bold") else ""
        table.add_row(*(Text(_text(key, row.get(key)), style=style) for key in columns))
    Console(width=None if sys.stdout.isatty() else _width(rows, columns)).print(table)
    if below:
        print(f"In every row: {below}")


def _width(rows: Sequence[Row], columns: Mapping[str, str]) -> int:
    widths = [max([len(heading), *(len(_text(key, row.get(key))) for row in rows)]) for key, heading in columns.items()]
    return sum(widths) + 3 * len(widths)


def _is_number(key: str) -> bool:
    return key.endswith(("acc", "knn")) or key in ("epochs", "seed", "label_fraction")


def _text(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and key.endswith(("acc", "knn")):
        return f"{value:.2%}"
    if isinstance(value, float):
        return f"{100 * value:.4g}%" if key == "label_fraction" else f"{value:g}"
    return "".join(character if character.isprintable() else "?" for character in str(value))
