"""Jobs of a study on a real Ray of two nodes: with the project's files or without, and with a node that goes."""

import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sslcli import __version__
from sslcli.errors import StateError, UsageError, install_line
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.studies.places import ray as on_ray
from sslcli.studies.places.place import Asked, Place
from sslcli.training.checkpoint import load_checkpoint
from tests import ray_cluster
from tests.conftest import Cli
from tests.engines import end_of, lay_out_study, pretraining, record, same_numbers, wait_for_steps
from tests.hidden_folder import can_hide
from tests.measuring import wait_until
from tests.ray_cluster import Nodes

pytest.importorskip("ray", reason="the package ray is not installed: pip install 'sslcli[ray]'")

NO_MOUNTS = "a process here cannot have mounts of its own (unshare --mount)"


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of which the node with the cores sees none of the files that this machine sees."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, hidden: Path) -> Iterator[Nodes]:
    with ray_cluster.two_nodes(tmp_path_factory.mktemp("ray"), hidden=hidden) as nodes:
        yield nodes


@pytest.fixture
def opened(nodes: Nodes) -> Iterator[Any]:
    """Opens a place in the cluster: `opened(registry, "cpus=2")`."""
    places: list[Place] = []

    def get(registry: Registry, *job: str) -> Place:
        places.append(on_ray.PLACE.open(Asked(registry=registry, command=Study(job=list(job)), where=nodes.cluster.address)))
        return places[-1]

    yield get
    for place in places:
        place.close()


@pytest.mark.skipif(not can_hide(), reason=NO_MOUNTS)
@pytest.mark.usefixtures("no_pictures")
def test_a_study_on_ray_without_shared_files_gives_the_numbers_of_one_after_the_other(
    ssl: Cli, nodes: Nodes, hidden: Path, tmp_path: Path
) -> None:
    lay_out_study(tmp_path)
    same_numbers(ssl, tmp_path, on=f"ray:{nodes.cluster.address}", project=hidden / "there")


def test_a_job_whose_node_goes_can_be_given_again(opened: Any, nodes: Nodes, registry: Registry, tmp_path: Path) -> None:
    lay_out_study(tmp_path)
    job = pretraining(registry, epochs=12, folder=tmp_path)
    alone = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": ray_cluster.MEMORY}
    node = nodes.cluster.add_node(**alone)  # the only one that says it has a GPU
    place = opened(registry, "gpus=1", "retries=0")
    place.start([job])
    wait_for_steps(tmp_path, job)
    nodes.cluster.remove_node(node)
    assert end_of(place).why.startswith("Ray: ")  # NodeDiedError, or the worker noticed it first
    wait_until(lambda: registry.status(record(registry, job)) == "interrupted")
    nodes.cluster.add_node(**alone)
    place.start([job])
    assert end_of(place).why == "code 0"
    assert record(registry, job).status == "finished"
    assert len(record(registry, job).attempts) == 2


def test_a_pretraining_joins_several_processes_of_ray(opened: Any, registry: Registry, tmp_path: Path) -> None:
    lay_out_study(tmp_path)
    job, place = pretraining(registry, epochs=1, folder=tmp_path), opened(registry, "processes=2")
    place.start([job])
    assert end_of(place).why == "code 0", job.output(tmp_path).read_text()
    assert "2 processes, each on" in str(record(registry, job).device)


@pytest.mark.skipif(not can_hide(), reason=NO_MOUNTS)
def test_what_an_ended_job_saved_comes_back_from_a_node_without_the_project(opened: Any, nodes: Nodes, hidden: Path) -> None:
    lay_out_study(hidden)
    lay_out_study(nodes.sees(hidden))
    registry = Registry(hidden)
    job, place = pretraining(registry, epochs=1000, folder=hidden), opened(registry)
    place.start([job])
    wait_for_steps(nodes.sees(hidden), job)
    assert not (hidden / job.folder / "checkpoints").exists()
    place.end()
    assert record(registry, job).status == "interrupted"
    assert load_checkpoint(registry, record(registry, job), "last")["progress"]["step"] > 0
    assert "stopped by SIGTERM" in job.output(hidden).read_text()


@pytest.mark.skipif(not can_hide(), reason=NO_MOUNTS)
def test_a_node_with_other_data_refuses_the_job_before_its_first_step(opened: Any, nodes: Nodes, hidden: Path) -> None:
    project = hidden / "other"
    lay_out_study(project)
    lay_out_study(nodes.sees(project))
    (nodes.sees(project) / "pics" / "a" / "0.png").unlink()
    registry = Registry(project)
    job, place = pretraining(registry, epochs=1, folder=project), opened(registry)
    place.start([job])
    assert end_of(place).why == "code 3"
    assert "the data set folder:" in job.output(project).read_text()
    assert not record(registry, job).attempts


def test_a_node_with_another_version_is_named_before_anything_is_trained(
    opened: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sslcli.studies.ray_cluster.__version__", "9.9")
    with pytest.raises(StateError, match=rf"the node \S+ has sslcli {__version__}, this machine has 9.9; .*sslcli==9.9"):
        opened(registry)


@pytest.mark.parametrize("said_by", ["--on", "RAY_ADDRESS", "RAY_TMPDIR"])
def test_a_head_that_does_not_answer_is_named(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said_by: str
) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{found.getsockname()[1]}"
        kept = tmp_path / "ray" / "ray_current_cluster"
        kept.parent.mkdir()
        kept.write_text(address if said_by == "RAY_TMPDIR" else "")
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        monkeypatch.setenv("RAY_ADDRESS", address if said_by == "RAY_ADDRESS" else "")
        with pytest.raises(
            StateError, match=rf"the head of Ray does not answer at {address} .*; to start it, type: ray start --head"
        ):
            on_ray.PLACE.open(Asked(registry=registry, command=Study(), where=address if said_by == "--on" else ""))


@pytest.mark.parametrize("where", ["here", "host:", ":1", "ray://host:10001", "host:port"])
def test_an_address_without_host_and_port_is_refused(registry: Registry, where: str) -> None:
    with pytest.raises(UsageError, match=r"accepted is ray:HOST:PORT"):
        on_ray.PLACE.open(Asked(registry=registry, command=Study(), where=where))


def test_without_ray_it_is_said_how_to_install_it(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StateError, match=re.escape(install_line("ray"))):
        on_ray.PLACE.open(Asked(registry=registry, command=Study()))


def test_what_no_node_has_is_refused(opened: Any, registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"no node of Ray has 900 cores, 0 GPUs and 0 GB for a job; the nodes have: "):
        opened(registry, "cpus=900")
