"""What submitit does for a job on Slurm, done by its executor of this machine: no Slurm is needed."""

import subprocess
from pathlib import Path

import pytest
import torch

from sslcli.runs.registry import Registry
from sslcli.studies.on_worker import Work
from sslcli.studies.places.place import Job
from sslcli.studies.slurm_work import SlurmWork
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.device import THREADS
from tests.engines import lay_out_study, pretraining, record

submitit = pytest.importorskip("submitit", reason="the package submitit is not installed: pip install 'sslcli[slurm]'")


def test_a_job_under_submitits_local_executor_gives_the_bits_of_one_that_was_typed(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out_study(tmp_path)
    submitted, typed = (pretraining(registry, epochs=1, folder=tmp_path) for _ in range(2))
    for name in THREADS:
        monkeypatch.setenv(name, "1")
    subprocess.run(typed.words(tmp_path), check=True, capture_output=True)
    executor = submitit.LocalExecutor(tmp_path / "logs")
    executor.submit(SlurmWork(work_of(submitted, tmp_path), together=False)).result()

    def weights(job: Job) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = load_checkpoint(registry, record(registry, job), "last")["model"]
        return found

    assert [record(registry, job).status for job in (submitted, typed)] == ["finished", "finished"]
    assert record(registry, submitted).metrics["loss"] == record(registry, typed).metrics["loss"]
    assert all(torch.equal(tensor, weights(typed)[name]) for name, tensor in weights(submitted).items())
    assert "wrote" in submitted.output(tmp_path).read_text()


def work_of(job: Job, project: Path) -> Work:
    """What a place submits for a job."""
    return Work(
        words=tuple(job.words(project)[1:]), project=project, output=job.output(project), mark=project / "registry.yaml", cpus=1
    )
