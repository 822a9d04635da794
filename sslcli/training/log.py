"""The progress of a run (a bar, or lines in a pipe), and TensorBoard's event files."""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from sslcli.console.progress import LINE_EVERY, duration, progress_bar, terminal
from sslcli.errors import StateError

WRITER = "_AsyncWriterThread"  # TensorBoard's thread
SAVE_EVERY = 120.0  # seconds between checkpoints
RECENT = 60.0  # seconds; speed and remaining time come from this last period, because compiling slows the first step


class Log:
    """Shows and records a run of `steps` steps, `epoch_steps` per epoch, a mean of `per_step` images per step.

    `events` is the folder for TensorBoard's files; None records and shows nothing. The loss and learning rate of every
    `record_every`-th step are recorded. `work_until(step)`, the work done by then in any unit, gives the remaining time.
    `told(done, left)` hears the fraction done and the seconds left every LINE_EVERY seconds.
    """

    def __init__(
        self, title: str, *, events: Path | None, start: int, steps: int, epoch_steps: int, per_step: float, record_every: int,
        work_until: Callable[[int], float] = float, told: Callable[[float, float], None] = lambda *_: None,
    ) -> None:  # fmt: skip
        self.title, self.events, self.work_until, self._told = title, events, work_until, told
        self.start, self.steps, self.epoch_steps = start, steps, epoch_steps
        self.per_step, self.record_every = per_step, record_every
        self._saved = self._lined = time.monotonic()
        self._shown = deque([(self._saved, start)])
        self._epoch_lined = 0.0
        if events and start:
            _wait_for_later_names(events)
        # Tells readers of steps that a resume drops.
        self._writer = SummaryWriter(str(events), purge_step=start + 1 if start else None) if events else None
        self._bar = (
            progress_bar(title, work_until(steps), completed=work_until(start), text="starting")
            if events and sys.stderr.isatty()
            else None
        )

    def __enter__(self) -> Log:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        if self._writer:
            with suppress(StateError) if error else nullcontext(), self._writing():
                self._writer.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A StateError if the event file cannot be written."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            hint = "; free some space, then continue with ssl resume" if error.errno == errno.ENOSPC else ""
            raise StateError(f"TensorBoard's file in {self.events} cannot be written: {reason}{hint}") from error

    def step(self, step: int, *, loss: float, lr: float) -> None:
        """Record a finished step."""
        if self._writer and (step % self.record_every == 0 or step == self.steps):
            with self._writing():
                self._writer.add_scalar("train/loss_step", loss, step)
                self._writer.add_scalar("train/lr", lr, step)

    def show(self, step: int, *, loss: float) -> None:
        """Show the progress: `step` is the last finished one."""
        if self._writer:
            self._show(step, f"loss {loss:.4g}")

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        """Record an epoch's metrics, by tag, and print them in a line; for epochs below a second not every one."""
        if self._writer is None:
            return
        with self._writing():
            for tag, value in metrics.items():
                self._writer.add_scalar(tag, value, step)
        if time.monotonic() - self._epoch_lined < 1 and step < self.steps:
            return
        self._epoch_lined = time.monotonic()
        text = ", ".join(f"{tag} {_figure(tag, value)}" for tag, value in metrics.items())
        line = f"{self.title}: epoch {-(-step // self.epoch_steps)}/{-(-self.steps // self.epoch_steps)}: {text}"
        (self._bar.console if self._bar else terminal(soft_wrap=True)).print(line, markup=False, highlight=False)

    def flush(self) -> None:
        """Flush the records to the disk."""
        if self._writer:
            with self._writing():
                self._writer.flush()

    def save_is_due(self) -> bool:
        """Whether the last checkpoint is SAVE_EVERY seconds old; a True answer counts as saving."""
        due = time.monotonic() - self._saved > SAVE_EVERY
        if due:
            self._saved = time.monotonic()
        return due

    def _show(self, step: int, text: str) -> None:
        now = time.monotonic()
        while len(self._shown) > 1 and now - self._shown[0][0] > RECENT:
            self._shown.popleft()
        then, since = self._shown[0]
        elapsed = max(now - then, 1e-9)
        self._shown.append((now, step))
        speed = (step - since) * self.per_step / elapsed
        epoch = f"epoch {min(step // self.epoch_steps + 1, -(-self.steps // self.epoch_steps))}"
        if self._bar:
            self._bar.update(
                self._bar.task_ids[0], completed=self.work_until(step), text=f"{epoch} · {text} · {speed:,.0f} images/s"
            )
        if time.monotonic() - self._lined <= LINE_EVERY:
            return
        self._lined = time.monotonic()
        done, whole, begun = map(self.work_until, (step, self.steps, since))
        left = elapsed / (done - begun) * (whole - done)
        self._told(done / whole, left)
        if not self._bar:
            line = f"{self.title}: {epoch}, step {step}/{self.steps}, {text}, {speed:,.0f} images/s, {duration(left)} left"
            print(line, file=sys.stderr, flush=True)


def _without_the_writers(told: Callable[[Any], object], failure: Any) -> None:
    """What `threading` does with a thread's error, but for TensorBoard's: the next call of its writer raises that again."""
    if type(failure.thread).__name__ != WRITER:
        told(failure)


threading.excepthook = partial(_without_the_writers, threading.excepthook)


def _figure(tag: str, value: float) -> str:
    return f"{value:.2%}" if tag.endswith(("/acc", "/knn", "_acc")) else f"{value:.4g}"


def _wait_for_later_names(events: Path) -> None:
    """Wait, at most a second, until the name of a new event file sorts after the existing ones.

    TensorBoard reads files in the order of their names, which start with the second and end with a counter (9, 10).
    """
    seconds = [int(part) for path in events.glob("events.*") if (part := path.name.split(".")[3]).isdigit()]
    newest = max(seconds, default=0)
    if newest == int(time.time()):
        time.sleep(newest + 1 - time.time())
