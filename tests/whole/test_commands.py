"""Commands as a person types them, one after the other, in this process."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from tests.conftest import TINY, Cli, Result

Done = Callable[[str], Run]
PROBE = "--epochs 2 --batch-size 32"
STEP = f"{TINY} --max-steps 1"
"""A run of a single step, for tests to which it matters that there is a run, and not how it was trained."""


def test_a_study_by_hand_gives_the_table(ssl: Cli, done: Done, registry: Registry) -> None:
    parent = done(f"pretrain {TINY} --name mine")
    assert parent.metrics["val_knn"] == parent.history[-1]["val/knn"]
    for line in (f"probe {PROBE}", f"probe --init scratch {PROBE}"):
        run = done(line)
        assert (run.dataset, run.backbone, run.seed) == ("shapes", "resnet9-small", 1)
    for line in ("finetune --epochs 1", "finetune --epochs 1 --init scratch"):
        done(line)
    rows = json.loads(ssl("compare --format json").out)
    assert [(row["experiment"], row["init"]) for row in rows["rows"]] == [
        ("linear_eval", "pretrained"), ("linear_eval", "scratch"), ("finetune", "pretrained"), ("finetune", "scratch"),
    ]  # fmt: skip
    assert len(rows["differences"]) == 2
    for found in rows["differences"]:
        by_id = {row["run"]: row["test_acc"] for row in rows["rows"]}
        assert found["difference"] == pytest.approx(by_id[found["pretrained_run"]] - by_id[found["scratch_run"]])
    assert rows["rows"][0]["parent"] == parent.id
    table = ssl("compare")
    assert table.out.startswith("Does pretraining help?")
    assert all(row["run"] in table.out for row in rows["rows"])
    assert ssl("runs verify").code == 0
    assert registry.find("mine").id == parent.id


@pytest.mark.usefixtures("pretrained")
def test_every_form_of_compare_and_runs_carries_the_same_numbers(ssl: Cli, done: Done) -> None:
    run = done(f"probe {PROBE}")
    accuracy = run.metrics["test_acc"]
    assert json.loads(ssl("compare --format json").out)["rows"][0]["test_acc"] == accuracy
    assert f",{accuracy}," in ssl("compare --format csv").out
    assert f"| {accuracy:.2%} |" in ssl("compare --format markdown").out
    assert json.loads(ssl("runs list --format json").out)[1]["test_acc"] == accuracy
    assert json.loads(ssl(f"runs show {run.id} --format json").out)["metrics"]["test_acc"] == accuracy
    assert yaml.safe_load(ssl("runs show latest").out)["metrics"]["test_acc"] == accuracy


@pytest.mark.usefixtures("pretrained")
def test_without_a_partner_compare_states_no_difference_and_names_the_option(ssl: Cli, done: Done) -> None:
    run = done(f"probe {PROBE}")
    alone = ssl("compare")
    assert "so no difference to state" in " ".join(alone.out.split())
    assert f"{run.id} has no partner" in alone.err
    assert f"ssl probe {PROBE} --init scratch" in alone.err
    done("probe --init scratch --epochs 3 --batch-size 32")
    unequal = ssl("compare")
    assert "so no difference to state" in " ".join(unequal.out.split())
    assert "epochs (2 against 3)" in unequal.err


def test_scratch_with_no_pretrain_run_says_what_it_takes(ssl: Cli, tmp_path: Path) -> None:
    result = ssl("probe --init scratch")
    assert result.code == 3  # for CIFAR-10 is not here
    assert "scratch: dataset cifar10, backbone resnet18, stem auto, seed 1" in result.err
    assert str(tmp_path / "data" / "cifar-10-batches-py") in result.err


def advised(result: Result) -> str:
    """What a command said to type next, without the program's name."""
    return result.err.rstrip().rpartition("type: ssl ")[2]


@pytest.mark.usefixtures("pretrained")
def test_the_newest_run_is_the_one_whose_partner_is_advised(ssl: Cli, done: Done) -> None:
    done(f"probe {PROBE}")
    result = ssl("finetune --epochs 1")
    assert advised(result) == "finetune --epochs 1 --init scratch"
    assert advised(ssl(advised(result))) == "compare"


@pytest.mark.usefixtures("pretrained")
def test_encoder_seed_with_a_pretrained_run_says_that_it_is_the_wrong_kind(ssl: Cli, done: Done) -> None:
    run = done(f"probe {PROBE}")
    result = ssl(f"predict --encoder-seed 7 --run {run.id}")
    assert result.code == 3
    assert f"--run {run.id}: linear evaluation, pretrained; with --encoder-seed accepted is a probe of a scratch" in result.err


def test_kept_checkpoints_are_probed_and_counted_apart(ssl: Cli, done: Done, registry: Registry) -> None:
    parent = done(f"pretrain {TINY} --epochs 5 --keep-every 2")
    assert sorted(parent.checkpoints) == ["epoch-0002.pt", "epoch-0004.pt", "last.pt"]
    assert (parent.checkpoint or "").endswith("last.pt")
    last = done(f"probe {PROBE}")
    early = done(f"probe {PROBE} --at-epoch 2")
    assert early.data["encoder_sha256"] != last.data["encoder_sha256"]
    kept = load_checkpoint(registry, parent, "epoch-0002")["model"]
    best = load_checkpoint(registry, early, "best")["model"]
    assert all(torch.equal(value, best[name]) for name, value in kept.items() if name.startswith("encoder."))
    assert done(f"probe {PROBE} --at-epoch 5").data["encoder_sha256"] == last.data["encoder_sha256"]
    done(f"probe {PROBE} --init scratch")
    shown = json.loads(ssl("compare --format json").out)
    assert [row["at_epoch"] for row in shown["rows"]] == [None, None]
    assert shown["differences"][0]["pretrained"] == last.metrics["test_acc"]
    everything = ssl("compare --all")
    assert "linear evaluation after epoch 2" in everything.out
    assert early.id in everything.out


def test_dry_run_prints_every_option_with_its_origin_and_the_time(ssl: Cli, registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("epochs: 2\nbatch_size: 64\n")
    result = ssl(f"pretrain {TINY} --batch-size 32 --config options.yaml --dry-run --view-sizes 16:0.5,32:0.5")
    assert result.code == 0
    lines = {line.split()[0]: line for line in result.out.splitlines() if line}
    assert lines["batch_size"].split()[1:] == ["32", "command", "line"]
    assert lines["epochs"].split()[1:] == ["1", "command", "line"]
    assert lines["temperature"].split()[1:] == ["0.5", "default"]
    assert "from optimizer, batch and epochs" in lines["lr"]
    assert "from the image size, 32" in lines["stem"]
    assert "about" in result.out.splitlines()[-1]
    assert registry.runs() == []


def test_ssl_alone_shows_where_you_stand_and_the_next_command(ssl: Cli, done: Done) -> None:
    assert ssl("").out.rstrip().endswith("Next, type: ssl study")
    done(f"pretrain {TINY}")
    assert ssl("").out.rstrip().endswith("Next, type: ssl probe")
    done(f"probe {PROBE}")
    assert ssl("").out.rstrip().endswith(f"Next, type: ssl probe {PROBE} --init scratch")
    done(f"probe {PROBE} --init scratch")
    assert ssl("").out.rstrip().endswith("Next, type: ssl compare")


def test_a_project_can_be_moved(ssl: Cli, tmp_path: Path) -> None:
    assert ssl(f"pretrain {STEP} --project before").code == 0
    (tmp_path / "before").rename(tmp_path / "after")
    assert ssl(f"probe {PROBE} --project after").code == 0
    assert ssl("runs verify --project after").code == 0
    assert ssl(f"probe {PROBE} --init scratch --project after").err.rstrip().endswith("type: ssl compare --project after")
    assert "/" + str(tmp_path).strip("/") not in (tmp_path / "after" / "registry.yaml").read_text()


def test_the_registry_can_be_cared_for(pretrained: Run, ssl: Cli, done: Done, registry: Registry) -> None:
    child = done(f"probe {PROBE}")
    assert ssl(f"runs note {child.id} 'a [red]note[/]'").code == 0
    assert registry.find(child.id).note == "a [red]note[/]"
    before = registry.index.read_text()
    registry.index.unlink()
    assert ssl("runs rebuild").code == 0
    assert registry.index.read_text() == before
    assert ssl(f"runs rm {pretrained.id} --yes").code == 3
    assert ssl(f"runs rm {pretrained.id} --yes --cascade").code == 0
    assert registry.runs() == []
    assert not registry.path(pretrained.folder).exists()


def test_a_run_whose_folder_is_gone_is_said(pretrained: Run, ssl: Cli, registry: Registry) -> None:
    registry.path(pretrained.folder).rename(registry.root / "elsewhere")
    result = ssl("probe")
    assert result.code == 3
    assert "ssl runs rebuild" in result.err
    assert ssl("runs verify").code == 3
    assert ssl("runs rebuild").code == 0
    assert registry.runs() == []


@pytest.mark.usefixtures("pretrained")
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m sslcli runs show latest | head -c 1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_nothing_is_deleted_without_an_answer(pretrained: Run, ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    result = ssl(f"runs rm {pretrained.id}")
    assert (result.code, "--yes" in result.err) == (3, True)
