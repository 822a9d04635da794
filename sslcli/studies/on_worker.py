"""What a worker of Slurm or Ray does with a job: it checks that it can, then types the job's command. Imports no torch."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sslcli import __version__

REFUSED = 3
"""The exit code of a job that this worker cannot do: the state does not allow it."""
ENDS_WITH_PARENT = (
    "import ctypes, os, signal, sys; parent = int(sys.argv[1]); "
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM); "  # PR_SET_PDEATHSIG of prctl(2), which execv keeps
    "os.getppid() == parent or sys.exit('ssl: the worker is gone'); os.execv(sys.argv[2], sys.argv[2:])"
)
"""A program that becomes another one, which the system asks to save and to end when its parent dies: Ray kills only workers."""
LOOK_EVERY = 0.2  # seconds between two looks at the command: Ray's request to stop waits until Python code runs


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job as it travels to a worker: its command, its file for what is printed, and what must be the same there.

    `mark` is a file in the project that shows the worker that it sees the launcher's project, and not another one of the same
    path; None: this is not asked. `cpus` is the number of threads.
    """

    words: tuple[str, ...]
    project: Path
    output: Path
    mark: Path | None
    cpus: int
    version: str = __version__

    def missing(self) -> str:
        """What this worker lacks for the job, in words; "" if nothing."""
        here = platform.node()
        if __version__ != self.version:
            return (
                f"{here} has sslcli {__version__}, the study was started with {self.version}; install the same version there: "
                f"pip install sslcli=={self.version}"
            )
        if self.mark is not None and not self.mark.is_file():
            return f"{here} does not see the project folder {self.project}; put the project where every worker sees it"
        return ""

    def carry_out(self, *, environment: Mapping[str, str], begun: Callable[[int], None] = lambda _: None) -> int:
        """Type the command, with `environment` and the job's number of threads; returns its exit code.

        `begun` gets the number of the process. KeyboardInterrupt asks it to save and to end, and waits for it.
        """
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(self.cpus))
        held = [sys.executable, "-c", ENDS_WITH_PARENT, str(os.getpid())] if sys.platform == "linux" else []
        self.output.parent.mkdir(parents=True, exist_ok=True)
        with open(self.output, "ab") as output:
            process = subprocess.Popen(  # noqa: S603  (our own command)
                [*held, sys.executable, *self.words], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **threads, **environment},
            )  # fmt: skip
        begun(process.pid)
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGTERM)
        return process.wait()
