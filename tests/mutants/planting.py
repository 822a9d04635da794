"""Copies of the tree, in which mutants are planted and tests run; the tree itself is never written to."""

from __future__ import annotations

import compileall
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import Queue
from threading import Timer
from typing import TypeVar

from tests.mutants.mutant import LostTextError, Mutant, placed

TAKEN = ("sslcli", "tests", "pyproject.toml", "README.md", "registry.yaml")
"""What of a tree tests need."""
SLOW = (
    "pytest", "xdist.plugin", "numpy", "torch", "torchvision", "torchvision.transforms.v2", "torch.utils.tensorboard",
    "torch.utils.flop_counter", "torch.utils.checkpoint", "torch._dynamo", "sklearn.linear_model", "sklearn.neighbors",
    "sklearn.metrics", "sklearn.calibration", "scipy.stats", "torchmetrics", "matplotlib.figure", "PIL.Image", "typer",
    "rich.progress", "yaml", "filelock", "hypothesis",
)  # fmt: skip
"""Modules of others that are imported once, before the first test: it takes six times as long as most of the tests."""
LONGEST = 180.0  # seconds; tests that take longer are stopped
CRASH = re.compile(r"(?m)^E .*\b((?:Syntax|Indentation|Name|UnboundLocal|Import|ModuleNotFound|Attribute|Type)Error)\b")
"""What a test fails by if the wrong version is no program: no test has seen a wrong number then."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Outcome:
    """How a run of tests ended: "passed", "failed" with the test that did, or "broken" with the reason."""

    state: str
    words: str
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: "killed" by a test, "ALIVE", or "broken" for a reason."""

    mutant: Mutant
    state: str
    words: str
    seconds: float


class Copy:
    """A copy of the tree below `root`, and the process that runs tests in it, one set at a time."""

    def __init__(self, root: Path, folder: Path, *, slow: Sequence[str]) -> None:
        self.folder = folder
        _copy(root, folder)
        own = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.warm", *slow], cwd=Path(__file__).parents[2], env=own, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._tests = 0  # the process that runs tests now

    def passes(self, tests: str) -> Outcome:
        """How tests end where nothing is wrong."""
        began, output = time.monotonic(), self.folder / "output.txt"
        assert self._server.stdin
        assert self._server.stdout
        with suppress(BrokenPipeError):  # it was stopped, and so has nothing to say
            print(json.dumps([str(self.folder), placed(self.folder, tests), str(output)]), file=self._server.stdin, flush=True)
        self._tests, late = int(self._server.stdout.readline() or 0), []
        timer = Timer(LONGEST, lambda: (late.append(True), self._kill_tests()))
        timer.start()
        code = int(self._server.stdout.readline() or -signal.SIGKILL)
        timer.cancel()
        self._tests = 0
        if late:
            state, words = "broken", f"took longer than {LONGEST:g} s"
        else:
            text = output.read_text(encoding="utf-8", errors="replace") if output.exists() else ""
            state, words = understood(code, text)
        return Outcome(state, words, time.monotonic() - began)

    def judge(self, mutant: Mutant) -> Verdict:
        """Plant a mutant, run its tests, and make the copy right again."""
        path = self.folder / mutant.file
        try:
            wrong = mutant.plant(self.folder)
            compile(wrong, mutant.file, "exec")
        except (LostTextError, SyntaxError, OSError) as error:
            return Verdict(mutant, "broken", str(error), 0.0)
        right = path.read_text(encoding="utf-8")
        path.write_text(wrong, encoding="utf-8")
        try:
            found = self.passes(mutant.tests)
        finally:
            path.write_text(right, encoding="utf-8")
        state = {"passed": "ALIVE", "failed": "killed"}.get(found.state, "broken")
        return Verdict(mutant, state, found.words, found.seconds)

    def stop(self) -> None:
        """End its processes, whatever they are doing."""
        self._kill_tests()
        _kill(self._server.pid)
        self._server.wait()

    def _kill_tests(self) -> None:
        if self._tests:
            _kill(self._tests)


class Copies:
    """Copies of a tree, each of which does one thing at a time."""

    def __init__(self, root: Path, folder: Path, *, jobs: int, slow: Sequence[str]) -> None:
        self._all = [Copy(root, folder / str(number), slow=slow) for number in range(jobs)]
        self._free: Queue[Copy] = Queue()
        for copy in self._all:
            self._free.put(copy)

    def each(self, work: Callable[[Copy, T], R], values: Sequence[T]) -> Iterator[R]:
        """What `work` makes of a copy and each of the values, as it comes; if that is broken off, nothing runs on."""

        def in_a_copy(value: T) -> R:
            copy = self._free.get()
            try:
                return work(copy, value)
            finally:
                self._free.put(copy)

        with ThreadPoolExecutor(len(self._all)) as pool:
            try:
                waiting = [pool.submit(in_a_copy, value) for value in values]
                for future in as_completed(waiting):
                    yield future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.stop()
                raise

    def stop(self) -> None:
        """End all that runs."""
        for copy in self._all:
            copy.stop()


@contextmanager
def copies(root: Path, *, jobs: int, slow: Sequence[str] = SLOW) -> Iterator[Copies]:
    """Copies of a tree, which are deleted at the end, with all that tests have left."""
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as folder:
        made = Copies(root, Path(folder), jobs=jobs, slow=slow)
        try:
            yield made
        finally:
            made.stop()


def _copy(root: Path, folder: Path) -> None:
    """Copy a tree. What is compiled is right by its text, not by a time: two versions may be written within a second."""
    folder.mkdir()
    for name in TAKEN:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (root / name).exists():
            shutil.copy(root / name, folder / name)
    compileall.compile_dir(folder / "sslcli", quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    folder.with_name(f"{folder.name}.tmp").mkdir()  # of the tests: not below the copy, which looks like a person's project


def understood(code: int, output: str) -> tuple[str, str]:
    """How pytest ended, "passed", "failed" or "broken", and in which test or why: by its exit code and what it printed."""
    failed = re.search(r"(?m)^FAILED (?:tests/)?(.+?)(?: - |$)", output)
    if code == 0:
        return "passed", ""
    if code == 1 and failed:
        crash = CRASH.search(output)
        return ("broken", f"{crash[1]} in {failed[1]}") if crash else ("failed", failed[1])
    lines = [line for line in output.splitlines() if line.startswith(("ERROR", "E "))] or output.splitlines()[-1:]
    return "broken", f"pytest ended with {code}: {' '.join(lines[:2])[:200]}"


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
