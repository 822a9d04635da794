"""A Ray of two nodes on this machine, for tests: a head without cores, and a node that does not see one folder."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from sslcli.cli import main
from sslcli.studies import ray_cluster as joining
from tests.hidden_folder import without
from tests.measuring import wait_until
from tests.slurm_cluster import free_port

MEMORY = 80_000_000  # bytes of each node's object store
CPUS = 2


class Nodes(NamedTuple):
    """The head as ray.cluster_utils.Cluster, to which a test may add nodes, and the process of the node with the cores."""

    cluster: Any
    process: int

    def sees(self, path: Path) -> Path:
        """Where this process finds what the node has at a path."""
        return Path(f"/proc/{self.process}/root{path}")


@contextmanager
def two_nodes(folder: Path, *, hidden: Path) -> Iterator[Nodes]:
    """Start the nodes, and end them after the block."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    start = [str(Path(sys.executable).with_name("ray")), "start", f"--address={cluster.address}", "--block"]
    line = without(hidden, [*start, f"--num-cpus={CPUS}", f"--object-store-memory={MEMORY}", "--disable-usage-stats"])
    with open(folder / "node.out", "w", encoding="utf-8") as said:
        node = subprocess.Popen(line, stdout=said, stderr=said, start_new_session=True)
        try:
            wait_until(lambda: _cores(cluster) == CPUS)
            yield Nodes(cluster, node.pid)
        finally:
            node.terminate()
            node.wait()
            cluster.shutdown()


@contextmanager
def lone_head(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Ray of one node with one core: its address, and the process whose children are all that belongs to it."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short, open(folder / "head.out", "wb") as said:
        head = subprocess.Popen(
            [str(Path(sys.executable).with_name("ray")), "start", "--head", f"--port={address.rpartition(':')[2]}",
             "--node-ip-address=127.0.0.1", "--num-cpus=1", f"--object-store-memory={MEMORY}", "--include-dashboard=false",
             "--disable-usage-stats", "--block"],
            stdout=said, stderr=said, env={**os.environ, "RAY_TMPDIR": short},
        )  # fmt: skip
        try:
            wait_until(lambda: "block forever" in (folder / "head.out").read_text() or head.poll() is not None)
            assert head.poll() is None, (folder / "head.out").read_text()
            yield address, head
        finally:
            kill_all_of(head.pid)
            head.wait()


def kill_all_of(process: int) -> None:
    """SIGKILL for a process and for all that it has started, children of children too: as if the machine were gone."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = [process]
    for known in family:
        family += [child for child, parent in parents.items() if parent == known]
    for one in family:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def type_line(folder: str, line: str) -> None:
    """Type a command in a folder; what it prints goes to output.txt. A head of Ray that does not answer counts as gone soon."""
    os.chdir(folder)
    sys.stdout = sys.stderr = open("output.txt", "a", buffering=1, encoding="utf-8")  # noqa: SIM115  (for the process's life)
    joining.ASK_EVERY, joining.GONE = 0.2, 0.5
    main(shlex.split(line))


def _cores(cluster: Any) -> float:
    """The cores of all nodes that the head knows."""
    nodes = cluster.global_state.node_table()
    return sum(node["Resources"].get("CPU", 0) for node in nodes if node["Alive"])
