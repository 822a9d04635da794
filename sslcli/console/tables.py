"""Rows as a table in the terminal, JSON, CSV or Markdown. Imports no torch."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Cells = Mapping[str, Sequence[str]]
GAP = 3  # spaces between columns
FEW = 1000  # rows that rich lays out without delay


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
        print(markdown_of(rows, columns))
    else:
        _print_table(rows, columns)


def markdown_of(rows: Sequence[Row], columns: Mapping[str, str]) -> str:
    """Rows as a table in Markdown."""
    lines = [list(columns.values()), ["---:" if _is_number(key) else "---" for key in columns]]
    lines += [[text_of(key, row.get(key)).replace("|", "\\|") for key in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def print_within(rows: Sequence[Row], columns: Mapping[str, str], *, room: int, gap: int = GAP) -> None:
    """Print rows as a table with at most `room` characters per line, in a terminal and in a pipe. Longer cells wrap."""
    cells = _cells(rows, columns)
    if _width(cells, columns, gap) > room and len(rows) < FEW:
        _print_folded(rows, columns, room)
    else:
        _print_lines(rows, cells, columns, gap=gap)


def _print_table(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """A table that is never cut. In a pipe it is as wide as needed; in a narrow terminal, equal columns go below it."""
    below, cells = "", _cells(rows, columns)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    if _width(cells, columns) > room:
        equal = [key for key in columns if len({text_of(key, row[key]) for row in rows if key in row}) == 1 and len(rows) > 1]
        below = ", ".join(f"{columns[key]} {text}" for key in equal if (text := text_of(key, rows[0].get(key))))
        columns = {key: heading for key, heading in columns.items() if key not in equal}
    if _width(cells, columns) > room and len(rows) < FEW:
        _print_folded(rows, columns, int(room))
    else:
        _print_lines(rows, cells, columns)
    if below:
        print(f"In every row: {below}")


def _print_lines(rows: Sequence[Row], cells: Cells, columns: Mapping[str, str], *, gap: int = GAP) -> None:
    """One line per row, with aligned columns."""
    widths = _widths(cells, columns)
    form = (" " * gap).join(f"{{:{'>' if _is_number(key) else '<'}{widths[key]}}}" for key in columns)
    print(f"\n{form.format(*columns.values()).rstrip()}\n{'-' * _width(cells, columns, gap)}")
    bold = "\x1b[1m{}\x1b[0m" if sys.stdout.isatty() else "{}"
    for row, *texts in zip(rows, *(cells[key] for key in columns), strict=True):
        line = form.format(*texts).rstrip()
        print(bold.format(line) if row.get("bold") else line)


def _print_folded(rows: Sequence[Row], columns: Mapping[str, str], room: int) -> None:
    """A table whose cells wrap, so that it is not wider than `room`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for key, heading in columns.items():
        table.add_column(heading, justify="right" if _is_number(key) else "left", overflow="fold")
    for row in rows:
        style = "bold" if row.get("bold") else ""
        table.add_row(*(Text(text_of(key, row.get(key)), style=style) for key in columns))
    Console(width=room).print(table)


def width_of(rows: Sequence[Row], columns: Mapping[str, str], *, gap: int = GAP) -> int:
    """The width in characters of a table whose cells do not wrap."""
    return _width(_cells(rows, columns), columns, gap)


def _cells(rows: Sequence[Row], columns: Mapping[str, str]) -> Cells:
    """The texts of each column, made once: there may be ten thousand rows."""
    return {key: [text_of(key, row.get(key)) for row in rows] for key in columns}


def _widths(cells: Cells, columns: Mapping[str, str]) -> dict[str, int]:
    return {key: max(len(heading), max(map(len, cells[key]), default=0)) for key, heading in columns.items()}


def _width(cells: Cells, columns: Mapping[str, str], gap: int = GAP) -> int:
    return sum(_widths(cells, columns).values()) + gap * (len(columns) - 1)


def _is_number(key: str) -> bool:
    return key.endswith(("acc", "knn")) or key in ("epochs", "seed", "label_fraction")


def text_of(key: str, value: Any) -> str:
    """A value as the column `key` of a table shows it, with a question mark for what cannot be printed."""
    if value is None:
        return ""
    if isinstance(value, float) and key.endswith(("acc", "knn")):
        return f"{value:.2%}"
    if isinstance(value, float):
        return f"{100 * value:.4g}%" if key == "label_fraction" else f"{value:g}"
    text = str(value)
    return text if text.isprintable() else "".join(character if character.isprintable() else "?" for character in text)
