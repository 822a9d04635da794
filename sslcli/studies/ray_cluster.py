"""Joining a cluster of Ray, and what its nodes have: what cannot work is said before anything is trained. Imports no torch."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from sslcli import __version__
from sslcli.errors import StateError, UsageError

ANSWER = 60.0  # seconds that a node may take to say what it has
REACHED = 10.0  # seconds that the head may take to answer
ADDRESS = re.compile(r"(?P<host>[^/:\s]+|\[[0-9a-f:]+\]):(?P<port>[0-9]{1,5})")
START = "to start it, type: ray start --head; to join one, type: ray start --address=HOST:6379"


def join(ray: ModuleType, where: str) -> None:
    """Join the cluster at an address, by default the one that this machine belongs to; a StateError if that fails."""
    if where and not ADDRESS.fullmatch(where):
        raise UsageError(f"--on ray:{where}: accepted is ray:HOST:PORT with the address of the head, such as ray:10.0.0.1:6379")
    address = where or _of_this_machine()
    if found := ADDRESS.fullmatch(address):
        try:
            socket.create_connection((found["host"], int(found["port"])), timeout=REACHED).close()
        except (OSError, OverflowError) as error:
            raise StateError(f"--on ray: the head of Ray does not answer at {address} ({error}); {START}") from error
    handler = signal.getsignal(signal.SIGTERM)  # Ray replaces it
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StateError(f"--on ray: this machine has not joined a cluster of Ray ({reason}); {START}") from error
    finally:
        if signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)


def _of_this_machine() -> str:
    """The address of the cluster that this machine belongs to; "auto" if only Ray knows it.

    Ray itself would wait for minutes for a head that is gone.
    """
    with suppress(OSError):
        kept = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")  # noqa: S108  (Ray's own)
        return os.environ.get("RAY_ADDRESS") or kept.read_text(encoding="utf-8").strip() or "auto"
    return "auto"


def hold_to_resources(ray: ModuleType, *, cpus: int, gpus: int, memory: float) -> None:
    """A UsageError if no node could ever do a job of this size (memory in GB): Ray would wait for one without a word."""
    asked = {"CPU": cpus, "GPU": gpus, "memory": memory * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= count for name, count in asked.items()) for node in nodes):
        return
    have = "; ".join(f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs, {node.get('memory', 0) / 2**30:.3g} GB"
                     for node in nodes)  # fmt: skip
    raise UsageError(f"--job: no node of Ray has {cpus} cores, {gpus} GPUs and {memory:g} GB for a job; the nodes have: {have}")


def all_see(ray: ModuleType, mark: Path) -> bool:
    """Whether every node sees the project's files. A StateError if one has no sslcli, or another version of it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    look = _looking()
    answers = {
        node: ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=OnNode(node, soft=False))(look).remote(str(mark))
        for node in nodes
    }
    sees = []
    for node, answer in answers.items():
        try:
            version, marked = ray.get(answer, timeout=ANSWER)
        except ray.exceptions.RayError as error:
            raise StateError(f"--on ray: the node {nodes[node]} does not answer: {type(error).__name__}") from error
        if version != __version__:
            has = f"sslcli {version}" if version else "no sslcli"
            raise StateError(
                f"--on ray: the node {nodes[node]} has {has}, this machine has {__version__}; to install it there, type: "
                f"pip install sslcli=={__version__}"
            )
        sees.append(marked)
    return all(sees)


def _looking() -> Callable[[str], tuple[str, bool]]:
    """A function that Ray sends to a node as code, and not by name: the node may have no sslcli."""

    def look(mark: str) -> tuple[str, bool]:

        try:
            from sslcli import __version__ as version
        except ImportError:
            version = ""
        return version, os.path.isfile(mark)

    return look
