"""A Slurm of one node on the loopback, for tests: munged, slurmctld and slurmd as processes of this user, in one folder."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.hidden_folder import without
from tests.measuring import PATIENCE, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "sinfo", "scancel", "scontrol")
PARTITION = "tiny"
CPUS = 4  # as many jobs at once as Slurm believes; the machine may have fewer
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> list[str]:
    """The programs of Slurm that are not installed here."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]


@contextmanager
def one_node(folder: Path, *, hidden: Path) -> Iterator[dict[str, str]]:
    """Start Slurm in a folder; yields the environment variables that name it, and ends it after the block.

    The node sees an empty folder in the place of `hidden`, as if that lay on another machine; where this is not allowed, it
    sees the same as everybody.
    """
    conf = _write_configuration(folder)
    node = platform.node().partition(".")[0]
    environment = {"SLURM_CONF": str(conf), "PATH": SEARCHED}
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={folder / 'key'}", f"--socket={folder / 'munge.socket'}",
         f"--pid-file={folder / 'munged.pid'}", f"--log-file={folder / 'munged.log'}", f"--seed-file={folder / 'munge.seed'}"],
        ["slurmctld", "-D", "-f", str(conf)],
        without(hidden, ["slurmd", "-D", "-f", str(conf), "-N", node]),
    ]  # fmt: skip
    with ExitStack() as ended:
        for line in daemons:
            ended.enter_context(_running(line, folder, environment))
            if line[0] == daemons[0][0]:
                wait_until((folder / "munge.socket").exists)
        wait_until(lambda: _states(environment) == ["idle"])
        yield environment


def _write_configuration(folder: Path) -> Path:
    """The files of a Slurm of one node: slurm.conf, its key, its folders. Returns the path of slurm.conf."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    node, user = platform.node().partition(".")[0], getpass.getuser()
    conf = folder / "slurm.conf"
    conf.write_text(
        f"""ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
AuthType=auth/munge
CredType=cred/munge
# a requeued job starts again after this many seconds, and not after two minutes; below 5 Slurm takes the two minutes
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1,sched_min_interval=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
NodeName={node} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory=4000 State=UNKNOWN
PartitionName={PARTITION} Nodes={node} Default=YES MaxTime=INFINITE State=UP
""",
        encoding="utf-8",
    )
    return conf


@contextmanager
def _running(line: list[str], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A daemon for the time of the block; what it says goes to a file in the folder."""
    with open(folder / f"{Path(line[0]).name}.out", "w", encoding="utf-8") as said:
        daemon = subprocess.Popen(
            line, cwd=folder, env={**os.environ, **environment}, stdout=said, stderr=said, start_new_session=True
        )
        try:
            yield
        finally:
            daemon.terminate()
            daemon.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _states(environment: dict[str, str]) -> list[str]:
    """The state of each node, as sinfo says it; empty while the controller does not answer."""
    shown = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    return shown.stdout.split()
