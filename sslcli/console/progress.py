"""The progress of long work: a bar, or lines if there is no terminal."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sslcli.console.messages import DRAWN, say

LINE_EVERY = 5.0  # seconds between lines when there is no terminal


class ShareDone:
    """Call it with the fraction of the work that is done, 0 to 1; it shows that and the remaining time."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._said = self._began = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, share: float) -> None:
        """Print a line, if it is time for one."""
        now = time.monotonic()
        if sys.stderr.isatty():
            self._draw(share)
        elif 0 < share < 1 and now - self._said > LINE_EVERY:
            self._said = now
            say(f"{self.title}: {share:.0%}, {duration((now - self._began) / share * (1 - share))} left")

    def _draw(self, share: float) -> None:
        if self._bar is None and share < 1:
            self._bar = progress_bar(self.title, 1.0)
            self._bar.start()
            DRAWN.append(self._bar.stop)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=share)
            if share >= 1:
                DRAWN.remove(self._bar.stop)
                self._bar.stop()
                self._bar = None


def terminal(*, soft_wrap: bool = False) -> Console:
    """The console for bars and lines: stderr, also in a notebook, so that redirecting stderr redirects them too."""
    return Console(stderr=True, soft_wrap=soft_wrap, force_jupyter=False)


def progress_bar(title: str, total: float, *, completed: float = 0.0, text: str = "") -> Progress:
    """A bar, not started, with one task that shows its own `text` beside the remaining time."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[text]}", markup=False))
    bar = Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=terminal(), transient=True)
    bar.update(bar.add_task(title, total=total, text=text), completed=completed)
    return bar


def about(number: float) -> str:
    """A number to two digits, never as a power of ten: 0.33, 1.1, 25, 163."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 7 min 05 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
