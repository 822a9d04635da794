"""The commands as a person types them, in this process, with what a person can mistype."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sslcli.plans.views import work_of
from sslcli.runs.next_step import partner_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import study_runs
from sslcli.training import log
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.log import Log
from sslcli.workflows import training_run
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


@pytest.mark.parametrize("given", ["", "--encoder first", "--encoder=fir --init scratch", "--init scratch --encoder first"])
def test_the_advised_partner_is_one_though_a_newer_pretrain_run_exists(
    ssl: Cli, done: Done, registry: Registry, given: str
) -> None:
    first = done(f"pretrain {STEP} --seed 1 --name first")
    if given:
        done(f"pretrain {STEP} --seed 2")
    run = done(f"probe {PROBE} {given}")
    done(f"pretrain {STEP} --seed 3")
    advice = partner_command(registry, run).removeprefix("ssl ")
    assert f"--encoder {first.id}" in advice
    partner = done(advice)
    assert (partner.pair, partner.init != run.init) == (run.pair, True)
    assert len(json.loads(ssl("compare --format json").out)["differences"]) == 1


def test_the_partner_of_a_scratch_run_that_was_there_first_is_one(done: Done, registry: Registry) -> None:
    run = done(f"probe {PROBE} --init scratch --dataset shapes --backbone resnet9-small")
    assert partner_command(registry, run).endswith("--init pretrained --seed 1")
    done(f"pretrain {STEP} --seed 1")
    done(f"pretrain {STEP} --seed 3")
    assert done(partner_command(registry, run).removeprefix("ssl ")).pair == run.pair


@pytest.mark.usefixtures("pretrained")
def test_the_newest_run_is_the_one_whose_partner_is_advised(ssl: Cli, done: Done) -> None:
    done(f"probe {PROBE}")
    result = ssl("finetune --epochs 1")
    assert advised(result) == "finetune --epochs 1 --init scratch"
    assert advised(ssl(advised(result))) == "compare"


@pytest.mark.usefixtures("no_pictures")
def test_of_a_study_that_lacks_a_run_the_study_is_advised_with_its_name(ssl: Cli, registry: Registry) -> None:
    line = "study --name mine --max-steps 2 --set pretrain.batch_size=32 --set probe.epochs=1"
    assert ssl(line).code == 0
    lost = registry.runs()[-1]
    registry.remove({lost.id})
    assert ssl("").out.rstrip().endswith(f"Next, type: ssl {line}")
    assert partner_command(registry, registry.runs()[-1]) == f"ssl {line}"
    assert ssl(line).code == 0
    assert registry.runs()[-1].pair == lost.pair


def test_a_run_of_no_study_hides_a_study_only_with_its_partner(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    def make(init: str, status: str, study: str | None, pair: str) -> None:
        registry.create(init, experiment="linear_eval", protocol="linear", init=init, status=status, study=study, pair=pair)

    for study in ("old", "demo"):
        make("pretrained", "finished", study, study)
        make("scratch", "finished", study, study)
    assert {run.study for run in study_runs(registry, None)} == {"demo"}
    assert capsys.readouterr().err == ""
    for status in ("interrupted", "finished"):
        make("pretrained", status, None, "alone")
        assert {run.study for run in study_runs(registry, None)} == {"demo"}
        said = capsys.readouterr().err
        assert "showing study demo; there are also: " in said
        assert said.rstrip().endswith("of no study, study old (ssl runs list)")
        assert said.count("\n") == 1
    make("scratch", "interrupted", None, "alone")
    assert {run.study for run in study_runs(registry, None)} == {"demo"}
    make("scratch", "finished", None, "alone")
    assert {run.study for run in study_runs(registry, None)} == {None}
    make("pretrained", "interrupted", None, "another")
    assert {run.study for run in study_runs(registry, None)} == {None}
    make("pretrained", "finished", "demo", "more")
    assert {run.study for run in study_runs(registry, None)} == {"demo"}


@pytest.mark.usefixtures("pretrained")
def test_encoder_seed_with_a_pretrained_run_says_that_it_is_the_wrong_kind(ssl: Cli, done: Done) -> None:
    run = done(f"probe {PROBE}")
    result = ssl(f"predict --encoder-seed 7 --run {run.id}")
    assert result.code == 3
    assert f"--run {run.id}: linear evaluation, pretrained; with --encoder-seed accepted is a probe of a scratch" in result.err


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize("protocol", ["knn", "logistic"])
def test_a_stopped_protocol_without_steps_says_that_it_starts_again(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sslcli.workflows.representations.standardisation", lambda _: os.kill(os.getpid(), signal.SIGINT))
        stopped = ssl(f"probe --protocol {protocol}")
    assert stopped.code == 130
    assert "keeps nothing on the way: ssl resume starts it again" in stopped.err
    assert ssl("resume").code == 0


@pytest.mark.usefixtures("pretrained")
def test_an_encoder_that_is_no_pretrain_run_is_said_to_be_what_it_is(ssl: Cli, done: Done) -> None:
    run = done(f"probe {PROBE}")
    for command in ("probe", "finetune --init scratch"):
        result = ssl(f"{command} --encoder {run.id}")
        assert (result.code, f"{run.id} is a run of linear evaluation, finished" in result.err) == (3, True)


def test_a_probe_takes_the_pretrain_run_that_it_is_told(done: Done) -> None:
    first = done(f"pretrain {STEP} --seed 1 --name first")
    second = done(f"pretrain {STEP} --seed 2")
    assert done(f"probe {PROBE}").parent == second.id
    assert done(f"probe {PROBE} --encoder first").parent == first.id
    assert done(f"probe {PROBE} --init scratch --encoder {first.id}").seed == 1


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


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [("--at-epoch 3", 3, "kept the checkpoints of these epochs: 1"), ("--at-epoch 1 --init scratch", 2, "never trained")],
)
def test_an_epoch_that_was_not_kept_is_said(ssl: Cli, done: Done, line: str, code: int, text: str) -> None:
    done(f"pretrain {TINY} --epochs 2 --keep-every 1")
    result = ssl(f"probe {PROBE} {line}")
    assert (result.code, text in result.err) == (code, True)


def test_keeping_checkpoints_changes_no_weight(done: Done, registry: Registry) -> None:
    runs = [done(f"pretrain {TINY} --epochs 2 --keep-every {n}") for n in (0, 1)]
    first, second = (load_checkpoint(registry, run, "last")["model"] for run in runs)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def scalars(registry: Registry, run: Run) -> list[tuple[str, int, float]]:
    events = EventAccumulator(str(registry.path(run.folder)), size_guidance={"scalars": 0}).Reload()
    return [(tag, e.step, e.value) for tag in sorted(events.Tags()["scalars"]) for e in events.Scalars(tag)]


def without_times(entries: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in entry.items() if key != "seconds"} for entry in entries]


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    "line",
    [
        f"pretrain {TINY} --epochs 3 --keep-every 1",
        "finetune --epochs 3 --batch-size 32 --optimizer muon",
        "probe --epochs 4 --batch-size 32",
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_bits(
    ssl: Cli, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    whole = done(line)
    for number in (signal.SIGINT, signal.SIGTERM):
        resumed = interrupted_and_resumed(ssl, registry, monkeypatch, line, number)
        assert without_times([resumed.metrics]) == without_times([whole.metrics])
        first, second = (load_checkpoint(registry, registry.load(r), "last") for r in (whole, resumed))
        assert all(torch.equal(value, second["model"][name]) for name, value in first["model"].items())
        assert str(first["optimizer"]) == str(second["optimizer"])
        assert without_times(first["progress"]["history"]) == without_times(second["progress"]["history"])
        assert scalars(registry, whole) == scalars(registry, resumed)


def interrupted_and_resumed(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, line: str, number: int) -> Run:
    """The finished run of a command that got a signal in its tenth step and was resumed."""
    original = log.Log.step

    def step_then_signal(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if step == 10:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "step", step_then_signal)
        stopped = ssl(line)
    run = registry.find("latest")
    assert stopped.code == 128 + number
    assert f"ssl resume {run.id}" in stopped.err
    assert run.status == "interrupted"
    assert ssl("resume").code == 0
    resumed = registry.load(registry.find(run.id))
    assert resumed.status == "finished"
    assert [attempt["status"] for attempt in resumed.attempts] == ["interrupted", "finished"]
    return resumed


def test_resume_refuses_a_finished_run_and_says_when_nothing_is_interrupted(pretrained: Run, ssl: Cli) -> None:
    assert ssl("resume").code == 3
    refused = ssl(f"resume {pretrained.id}")
    assert (refused.code, "is finished" in refused.err) == (3, True)


def test_a_run_whose_process_died_counts_as_interrupted(pretrained: Run, ssl: Cli, registry: Registry) -> None:
    pretrained.status = "running"
    registry.save(pretrained)
    assert "interrupted" in ssl("runs list").out
    assert f"ssl resume {pretrained.id}" in ssl("").out


def test_a_damaged_last_checkpoint_is_said_and_the_one_before_is_taken(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)  # a checkpoint every step
    original = log.Log.step

    def stop_at_five(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "step", stop_at_five)
        assert ssl(f"pretrain {TINY}").code == 130
    run = registry.find("latest")
    path = registry.path(f"{run.folder}/checkpoints/last.pt")
    path.write_bytes(path.read_bytes()[:-9])
    result = ssl("resume")
    assert result.code == 0
    assert "damaged" in result.err
    assert "continuing from step 4" in result.err
    assert ssl("runs verify").code == 0


def test_a_diverging_run_stops_and_keeps_its_last_checkpoint(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)
    result = ssl(f"pretrain {TINY} --optimizer sgd --lr 1e30 --warmup-epochs 0 --precision fp32 --epochs 3")
    assert result.code == 3
    assert "diverged" in result.err
    assert "--lr" in result.err
    run = registry.load(registry.find("latest"))
    assert run.status == "failed"
    state = load_checkpoint(registry, run, "last")
    assert state["progress"]["step"] >= 1
    assert state["progress"]["total"]["loss_epoch"] < 1e3


@pytest.mark.usefixtures("no_pictures")
def test_a_study_does_nothing_twice_and_says_what_changed(ssl: Cli, registry: Registry) -> None:
    line = "study --max-steps 2 --set pretrain.batch_size=32 --set probe.epochs=2"
    first = ssl(line)
    assert first.code == 0, first.err
    runs = registry.runs()
    assert len(runs) == 11
    assert {run.study for run in runs} == {"demo"}
    assert "\n\nDoes pretraining help?" in first.out
    again = ssl(line)
    assert again.err.count("finished already") == 11
    assert registry.runs() == runs
    changed = ssl(line + " --set probe.epochs=3")
    assert changed.code == 0
    assert changed.err.count("finished already") == 7  # kNN has no epochs, so its two are done
    assert "epochs (2 against 3)" in changed.err
    assert len(registry.runs()) == 15


@pytest.mark.usefixtures("no_pictures")
def test_a_study_probes_the_checkpoints_that_pretraining_kept(ssl: Cli, registry: Registry) -> None:
    line = "study --set pretrain.batch_size=32 --set pretrain.epochs=3 --set probe.epochs=2 --set finetune.max_steps=1"
    line += " --set pretrain.keep_every=1"
    result = ssl(line)
    assert result.code == 0, result.err
    probes = [run for run in registry.runs() if run.experiment == "linear_eval"]
    assert [(run.init, run.label_fraction, run.at_epoch) for run in probes] == [
        ("pretrained", 1, None), ("scratch", 1, None), ("pretrained", 0.1, None), ("scratch", 0.1, None),
        ("pretrained", 1, 1), ("pretrained", 1, 2),
    ]  # fmt: skip
    assert ssl(line).err.count("finished already") == len(registry.runs()) == 13
    table = ssl("compare --format markdown").out
    assert [run.id in table for run in probes] == [True] * 4 + [False] * 2


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_study_goes_on_where_it_stopped(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "study --max-steps 3 --set pretrain.batch_size=32 --set probe.epochs=2"
    original = log.Log.step

    def stop_finetune(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if step == 2 and "finetune" in str(self._writer and self._writer.log_dir):
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "step", stop_finetune)
        assert ssl(line).code == 130
    assert [run.status for run in registry.runs()] == ["finished"] * 7 + ["interrupted"]
    again = ssl(line)
    assert again.code == 0
    assert "continuing from step 2" in again.err
    assert again.err.count("finished already") == 7
    assert len(registry.runs()) == 11


@pytest.mark.usefixtures("no_pictures", "narrow_resnet18")
def test_the_full_recipe_runs_a_few_steps_on_the_cpu(ssl: Cli, registry: Registry, small_cifar: Path, tmp_path: Path) -> None:
    recipe = (resources.files("sslcli") / "presets" / "cifar10.yaml").read_text(encoding="utf-8")
    for share, of_ten_images in (("0.1}", "0.5}"), ("0.01}", "0.2}")):  # a hundredth of ten images is none
        assert recipe.count(f"label_fraction: {share}") == 2
        recipe = recipe.replace(f"label_fraction: {share}", f"label_fraction: {of_ten_images}")
    (tmp_path / "full.yaml").write_text(recipe)
    small = "--set pretrain.batch_size=16 --set finetune.batch_size=8"
    result = ssl(f"study --preset full.yaml --data-dir {small_cifar} --device cpu --max-steps 2 {small}")
    assert result.code == 0, result.err
    run = registry.load(registry.find("latest", experiment="pretrain"))
    assert (run.options["stem"], run.options["optimizer"], run.options["temperature"]) == ("conv3", "sgd", 0.5)
    assert run.options["lr"] == pytest.approx(0.03 * 16 / 256)
    assert len(registry.runs()) == 15


@pytest.mark.usefixtures("no_pictures", "narrow_resnet18")
def test_the_ten_minute_recipe_for_a_gpu_runs_on_the_cpu(ssl: Cli, registry: Registry, small_cifar: Path) -> None:
    line = f"study --preset cifar10-10min --data-dir {small_cifar} --device cpu --max-steps 2 --set pretrain.batch_size=16"
    result = ssl(f"{line} --set pretrain.compile=false")
    assert result.code == 0, result.err
    assert [run.experiment for run in registry.runs()] == ["pretrain", "knn", "knn", "linear_eval", "linear_eval"]
    run = registry.load(registry.runs()[0])
    assert (run.options["view_sizes"], run.history[-1]["step"]) == ("24:0.6,32:0.4", 2)


def test_deterministic_holds_for_the_run_that_asks_for_it(done: Done) -> None:
    first = done(f"pretrain {TINY} --deterministic")
    assert torch.are_deterministic_algorithms_enabled()
    second = done(f"pretrain {TINY}")
    assert not torch.are_deterministic_algorithms_enabled()
    assert first.metrics["loss"] == second.metrics["loss"]


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
    from_file = ssl("pretrain --dataset shapes --backbone resnet9-small --config options.yaml --dry-run").out
    assert [line.split()[1:] for line in from_file.splitlines() if line.startswith("epochs")] == [["2", "options.yaml"]]


def test_ssl_alone_shows_where_you_stand_and_the_next_command(ssl: Cli, done: Done) -> None:
    assert ssl("").out.rstrip().endswith("Next, type: ssl study")
    done(f"pretrain {TINY}")
    assert ssl("").out.rstrip().endswith("Next, type: ssl probe")
    done(f"probe {PROBE}")
    assert ssl("").out.rstrip().endswith(f"Next, type: ssl probe {PROBE} --init scratch")
    done(f"probe {PROBE} --init scratch")
    assert ssl("").out.rstrip().endswith("Next, type: ssl compare")


def test_the_time_left_knows_that_larger_views_take_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    work_until = work_of("16:0.5,32:0.5", 100)
    shown = Log(
        "run", events=tmp_path, start=0, steps=100, epoch_steps=10, batch_size=8, record_every=10, work_until=work_until
    )
    with shown:
        for step, seconds in ((25, 25.0), (50, 50.0), (75, 50 + 25 * 2**1.5)):  # as long as the steps of each size take
            now = seconds
            shown.show(step, loss=1.0)
    left = [re.findall(r"(\d+ min \d+ s|\d+ s) left", line) for line in capfd.readouterr().err.splitlines()]
    assert left == [["2 min 46 s"], ["2 min 21 s"], ["1 min 11 s"]]


def test_speed_and_the_time_left_are_told_by_the_last_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(log.time, "monotonic", lambda: now)
    shown = Log("run", events=tmp_path, start=0, steps=1000, epoch_steps=1000, batch_size=8, record_every=10)
    with shown:
        for step, seconds in ((1, 100.0), (41, 140.0), (101, 200.0)):  # the first is compiled
            now = seconds
            shown.show(step, loss=1.0)
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition("loss 1, ")[2] for line in lines[1:]] == [
        "8 images/s, 15 min 59 s left",
        "8 images/s, 14 min 59 s left",
    ]


def test_piped_progress_comes_in_lines_with_speed_and_time_left(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LINE_EVERY", 0.0)
    lines = [line for line in ssl(f"pretrain {TINY}").err.splitlines() if "images/s" in line]
    assert len(lines) >= 5
    assert all("loss" in line and "left" in line and "epoch" in line for line in lines)


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


def test_verify_tells_damaged_missing_changed_and_orphaned_apart(ssl: Cli, done: Done, registry: Registry) -> None:
    runs = [done(f"pretrain {STEP} --seed {seed}") for seed in range(4)]
    damaged, missing, changed, orphaned = runs
    path = registry.path(damaged.checkpoint or "")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    registry.path(missing.checkpoint or "").unlink()
    record = registry.path(f"{changed.folder}/run.yaml")
    record.write_text(record.read_text().replace("seed: 2", "seed: 7"))
    registry.remove({orphaned.id})
    result = ssl("runs verify")
    assert result.code == 3
    lines = {line.split(":")[0]: line for line in result.out.splitlines()}
    assert "damaged" in lines[damaged.id]
    assert "missing" in lines[missing.id]
    assert "changed" in lines[changed.id]
    assert "orphaned" in lines[orphaned.folder]


BAD_LINES = [
    ("pretrain --epochs -1", 2, "ssl: --epochs -1: accepted is a whole number of 1 or more"),
    ("pretrain --epochs many", 2, "ssl: --epochs takes a whole number, not 'many'"),
    ("pretrain --epochs 2.5", 2, "ssl: --epochs takes a whole number, not 2.5"),
    ("pretrain --hue 0.6", 2, "ssl: --hue 0.6: accepted is a number from 0 to 0.5"),
    ("pretrain --lr -0.1", 2, "ssl: --lr -0.1: accepted is a number of 0 or more"),
    ("pretrain --lr fast", 2, "ssl: --lr takes a number, not 'fast'"),
    ("probe --k 0", 2, "ssl: --k 0: accepted is a whole number of 1 or more"),
    ("probe --seed -1", 2, f"ssl: --seed -1: accepted is a whole number from 0 to {2**63 - 1}"),
    ("probe --label-fraction 0", 2, "ssl: --label-fraction 0: accepted is a number above 0 and up to 1"),
    ("finetune --label-fraction 1.5", 2, "ssl: --label-fraction 1.5: accepted is a number above 0 and up to 1"),
    ("finetune --optimizer sdg", 2, "ssl: --optimizer 'sdg': did you mean 'sgd'? accepted: sgd, adamw, muon"),
    ("pretrain --name latest", 2, "ssl: --name latest: latest means the newest run; choose another name"),
    ("study --set pretrain.foo=3", 2, "no option 'foo'; accepted: method, backbone"),
    ("study --set probe.foo=3", 2, "precision, deterministic, name"),
    *(
        (f"{line} --project gone", 3, "--project gone: there is no such folder; to make a study in it, type: ssl study")
        for line in ("compare", "runs list", "runs show", "runs verify", "report", "plots", "map", "predict")
    ),
    ("predict --n 500", 2, "ssl: --n 500: accepted is a whole number from 1 to 400"),
    ("map --n few", 2, "ssl: --n takes a whole number, not 'few'"),
    ("pretrain --temperature nan --dataset shapes", 2, "--temperature"),
    ("pretrain --dataset cifra10", 2, "did you mean 'cifar10'?"),
    ("pretrain --backbone resnet19", 2, "accepted: resnet18"),
    ("pretrain --backbone resnet9 --stem conv3 --dataset shapes", 2, "accepted: own"),
    ("pretrain --view-sizes 16:0.5 --dataset shapes", 2, "add up to 1"),
    ("pretrain --dataset shapes --batch-size 9999", 2, "at most the 240 images"),
    ("pretrain --config nowhere.yaml", 2, "no such file"),
    ("pretran", 2, "pretrain"),
    ("probe", 3, "ssl pretrain"),
    ("probe --encoder nope", 3, "ssl pretrain"),
    ("compare", 3, "ssl study"),
    ("compare --format xml", 2, "markdown"),
    ("resume nope", 3, "there is no run"),
    ("resume", 3, "is interrupted"),
    ("runs show nope", 3, "there is no run"),
    ("runs rm nope --yes", 3, "there is no run"),
    ("pretrain", 3, "--data-dir"),
    ("study --preset nope", 2, "cifar10-cpu"),
    ("study --set epochs=3", 2, "COMMAND.OPTION=VALUE"),
    ("study --set pretrain.epoch=3", 2, "did you mean 'epochs'?"),
    ("study --set pretrain.epochs=many", 2, "a whole number"),
    ("study --name ../up", 2, "lower-case"),
    ("study --label-fractions 0.1,2", 2, "up to 1"),
    ("study --label-fractions few", 2, "like 0.01,0.1,1"),
    ("study --seeds 0", 2, "--seeds"),
    ("probe --protocol svm", 2, "logistic"),
    ("study --set pretrain.name=2024-99-99 --set pretrain.epochs=0", 2, "--epochs 0: accepted is a whole number of 1 or more"),
    ("pretrain --seed 99999999999999999999", 2, "--seed"),
    ("pretrain --view-sizes 32:nan --dataset shapes", 2, "add up to 1"),
    ("pretrain --view-sizes 16:-0.5,32:1.5 --dataset shapes", 2, "add up to 1"),
    ("runs", 2, ""),
]


@pytest.mark.parametrize(("line", "code", "text"), BAD_LINES, ids=[line for line, _, _ in BAD_LINES])
def test_what_a_person_mistypes_is_answered_without_a_traceback(
    ssl: Cli, tmp_path: Path, line: str, code: int, text: str
) -> None:
    result = ssl(line)
    assert result.code == code, result.err
    assert text in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err
    assert not list(tmp_path.glob("runs/*/*"))
    assert not (tmp_path / "registry.yaml").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_that_is_not_there_is_said_with_what_is_accepted(ssl: Cli) -> None:
    result = ssl("pretrain --epochs 200 --device cuda")
    assert result.code == 3
    assert "--device cuda" in result.err
    assert "accepted here: auto or" in result.err


BAD_FILES = [
    ("epochs: 3\nlr: fast\n", "--lr takes a number, not 'fast'"),
    ("learning_rate: 0.1\n", "no option 'learning_rate'"),
    ("- 1\n", "option names and values"),
    ("epochs: [1, 2]\n", "--epochs takes a whole number"),
    ("download: maybe\n", "--download takes true or false"),
    ("epochs: !!python/object/apply:os.mkdir [ran]\n", "not plain YAML"),
    ("epochs: {\n", "line 2"),
]


@pytest.mark.parametrize(("content", "text"), BAD_FILES, ids=[text for _, text in BAD_FILES])
def test_a_bad_config_file_is_said_with_the_place(ssl: Cli, tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "options.yaml").write_text(content)
    result = ssl("pretrain --dataset shapes --config options.yaml")
    assert result.code == 2
    assert "options.yaml" in result.err
    assert text in result.err
    assert not (tmp_path / "ran").exists()


def test_a_rate_that_yaml_reads_as_text_is_taken_as_the_number_and_said(ssl: Cli, tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "options.yaml").write_text("pretrain:\n  lr: 1e-3\n")
    result = ssl(f"pretrain {TINY} --config options.yaml")
    assert result.code == 0
    assert "'1e-3' is text in YAML" in result.err
    assert registry.load(registry.find("latest")).options["lr"] == 0.001


def test_a_damaged_registry_stops_every_command_with_the_remedy(ssl: Cli, registry: Registry) -> None:
    for content in ("runs: 3\n", "runs:\n- {id: ", "runs:\n- {id: a}\n"):
        registry.index.write_text(content)
        for line in ("compare", "runs list", f"pretrain {TINY}", ""):
            result = ssl(line)
            assert result.code == 2, line
            assert "ssl runs rebuild" in result.err
        assert registry.index.read_text() == content


def test_a_folder_that_cannot_be_written_is_said(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    result = ssl(f"pretrain {TINY}")
    assert result.code == 3
    assert "cannot be written" in result.err


def test_debug_shows_the_traceback_and_keeps_the_exit_code(ssl: Cli) -> None:
    for line, code in (("pretrain --config nowhere.yaml --debug", 2), ("resume --debug", 3)):
        result = ssl(line)
        assert result.code == code
        assert "Traceback" in result.err


def test_a_study_keeps_what_the_preset_says_of_the_device(ssl: Cli, tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "mine.yaml").write_text(
        "pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 1, device: cpu}\n"
    )
    result = ssl("study --preset mine.yaml --max-steps 2")
    assert result.code == 0, result.err
    assert registry.load(registry.find("latest")).options["device"] == "cpu"
    assert ssl("study --preset mine.yaml --set probe.epochs=3").code == 2


def test_a_preset_is_a_config_file_too(ssl: Cli, tmp_path: Path) -> None:
    preset = (
        "pretrain:\n  dataset: shapes\n  backbone: resnet9-small\n  epochs: 7\nprobe:\n- {epochs: 2}\nfinetune:\n- {}\n- {}\n"
    )
    (tmp_path / "preset.yaml").write_text(preset)
    assert "epochs            7" in ssl("pretrain --config preset.yaml --batch-size 32 --dry-run").out
    refused = ssl("finetune --config preset.yaml")
    assert (refused.code, "2 entries" in refused.err) == (2, True)


def test_a_run_whose_folder_is_gone_is_said(pretrained: Run, ssl: Cli, registry: Registry) -> None:
    registry.path(pretrained.folder).rename(registry.root / "elsewhere")
    result = ssl("probe")
    assert result.code == 3
    assert "ssl runs rebuild" in result.err
    assert ssl("runs verify").code == 3
    assert ssl("runs rebuild").code == 0
    assert registry.runs() == []


def test_a_failed_run_goes_on_when_asked(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    original = log.Log.flush

    def full(self: log.Log) -> None:
        original(self)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "flush", full)
        result = ssl(f"pretrain {TINY}")
    assert result.code == 3
    assert "No space left" in result.err
    assert registry.find("latest").status == "failed"
    assert ssl("resume").code == 0
    assert registry.find("latest").status == "finished"


@pytest.mark.usefixtures("pretrained")
def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    line = f"{sys.executable} -m sslcli runs show latest | head -c 1; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_nothing_is_deleted_without_an_answer(pretrained: Run, ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    result = ssl(f"runs rm {pretrained.id}")
    assert (result.code, "--yes" in result.err) == (3, True)


def test_a_moved_data_folder_is_named_to_resume(ssl: Cli, small_cifar: Path, tmp_path: Path) -> None:
    original = log.Log.step

    def stop(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log.Log, "step", stop)
        line = f"pretrain --data-dir {small_cifar} --backbone resnet9-small --batch-size 32 --epochs 2"
        assert ssl(line).code == 130
    small_cifar.rename(tmp_path / "moved")
    assert ssl("resume").code == 3
    assert ssl("resume --data-dir moved").code == 0


def test_a_file_for_other_commands_is_no_config_of_this_one(ssl: Cli, tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "preset.yaml").write_text("pretrain: {dataset: shapes, epochs: 7}\nprobe: {epochs: 2}\n")
    refused = ssl("study --config preset.yaml")
    assert (refused.code, "ssl study --preset preset.yaml" in refused.err) == (2, True)
    refused = ssl("finetune --config preset.yaml")
    assert (refused.code, "no section finetune for ssl finetune; it has: pretrain, probe" in refused.err) == (2, True)
    assert not registry.runs()


@pytest.mark.usefixtures("pretrained")
def test_a_whole_number_in_a_file_is_the_number_of_the_command_line(ssl: Cli, done: Done, tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("label_fraction: 1\nepochs: 2\n")
    by_file = done("probe --config all.yaml")
    typed = done("probe --init scratch --label-fraction 1.0 --epochs 2")
    assert by_file.pair == typed.pair
    assert "no partner" not in ssl("compare").err


@pytest.mark.parametrize("line", ["pretrain --warmup-epochs inf", "pretrain --lr 1e999", "pretrain --config endless.yaml"])
def test_numbers_without_an_end_are_refused(ssl: Cli, registry: Registry, tmp_path: Path, line: str) -> None:
    (tmp_path / "endless.yaml").write_text("weight_decay: .inf\n")
    refused = ssl(f"{line} --dataset shapes")
    assert refused.code == 2
    assert "takes a number" in refused.err
    assert not registry.runs()


def test_a_net_that_no_memory_holds_is_said(ssl: Cli) -> None:
    refused = ssl(f"pretrain {TINY} --projector-hidden 100000000000")
    assert refused.code == 3
    assert "out of memory: try a smaller --batch-size" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("CUDA error: out of memory", "try a smaller --batch-size"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "try a smaller --batch-size"),
        ("MPS backend out of memory (MPS allocated: 8 GB)", "try a smaller --batch-size"),
        (
            "mode_cuda does not have a deterministic implementation, but you set",
            "--deterministic: torch has no deterministic mode_cuda",
        ),
    ],
)
def test_what_torch_says_of_a_machines_limits_is_a_message(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, error: str, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr("sslcli.plans.views.make_views", fail)
    refused = ssl(f"pretrain {TINY}")
    assert (refused.code, words in refused.err, "Traceback" in refused.err) == (3, True, False), refused.err


def test_a_study_asks_for_the_labels_that_it_needs_before_it_trains(ssl: Cli, registry: Registry) -> None:
    refused = ssl("study --preset demo --label-fractions 0.01")
    assert refused.code == 2
    assert "--label-fraction 0.01: this is " in refused.err
    assert not registry.runs()


@pytest.mark.usefixtures("no_pictures")
def test_a_request_to_stop_that_comes_with_the_last_save_is_heeded(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training_run.save_checkpoint

    def save(*arguments: Any) -> None:
        original(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(training_run, "save_checkpoint", save)
    stopped = ssl(f"pretrain {TINY} --max-steps 2")
    assert stopped.code == 143
    (run,) = registry.runs()
    assert run.status == "interrupted"
    monkeypatch.setattr(training_run, "save_checkpoint", original)
    assert ssl("resume").code == 0
    assert registry.runs()[0].status == "finished"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pretain", "no such command 'pretain'; did you mean 'pretrain'? to see what is accepted, type: ssl --help"),
        (
            "pretrain --optimzer sgd",
            "no such option: --optimzer; did you mean --optimizer? to see what is accepted, type: ssl pretrain --help",
        ),
        ("runs '\x1b[31m\n'", r"no such command '\x1b[31m\n'; to see what is accepted, type: ssl runs --help"),
        ("probe nope", "got unexpected extra argument(s) (nope); to see what is accepted, type: ssl probe --help"),
        ("runs shwo", "no such command 'shwo'; did you mean 'show'? to see what is accepted, type: ssl runs --help"),
        ("pretrain --epochs", "option '--epochs' requires an argument; to see what is accepted, type: ssl pretrain --help"),
        ("study --preset speedrn", "--preset 'speedrn': no such preset or file; did you mean 'speedrun'? accepted: cifar10, "),
    ],
)
def test_words_that_no_command_takes_are_refused_as_other_errors_are(ssl: Cli, line: str, said: str) -> None:
    refused = ssl(line)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"ssl: {said}")
    assert len(refused.err.splitlines()) == 1
