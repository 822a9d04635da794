"""How far a long piece of work is that is no training: a bar, or lines where there is no terminal."""

from __future__ import annotations

import sys
import time

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sslcli.runs.selection import say
from sslcli.training.log import LINE_EVERY, duration, terminal


class Telling:
    """Called with the share of the work that is done, from 0 to 1; says what is done and how long the rest will take."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._said = self._began = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, share: float) -> None:
        """Say it, if it is time to."""
        now = time.monotonic()
        if sys.stderr.isatty():
            self._draw(share)
        elif 0 < share < 1 and now - self._said > LINE_EVERY:
            self._said = now
            say(f"{self.title}: {share:.0%}, {duration((now - self._began) / share * (1 - share))} left")

    def _draw(self, share: float) -> None:
        if self._bar is None and share < 1:
            columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn(), TextColumn("left"))
            self._bar = Progress(*columns, console=terminal(), transient=True)
            self._bar.add_task(self.title, total=1.0)
            self._bar.start()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share)
            if share >= 1:
                self._bar.stop()
                self._bar = None
