"""Jobs of a study on a real Ray of two nodes: with the project's files or without, and with a node that goes."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sslcli.errors import StateError, UsageError
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.studies.places import ray as on_ray
from sslcli.studies.places.place import Asked, Place
from tests import ray_cluster
from tests.conftest import Cli
from tests.engines import end_of, lay_out_study, pretraining, record, same_numbers, wait_for_steps
from tests.hidden_folder import can_hide

pytest.importorskip("ray", reason="the package ray is not installed: pip install 'sslcli[ray]'")


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the node with the cores does not see, with a tiny study that it does see at the same place."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, hidden: Path) -> Iterator[Any]:
    with ray_cluster.two_nodes(tmp_path_factory.mktemp("ray"), hidden=hidden) as cluster:
        yield cluster


@pytest.fixture
def opened(cluster: Any) -> Iterator[Any]:
    """Opens a place in the cluster: `opened(registry, "cpus=2")`."""
    places: list[Place] = []

    def get(registry: Registry, *job: str) -> Place:
        places.append(on_ray.PLACE.open(Asked(registry=registry, command=Study(job=list(job)), where=cluster.address)))
        return places[-1]

    yield get
    for place in places:
        place.close()


@pytest.mark.skipif(not can_hide(), reason="a process here cannot have mounts of its own (unshare --mount)")
@pytest.mark.usefixtures("no_pictures")
def test_a_study_on_ray_without_shared_files_gives_the_numbers_of_one_after_the_other(
    ssl: Cli, cluster: Any, hidden: Path, tmp_path: Path
) -> None:
    lay_out_study(tmp_path)
    same_numbers(ssl, tmp_path, on=f"ray:{cluster.address}", project=hidden / "there")


def test_a_job_whose_node_goes_is_saved_and_goes_on_elsewhere(
    opened: Any, cluster: Any, registry: Registry, tmp_path: Path
) -> None:
    lay_out_study(tmp_path)
    job = pretraining(registry, epochs=40, folder=tmp_path)
    node = cluster.add_node(num_cpus=3, object_store_memory=ray_cluster.MEMORY)
    place = opened(registry, "cpus=3", "retries=0")
    place.start([job])
    wait_for_steps(registry, job)
    cluster.remove_node(node)
    assert end_of(place).why.startswith("Ray: ")  # NodeDiedError, or the worker noticed it first
    cluster.add_node(num_cpus=3, object_store_memory=ray_cluster.MEMORY)
    place.start([job])
    assert end_of(place).why == "code 0"
    assert record(registry, job).status == "finished"
    assert "continuing from step" in job.output(tmp_path).read_text()


def test_a_pretraining_joins_several_processes_of_ray(opened: Any, registry: Registry, tmp_path: Path) -> None:
    lay_out_study(tmp_path)
    job, place = pretraining(registry, epochs=1, folder=tmp_path), opened(registry, "processes=2")
    place.start([job])
    assert end_of(place).why == "code 0", job.output(tmp_path).read_text()
    assert "2 processes, each on" in str(record(registry, job).device)


def test_a_job_that_is_ended_has_saved(opened: Any, registry: Registry, tmp_path: Path) -> None:
    lay_out_study(tmp_path)
    job, place = pretraining(registry, epochs=1000, folder=tmp_path), opened(registry)
    place.start([job])
    wait_for_steps(registry, job)
    place.end()
    assert record(registry, job).status == "interrupted"
    assert "stopped by SIGTERM" in job.output(tmp_path).read_text()


def test_an_address_that_nobody_answers_is_named(registry: Registry) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
        with pytest.raises(StateError, match=rf"--on ray:{address}: the head of Ray cannot be reached there"):
            on_ray.PLACE.open(Asked(registry=registry, command=Study(), where=address))


@pytest.mark.parametrize("where", ["here", "host:", ":1", "ray://host:10001", "host:port"])
def test_an_address_without_host_and_port_is_refused(registry: Registry, where: str) -> None:
    with pytest.raises(UsageError, match=r"accepted is ray:HOST:PORT"):
        on_ray.PLACE.open(Asked(registry=registry, command=Study(), where=where))


def test_without_ray_it_is_said_how_to_install_it(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StateError, match=r"pip install 'sslcli\[ray\]'"):
        on_ray.PLACE.open(Asked(registry=registry, command=Study()))


def test_what_no_node_has_is_refused(opened: Any, registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"no node of Ray has 900 cores, 0 GPUs and 0 GB for a job; the nodes have: "):
        opened(registry, "cpus=900")
