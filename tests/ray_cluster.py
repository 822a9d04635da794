"""A Ray of two nodes on this machine, for tests: a head without cores, and a node that does not see one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.hidden_folder import without
from tests.measuring import wait_until

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


def _cores(cluster: Any) -> float:
    """The cores of all nodes that the head knows."""
    nodes = cluster.global_state.node_table()
    return sum(node["Resources"].get("CPU", 0) for node in nodes if node["Alive"])
