"""A table on the terminal that is drawn again in place; without a terminal nothing is drawn. Imports no torch."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sslcli.console.progress import terminal
from sslcli.console.tables import Row

BESIDE = 5  # lines of a table that hold no row: heading, rule, caption, and room around them


class LiveTable:
    """A table on stderr, if that is a terminal."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self.drawn = sys.stderr.isatty()
        self._live = Live(console=terminal(), auto_refresh=False) if self.drawn else None

    def __enter__(self) -> LiveTable:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def room(self) -> int:
        """The number of rows that fit."""
        return max(1, shutil.get_terminal_size().lines - BESIDE)

    def show(self, rows: Sequence[Row], caption: str) -> None:
        """Draw the rows, and a line below them."""
        if self._live is None:
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=Text(caption), caption_justify="left")
        for heading in self._columns.values():
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(row.get(key) or "")) for key in self._columns))
        self._live.update(table, refresh=True)
