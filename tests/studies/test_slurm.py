"""Jobs of a study on a real Slurm of one node: the same numbers, saved at its signal, gone on with after a kill."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sslcli import __version__
from sslcli.errors import StateError, UsageError, install_line
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.studies.on_worker import Work
from sslcli.studies.places import slurm
from sslcli.studies.places.place import Asked, Place
from tests import slurm_cluster
from tests.conftest import Cli
from tests.engines import PRETRAIN, end_of, lay_out_study, pretraining, record, same_numbers, wait_for_steps
from tests.measuring import wait_until
from tests.slurm_cluster import free_port

pytest.importorskip("submitit", reason="the package submitit is not installed: pip install 'sslcli[slurm]'")
if lacking := slurm_cluster.missing():
    pytest.skip(f"Slurm is not installed: {', '.join(lacking)}", allow_module_level=True)


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the node does not see."""
    return tmp_path_factory.mktemp("hidden")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, hidden: Path) -> Iterator[dict[str, str]]:
    with slurm_cluster.one_node(tmp_path_factory.mktemp("slurm"), hidden=hidden) as environment:
        yield environment


@pytest.fixture(autouse=True)
def _of_the_cluster(cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm, "LOOK_EVERY", 0.2)
    lay_out_study(tmp_path)


def opened(registry: Registry, *job: str) -> Place:
    return slurm.PLACE.open(Asked(registry=registry, command=Study(job=list(job))))


@pytest.mark.usefixtures("no_pictures")
def test_a_study_on_slurm_gives_the_numbers_of_one_after_the_other_though_its_first_launcher_is_killed(
    ssl: Cli, tmp_path: Path
) -> None:
    def killed(line: str) -> None:
        launcher = subprocess.Popen([sys.executable, "-m", "sslcli", *line.split()], cwd=tmp_path, stderr=subprocess.DEVNULL)
        tickets = "there/runs/pretrain/*/.ticket"
        wait_until(lambda: any('"called": ""' not in path.read_text() for path in tmp_path.glob(tickets)))
        launcher.kill()
        launcher.wait()

    same_numbers(ssl, tmp_path, on="slurm", before=killed)


def test_a_job_goes_on_after_the_signal_of_slurm_and_after_a_kill_and_saves_when_it_is_ended(
    registry: Registry, tmp_path: Path
) -> None:
    job, place = pretraining(registry, epochs=1000, folder=tmp_path), opened(registry)

    def has_gone_on(times: int) -> bool:
        return job.output(tmp_path).read_text().count("continuing from step") == times

    (number,) = place.start([job])
    wait_for_steps(tmp_path, job)
    subprocess.run(["scancel", "--signal=USR1", number], check=True)
    wait_until(lambda: has_gone_on(1))
    assert not place.ended()
    assert opened(registry).adopt(job, number)
    subprocess.run(["scancel", "--signal=KILL", number], check=True)
    assert end_of(place).code is None
    assert not opened(registry).adopt(job, number)
    wait_until(lambda: registry.status(record(registry, job)) == "interrupted")
    place.start([job])
    wait_until(lambda: has_gone_on(2))
    place.end()
    assert not place.ended()
    assert record(registry, job).status == "interrupted"
    first, _, third = record(registry, job).attempts
    assert (first["status"], third["status"]) == ("interrupted", "interrupted")


def test_slurm_takes_the_short_pause_before_a_requeued_job(cluster: dict[str, str]) -> None:
    said = Path(cluster["SLURM_CONF"]).with_name("slurmctld.out").read_text()
    assert "AuthInfo" not in said  # else it refused cred_expire, and the test above waits for two minutes


def test_a_node_that_does_not_see_the_project_is_named_before_anything_is_trained(hidden: Path) -> None:
    lay_out_study(hidden)
    registry = Registry(hidden)
    job, place = pretraining(registry, epochs=1, folder=hidden), opened(registry)
    place.start([job])
    ended = end_of(place)
    assert f"the node does not see the project folder {hidden}" in ended.why
    assert ended.code is None  # another node may see it
    assert not record(registry, job).attempts


def test_a_node_with_another_version_is_named_before_anything_is_trained(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(slurm, "Work", partial(Work, version="9.9"))
    job, place = pretraining(registry, epochs=1, folder=tmp_path), opened(registry)
    place.start([job])
    ended = end_of(place)
    assert f"has sslcli {__version__}, the study was started with 9.9" in ended.why
    assert ended.code == 3
    assert not record(registry, job).attempts


def test_a_partition_that_does_not_exist_is_refused_with_those_that_do(registry: Registry) -> None:
    with pytest.raises(UsageError, match="partition=tini: no such partition; did you mean 'tiny'"):
        opened(registry, "partition=tini")


def test_what_no_node_has_is_refused_when_it_is_asked_for(registry: Registry, tmp_path: Path) -> None:
    job = pretraining(registry, epochs=1, folder=tmp_path)
    with pytest.raises(StateError, match=r"Slurm does not take the jobs of the study: .*; change --job"):
        opened(registry, "memory=9000").start([job])


def test_without_slurm_or_submitit_it_is_said_what_is_missing(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(StateError, match=re.escape(install_line("slurm"))):
        opened(registry)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StateError, match=r"sbatch, .* not found: this machine has no Slurm"):
        opened(registry)


def test_a_slurm_that_does_not_answer_is_named(registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "slurm.conf").write_text("ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=1\n")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(StateError, match="Slurm does not answer"):
        opened(registry)


def test_a_pretraining_joins_several_processes_that_srun_starts(registry: Registry, tmp_path: Path) -> None:
    job, place = pretraining(registry, epochs=1, folder=tmp_path), opened(registry, "processes=2")
    place.start([job])
    assert end_of(place).why == "COMPLETED", job.output(tmp_path).read_text()
    assert record(registry, job).status == "finished"
    assert "2 processes, each on" in str(record(registry, job).device), job.output(tmp_path).read_text()


def test_torchrun_under_srun_joins_the_processes_of_a_pretraining(registry: Registry, tmp_path: Path) -> None:
    torchrun = (
        f"exec {sys.executable} -m torch.distributed.run --nnodes 2 --node-rank $SLURM_PROCID --nproc-per-node 1 "
        f"--master-addr 127.0.0.1 --master-port {free_port()} -m sslcli pretrain --project {tmp_path} "
    )
    options = f"--dataset folder:{tmp_path / 'pics'} --device cpu --epochs 1 " + " ".join(
        f"--{name.replace('_', '-')} {value}" for name, value in PRETRAIN.items()
    )
    srun = ["srun", "--ntasks", "2", "--overcommit", "sh", "-c", torchrun + options]
    done = subprocess.run(srun, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (run,) = registry.runs()
    assert (run.status, str(registry.load(run).device)[:21]) == ("finished", "2 processes, each on ")
