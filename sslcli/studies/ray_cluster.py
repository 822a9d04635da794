"""Joining a cluster of Ray, and what its nodes have: what cannot work is said before anything is trained. Imports no torch."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from sslcli import __version__
from sslcli.errors import StateError, UsageError

ANSWER = 60.0  # seconds that a node may take to say what it has
REACHED = 10.0  # seconds that the head may take to answer
ASK_EVERY = 2.0  # seconds between two looks whether the head is still there
GONE = 20.0  # seconds without an answer after which the head counts as gone; one that keeps its state may start again
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


class Head:
    """The head of the cluster that this process has joined, and when it last answered."""

    def __init__(self, address: str) -> None:
        self._address, self._answered, self._looked = address, time.monotonic(), time.monotonic()

    def hold(self) -> None:
        """A StateError if the head has not answered for GONE seconds: after sixty, Ray kills this process without a word.

        It may be called at any rate: the head is asked every ASK_EVERY seconds. A long pause of this
        process is no silence of the head.
        """
        if (since := time.monotonic() - self._looked) < ASK_EVERY:
            return
        if since > GONE / 2:
            self._answered += since - ASK_EVERY
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ASK_EVERY).close()
            self._answered = time.monotonic()
        except OSError as error:
            if time.monotonic() - self._answered > GONE:
                raise StateError(
                    f"the head of Ray at {self._address} has gone ({error}); what is done stays done. To go on, type the study "
                    f"again with --on local, or with --on ray when Ray is back; {START}"
                ) from error
        self._looked = time.monotonic()


def _of_this_machine() -> str:
    """The address of the cluster that this machine belongs to; "auto" if only Ray knows it.

    Ray itself would wait for minutes for a head that is gone.
    """
    with suppress(OSError):
        kept = Path(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")  # noqa: S108  (Ray's own)
        return os.environ.get("RAY_ADDRESS") or kept.read_text(encoding="utf-8").strip() or "auto"
    return "auto"


def hold_to_resources(ray: ModuleType, *, cpus: int, gpus: int, memory: float, processes: int = 1) -> None:
    """A UsageError if the nodes could never do a job of this size: Ray would wait without a word.

    `cpus`, `gpus` and `memory` (in GB) are those of each of the `processes` that do a pretraining at once.
    """
    asked = {"CPU": cpus, "GPU": gpus, "memory": memory * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    fit = sum(int(min(node.get(name, 0) // count for name, count in asked.items() if count)) for node in nodes)
    if fit >= processes:
        return
    have = "; ".join(f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs, {node.get('memory', 0) / 2**30:.3g} GB"
                     for node in nodes)  # fmt: skip
    size = f"{cpus} cores, {gpus} GPUs and {memory:g} GB"
    if fit:
        raise UsageError(
            f"--job processes={processes}: the nodes of Ray have room for {fit} processes with {size} each; accepted is at "
            f"most processes={fit}; the nodes have: {have}"
        )
    raise UsageError(f"--job: no node of Ray has {size} for a job; the nodes have: {have}")


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
            raise StateError(
                f"--on ray: the node {nodes[node]} does not answer: {type(error).__name__}; to see all nodes, type: ray status"
            ) from error
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
