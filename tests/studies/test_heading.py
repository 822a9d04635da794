"""The line that a study begins with counts as many jobs as its list has."""

import json
import re
from pathlib import Path

import pytest

from sslcli.bench.cost import Cost, Costs
from tests.conftest import Cli


@pytest.fixture(autouse=True)
def _untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Costs, "of", lambda *_: Cost({"steps": 1.0}))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "5 jobs, with 2 probes of kept checkpoints"),
        ("--set pretrain.keep_every=0", "3 jobs"),
        ("--seeds 2", "8 jobs: 3 for each of 2 seeds, and 2 probes of kept checkpoints (first seed only)"),
        ("--seeds 2 --set pretrain.keep_every=0", "6 jobs: 3 for each of 2 seeds"),
        ("--methods simclr,byol", "9 jobs, with 4 probes of kept checkpoints"),
    ],
)
def test_the_heading_counts_the_jobs_of_the_list(ssl: Cli, tmp_path: Path, more: str, words: str) -> None:
    (tmp_path / "small.yaml").write_text(
        "pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, optimizer: adamw, epochs: 5, keep_every: 2}\n"
        "probe: {epochs: 1}\n"
    )
    result = ssl(f"study --preset small.yaml --plan --format json {more}")
    assert result.code == 0, result.err
    heading = next(line for line in result.err.splitlines() if line.startswith("study small in "))
    assert heading.endswith(f": {words}")
    assert len(json.loads(result.out)) == int(re.match(r"\d+", words)[0])  # type: ignore[index]


def test_a_number_of_checkpoints_that_depends_on_the_data_is_left_open(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(
        "pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 5, keep_every: 2}\nprobe: {epochs: 1}\n"
    )
    heading = ssl("study --preset small.yaml --plan --max-steps 20").err.splitlines()[0]
    assert heading.endswith(": 3 jobs, and a probe of each kept checkpoint")
