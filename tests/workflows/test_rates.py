"""What is chosen or measured before the first step is chosen once: a resume takes it over, and no choice sees the test set."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sslcli.bench import cost
from sslcli.bench.cost import Costs
from sslcli.bench.timing import PHASES, StepTime
from sslcli.data.image_data import ImageData
from sslcli.data.sets import shapes
from sslcli.errors import DivergedError, UsageError
from sslcli.evaluation.linear import RATES
from sslcli.evaluation.protocols import finetune
from sslcli.options.finetune import Finetune
from sslcli.options.pairing import pair_key
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run, parse_run
from sslcli.training.checkpoint import load_checkpoint
from sslcli.workflows import evaluating, rates, resume
from tests.conftest import TINY, Cli, Once
from tests.stopping import signal_after

Done = Callable[[str], Run]
SEARCH = "finetune --epochs 6 --batch-size 128 --search-lr --precision fp32"
SMALL = f"{TINY} --backbone resnet9-small --projector-hidden 8 --optimizer sgd"
FAST = "--dataset shapes --backbone resnet9 --no-presets"


@pytest.fixture
def parent(done_once: Done) -> Run:
    return done_once(f"pretrain {SMALL}")


@pytest.fixture
def searched(done: Done, once: Once[tuple[Run, Run]]) -> tuple[Run, Run]:
    """A pretrain run, and its fine-tuning with a search of the rate."""

    def make_searched() -> tuple[Run, Run]:
        return done(f"pretrain {SMALL}"), done(SEARCH)

    return once(make_searched)


def stop_after(step: int, ssl: Cli, line: str) -> None:
    """Type a command that is asked to stop after a step, as the log counts them."""
    with signal_after(step, when=lambda written: bool(written.events)):
        assert ssl(line).code == 130


def weights(registry: Registry, run: Run) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_checkpoint(registry, run, "best")["model"]
    return found


def alike(registry: Registry, first: Run, second: Run) -> None:
    """Two runs have the same weights to the bit, the same figures and choices, but for the time they took."""
    one, other = (weights(registry, run) for run in (first, second))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert [run.metrics | {"seconds": 0} for run in (first,)] == [run.metrics | {"seconds": 0} for run in (second,)]
    assert first.choices == second.choices


@pytest.mark.parametrize("protocol", ["linear", "linear-augmented"])
def test_a_resumed_probe_searches_and_measures_nothing_anew(
    ssl: Cli, done: Done, parent: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    line = f"probe --protocol {protocol} --epochs 3 --batch-size 64"
    whole = done(line)
    stop_after(5, ssl, line)
    stopped = registry.load(registry.find("latest"))
    assert ("rate" in stopped.choices) == (protocol == "linear")

    def another_rate(*_: Any, **__: Any) -> dict[float, float]:
        raise AssertionError("the rate is searched again")

    def another_measure(h: Tensor) -> tuple[Tensor, Tensor]:
        return h.mean(0) + 1, 2 * h.std(0) + 1

    with monkeypatch.context() as patch:
        patch.setattr("sslcli.evaluation.linear.search_rate", another_rate)
        patch.setattr("sslcli.workflows.representations.standardisation", another_measure)
        assert ssl("resume").code == 0
    resumed = registry.load(registry.find(stopped.id))
    assert resumed.status == "finished"
    alike(registry, whole, resumed)
    assert ssl("runs verify --numbers").code == 0
    assert parent.status == "finished"


def test_the_search_of_a_linear_probe_is_on_record(done: Done, parent: Run) -> None:
    run = done("probe --epochs 1 --batch-size 64")
    assert [trial["rate"] for trial in run.choices["tried"]] == list(RATES)
    best = max(trial["val_acc"] for trial in run.choices["tried"])
    assert run.choices["rate"] == min(trial["rate"] for trial in run.choices["tried"] if trial["val_acc"] == best)
    assert run.metrics["rate"] == run.choices["rate"]
    assert parent.choices == {}


def test_a_probe_whose_encoder_would_be_another_is_not_gone_on_with(
    ssl: Cli, parent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(5, ssl, "probe --init scratch --epochs 3 --batch-size 64")
    original = evaluating.starting_encoder

    def redrawn(*arguments: Any) -> Any:
        encoder = original(*arguments)
        with torch.no_grad():
            next(encoder.parameters()).add_(1e-3)
        return encoder

    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "starting_encoder", redrawn)
        refused = ssl("resume")
    assert refused.code == 3
    assert "started with an encoder whose sha256 is" in refused.err
    assert ssl("resume").code == 0
    assert parent.status == "finished"


def test_a_resume_normalises_images_as_the_run_began(parent: Run, registry: Registry) -> None:
    from sslcli.options.pretrain import Pretrain
    from sslcli.plans.settling import prepare

    context, _ = prepare(registry, Pretrain(dataset="shapes", backbone="resnet9"))
    parent.data |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    data = resume.as_begun(parent, context).data
    assert data.normalisation[0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert data.normalisation[1].tolist() == pytest.approx([0.4, 0.5, 0.6])
    parent.data = {"sha256": "x"}
    assert resume.as_begun(parent, context) is context


def test_a_probe_that_an_earlier_version_began_is_gone_on_with(
    ssl: Cli, done: Done, parent: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "probe --epochs 3 --batch-size 64"
    whole = done(line)
    with monkeypatch.context() as patch:
        patch.setattr(evaluating, "fixed_of", lambda *_: None)
        patch.setattr("sslcli.training.checkpoint.sealed", lambda _: {})
        stop_after(5, ssl, line)
    run = registry.load(registry.find("latest"))
    run.choices = {}
    registry.save(run)
    assert ssl("resume").code == 0
    alike(registry, whole, registry.load(registry.find(run.id)))
    assert parent.status == "finished"


def test_the_rate_of_fine_tuning_is_the_best_on_validation_and_the_run_is_as_with_that_lr(
    ssl: Cli, done: Done, searched: tuple[Run, Run], registry: Registry
) -> None:
    parent, pretrained = searched
    scratch = done(f"{SEARCH} --init scratch")
    middle = 0.06 * 128 / 256
    for init, run in {"pretrained": pretrained, "scratch": scratch}.items():
        tried = run.choices["tried"]
        assert [trial["rate"] for trial in tried] == pytest.approx([0.1 * middle, 0.3 * middle, middle, 3 * middle])
        best = max(trial["val_acc"] for trial in tried)
        assert run.choices["rate"] == min(trial["rate"] for trial in tried if trial["val_acc"] == best)
        assert (run.metrics["rate"], run.options["lr"]) == (run.choices["rate"], None)
        plain = done(f"{SEARCH.replace('--search-lr', '')} --init {init} --lr {run.choices['rate']!r}")
        one, other = weights(registry, run), weights(registry, plain)
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert pretrained.pair == scratch.pair
    assert pretrained.parent == parent.id
    table = ssl("compare").out
    assert f"{scratch.choices['rate']:.3g}" in table.partition("Fine-tuning")[2]
    shown = ssl(f"runs show {scratch.id}").out
    assert shown.count("val_acc:") == 5  # of each rate that was tried, and of the run
    assert ssl("runs verify --numbers").code == 0


def test_a_trial_is_the_whole_recipe_in_a_fifth_of_its_epochs_and_steps() -> None:
    options = finetune.Options(epochs=12, warmup_epochs=1.2, max_steps=101, search_lr=True, optimizer="adamw", batch_size=64)
    trial = finetune.trial_options(options, rate=0.5)
    assert (trial.epochs, trial.max_steps, trial.lr, trial.search_lr) == (3, 21, 0.5, False)
    assert trial.warmup_epochs == pytest.approx(0.3)
    differing = {name for name, value in vars(trial).items() if value != vars(options)[name]}
    assert differing == {"epochs", "max_steps", "lr", "search_lr", "warmup_epochs"}
    assert finetune.trial_rates(options) == pytest.approx([0.00005, 0.00015, 0.0005, 0.0015])
    assert finetune.trial_options(finetune.Options(epochs=1, search_lr=True), rate=0.1).epochs == 1


def test_of_rates_that_are_equally_good_the_lowest_is_taken_and_one_that_diverges_is_not(
    ssl: Cli, parent: Run, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.2, 0.3, 0.3])

    def fitted(*_: Any, progress: Any, **__: Any) -> None:
        try:
            progress.history.append({"val/acc": next(accuracies)})
        except StopIteration:
            raise DivergedError("training diverged") from None

    monkeypatch.setattr(rates, "take_steps", fitted)
    assert ssl(f"{SEARCH} --epochs 1").code == 0
    choices = registry.load(registry.find("latest")).choices
    assert [trial["val_acc"] for trial in choices["tried"]] == [0.2, 0.3, 0.3, 0.0]
    assert choices["rate"] == choices["tried"][1]["rate"]
    assert parent.status == "finished"


def test_a_search_that_was_stopped_goes_on_with_the_next_rate(
    ssl: Cli, searched: tuple[Run, Run], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = searched
    original, begun = rates.take_steps, [0]

    def stopped_in_the_third(*arguments: Any, **named: Any) -> None:
        begun[0] += 1
        if begun[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        original(*arguments, **named)

    monkeypatch.setattr(rates, "take_steps", stopped_in_the_third)
    assert ssl(SEARCH).code == 130
    run = registry.load(registry.find("latest"))
    assert (run.status, run.choices) == ("interrupted", {"tried": whole.choices["tried"][:2]})
    assert ssl("runs verify --numbers").code == 0
    assert ssl("resume").code == 0
    assert begun[0] == 5
    alike(registry, whole, registry.load(registry.find(run.id)))


def test_a_resumed_fine_tuning_searches_no_rate_again(
    ssl: Cli, searched: tuple[Run, Run], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = searched
    stop_after(7, ssl, SEARCH)
    run = registry.find("latest")
    with monkeypatch.context() as patch:
        patch.setattr(rates, "take_steps", lambda *_, **__: 1 / 0)
        assert ssl("resume").code == 0
    alike(registry, whole, registry.load(registry.find(run.id)))


def test_shuffled_test_labels_change_neither_what_was_tried_nor_the_weights(
    done: Done, searched: tuple[Run, Run], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, honest = searched
    original = shapes.load

    def shuffled(data_dir: Path, *, download: bool) -> ImageData:
        known = dict(vars(original(data_dir, download=download)))
        return ImageData(**known | {"test_labels": known["test_labels"].roll(7)})

    monkeypatch.setattr(shapes, "load", shuffled)
    blind = done(SEARCH)
    assert blind.id != honest.id
    assert blind.data["sha256"] != honest.data["sha256"]
    assert blind.choices == honest.choices
    one, other = weights(registry, honest), weights(registry, blind)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    "line", ["finetune --lr 0.1 --search-lr", "finetune --config both.yaml", "bench finetune --lr 0.1 --search-lr"]
)
def test_a_rate_that_is_given_is_not_searched(ssl: Cli, registry: Registry, line: str) -> None:
    (registry.root / "both.yaml").write_text("lr: 0.1\nsearch_lr: true\n")
    refused = ssl(line)
    assert (refused.code, "--lr 0.1 with --search-lr: accepted is one of them" in refused.err) == (2, True), refused.err
    assert registry.runs() == []


def test_a_study_refuses_a_rate_and_its_search_before_anything_is_trained(ssl: Cli, registry: Registry) -> None:
    text = "pretrain: {dataset: shapes}\nfinetune:\n- {epochs: 1}\n- {lr: 0.1, search_lr: true}\n"
    (registry.root / "mine.yaml").write_text(text)
    refused = ssl("study --preset mine.yaml")
    assert (refused.code, "mine.yaml: finetune 2: --lr 0.1 with --search-lr" in refused.err) == (2, True), refused.err
    assert registry.runs() == []


def test_an_option_that_is_new_changes_no_key_of_runs_that_do_not_use_it() -> None:
    old = {
        "init": "pretrained", "encoder": "simclr-resnet9-shapes-s1-wv8p", "dataset": "shapes", "labels": None,
        "image_size": None, "fit": "crop", "data_dir": None, "download": False, "label_fraction": 1.0, "backbone": "resnet9",
        "stem": "own", "epochs": 1, "batch_size": 32, "optimizer": "sgd", "lr": 0.0075, "weight_decay": 0.0005,
        "momentum": 0.9, "warmup_epochs": 0.05, "max_steps": None, "seed": 1, "crop_min": 0.6, "flip": 0.5, "device": "auto",
        "precision": "bf16", "deterministic": False, "name": None,
    }  # fmt: skip
    fingerprint = "1b8d7f0dda415bb3b498503d8351f8f7ce4fc9ee5bd3dbe69110741c06561b1f"
    assert pair_key("finetune", old, fingerprint) == "7d5a4aaf7606"  # as 0.1.0 recorded it
    assert pair_key("finetune", old | {"search_lr": False}, fingerprint) == "7d5a4aaf7606"
    assert pair_key("finetune", old | {"search_lr": True}, fingerprint) != "7d5a4aaf7606"
    assert set(Finetune().options()) - set(old) == {"search_lr"}


def test_the_expected_time_of_fine_tuning_counts_the_trials(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "time_step", lambda *_, **__: StepTime(1.0, dict.fromkeys(PHASES, 0.1), 100.0))
    monkeypatch.setattr(cost, "seconds_of", lambda *_: 1.0)
    monkeypatch.setattr(Costs, "seeing", lambda *_: 0.01)
    found = [
        json.loads(ssl(f"bench finetune {FAST} --epochs 10 --batch-size 220 {search} --format json").out)["columns"][0][
            "expected"
        ]
        for search in ("", "--search-lr")
    ]
    assert "choosing the rate" not in found[0]
    assert found[1]["choosing the rate"] == pytest.approx(4 * 2 * (1.0 + 20 * 0.01))  # of 2 epochs, each of a step, each
    assert found[1]["steps"] == found[0]["steps"]


@pytest.mark.parametrize("choices", [
    {"rate": "x"}, {"rate": -1.0}, {"tried": 3}, {"tried": [3]}, {"tried": [{"rate": 0.1}]}, {"rate": float("nan")},
    {"settings": 3}, {"settings": ["a"]}, {"settings": [{"run": "a"}]},
])  # fmt: skip
def test_choices_that_are_none_are_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="choices are the rate taken"):
        parse_run({"id": "a", "experiment": "finetune", "status": "interrupted", "choices": choices}, "here")
