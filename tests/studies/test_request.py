"""What --job asks for: names and values in the order in which they are typed, or a file of them."""

from pathlib import Path

import pytest

from sslcli.errors import UsageError
from sslcli.studies.places.place import Job
from sslcli.studies.places.ray import RayRequest
from sslcli.studies.places.request import request_of
from sslcli.studies.places.slurm import SlurmRequest

PRETRAINING = Job(run="a", folder="runs/pretrain/a", device="cuda")
PROBE = Job(run="b", folder="runs/linear_eval/b", device="auto")


def test_a_later_word_wins_over_a_file_and_an_earlier_word(tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("partition: gpu\ncpus: 4\nmemory: 16\n")
    request = request_of(SlurmRequest, ["cpus=2", str(tmp_path / "lab.yaml"), "partition=short"])
    assert request == SlurmRequest(partition="short", cpus=4, memory=16.0)
    assert request_of(SlurmRequest, None) == SlurmRequest()


def test_only_a_pretraining_asks_for_several_processes_and_only_cuda_for_gpus() -> None:
    request = SlurmRequest(processes=4, nodes=2, memory=1.5)
    asked, of_probe = request.parameters(PRETRAINING), request.parameters(PROBE)
    names = ("nodes", "ntasks_per_node", "gpus_per_node", "mem")
    assert [asked.get(name) for name in names] == [2, 4, 4, "1536M"]
    assert [of_probe.get(name) for name in names] == [1, 1, None, "1536M"]
    assert SlurmRequest(gpus=2).parameters(PROBE)["gpus_per_node"] == 2
    assert RayRequest(memory=2.0).resources("cuda") == {"num_cpus": 1, "num_gpus": 1, "memory": 2 * 2**30}
    assert RayRequest(gpus=0).resources("cuda") == {"num_cpus": 1, "num_gpus": 0}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cpus=0", "--job cpus=0: --cpus 0: accepted is a whole number from 1 to 4096"),
        ("cpus=many", "--cpus takes a whole number, not 'many'"),
        ("partitoin=gpu", "no option 'partitoin'; did you mean 'partition'"),
        ("gpu", "--job 'gpu': accepted is NAME=VALUE, or a YAML file with lines NAME: VALUE; names: cpus, gpus, memory"),
        ("none.yaml", "--job none.yaml: there is no such file"),
        ("list.yaml", "list.yaml must hold option names and values, not list"),
        ("memory=.nan", "--memory takes a number, not nan"),
    ],
)
def test_what_is_not_accepted_is_named(tmp_path: Path, word: str, said: str) -> None:
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(UsageError) as refused:
        request_of(SlurmRequest, [word])
    assert said in str(refused.value)
