"""A job of a study as submitit pickles it for a node of Slurm. Imports no torch."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from sslcli.studies.on_worker import REFUSED, Work


@dataclass
class SlurmWork:
    """A job that goes on where it stopped if Slurm queues it again. submitit calls it, and `checkpoint` at SIGUSR1."""

    work: Work
    together: bool
    process: int = field(default=0, init=False)

    def __call__(self) -> None:
        """Do the job. Slurm counts the task as failed if it ends with another code than 0."""
        if lacks := self.work.missing():
            print(f"ssl: {lacks}", file=sys.stderr)
            sys.exit(REFUSED)
        code = self.work.carry_out(environment=_of_torchrun() if self.together else {}, begun=self._begun)
        if code:
            sys.exit(code if code > 0 else 128 - code)

    def _begun(self, process: int) -> None:
        self.process = process

    def checkpoint(self) -> object:
        """The same job, to be queued again, after its command has saved: Slurm's signal reached every process of the job."""
        from submitit.helpers import DelayedSubmission

        if self.process:
            with suppress(ChildProcessError):  # the call that was interrupted has its code already
                os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOWAIT)  # leaves it to that call
        return DelayedSubmission(SlurmWork(self.work, self.together))


def _of_torchrun() -> dict[str, str]:
    """The environment of torchrun for this task of Slurm's job."""
    from submitit.helpers import TorchDistributedEnvironment

    this = TorchDistributedEnvironment()
    return {
        "MASTER_ADDR": this.master_addr, "MASTER_PORT": str(this.master_port), "RANK": str(this.rank),
        "WORLD_SIZE": str(this.world_size), "LOCAL_RANK": str(this.local_rank), "LOCAL_WORLD_SIZE": str(this.local_world_size),
    }  # fmt: skip
