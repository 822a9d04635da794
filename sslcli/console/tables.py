"""Rows as a table in the terminal, JSON, CSV or Markdown. Imports no torch."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
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
    if width_of(rows, columns, gap=gap) > room and len(rows) < FEW:
        _print_folded(rows, columns, room)
    else:
        _print_lines(rows, columns, bold=_bold(), gap=gap)


def _print_table(rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    """A table that is never cut. In a pipe it is as wide as needed; in a narrow terminal, equal columns go below it."""
    terminal, below = sys.stdout.isatty(), ""
    room = shutil.get_terminal_size().columns
    if terminal and sum(_widths(rows, columns).values()) > room:
        equal = [key for key in columns if len({text_of(key, row[key]) for row in rows if key in row}) == 1 and len(rows) > 1]
        below = ", ".join(f"{columns[key]} {text}" for key in equal if (text := text_of(key, rows[0].get(key))))
        columns = {key: heading for key, heading in columns.items() if key not in equal}
    if terminal and sum(_widths(rows, columns).values()) > room and len(rows) < FEW:
        _print_folded(rows, columns, room)
    else:
        _print_lines(rows, columns, bold=_bold())
    if below:
        print(f"In every row: {below}")


def _bold() -> str:
    """The codes around a bold row: a terminal's, or nothing."""
    return "\x1b[1m{}\x1b[0m" if sys.stdout.isatty() else "{}"


def _print_lines(rows: Sequence[Row], columns: Mapping[str, str], *, bold: str, gap: int = GAP) -> None:
    """One line per row, with aligned columns."""
    layout = [f"{{:{'>' if _is_number(key) else '<'}{width - gap}}}" for key, width in _widths(rows, columns, gap).items()]
    form = (" " * gap).join(layout)
    print(f"\n{form.format(*columns.values()).rstrip()}\n{'-' * width_of(rows, columns, gap=gap)}")
    for row in rows:
        line = form.format(*(text_of(key, row.get(key)) for key in columns)).rstrip()
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
    return sum(_widths(rows, columns, gap).values()) - gap


def _widths(rows: Sequence[Row], columns: Mapping[str, str], gap: int = GAP) -> dict[str, int]:
    """The width of each column, including the gap after it."""
    return {
        key: gap + max([len(heading), *(len(text_of(key, row.get(key))) for row in rows)]) for key, heading in columns.items()
    }


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
