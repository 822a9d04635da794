"""A study of several methods: one encoder, the same minutes, as many settings tried for each, chosen without the test."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sslcli.bench import minutes
from sslcli.bench.cost import Cost, Costs
from sslcli.data.image_data import ImageData
from sslcli.data.sets import shapes
from sslcli.methods import FILES, RATE, RATES
from sslcli.models import BACKBONES, Backbone
from sslcli.options.pretrain import Pretrain
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies import jobs
from sslcli.training import loop
from tests.conftest import Cli
from tests.stopping import signal_after

SECONDS = {"simclr": 0.4, "vicreg": 0.2, "sigreg": 0.1}
"""A made machine's seconds for a step of each method."""
LINE = "study --preset mine.yaml --methods simclr,vicreg --set pretrain.projector_hidden=16 --set pretrain.projector_dim=8"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that takes as long as SECONDS says, a narrow net, and a preset that pretrains for a tenth of a minute."""

    def of(_: Costs, plan: Any) -> Cost:
        options = plan.options
        epoch_steps = len(plan.context.data.train_images) // options.batch_size
        steps = options.epochs * epoch_steps
        cost = SECONDS[options.method] * options.batch_size / 32
        return Cost({"steps": steps * cost, "measuring": 0.0, "checkpoints": 0.0}, None, steps, epoch_steps, options.batch_size)

    monkeypatch.setattr(Costs, "of", of)
    monkeypatch.setattr(minutes, "rough_seconds", lambda training: 0.5 * training.steps)
    monkeypatch.setitem(BACKBONES, "resnet9", Backbone("tests.survival:narrow"))
    (tmp_path / "mine.yaml").write_text(
        "pretrain: {dataset: shapes, batch_size: 32, temperature: 0.3, precision: fp32, minutes: 0.1, optimizer: sgd, lr: 0.02}"
    )


def records(registry: Registry, experiment: str, study: str = "mine") -> list[Run]:
    return [registry.load(run) for run in registry.runs() if (run.experiment, run.study) == (experiment, study)]


@pytest.mark.usefixtures("no_pictures")
def test_methods_share_encoder_views_minutes_and_scratch_and_each_takes_the_steps_that_fit(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = {"SimCLR": 0.5, "VICReg": 1e-6}  # alone, the second would take a larger net and other views
    monkeypatch.setattr(minutes, "rough_seconds", lambda training: alone[type(training.module).__name__] * training.steps)
    monkeypatch.setattr(jobs, "APART", -1.0)  # whatever they take is too far from what was asked
    with Path("mine.yaml").open("a") as file:
        file.write("\nprobe: {protocol: knn}")
    line = f"{LINE} --seeds 2"
    result = ssl(line)
    assert result.code == 0, result.err
    assert "10 jobs: 5 for each of 2 seeds; pretraining takes 24 s" in result.err
    assert len(re.findall(r"and was to take 6 s: the machine was (?:less busy|busier) than when", result.err)) == 4
    made = records(registry, "pretrain")
    assert [(run.method, run.seed, run.history[-1]["step"]) for run in made] == [
        ("simclr", 1, 15), ("vicreg", 1, 30), ("simclr", 2, 15), ("vicreg", 2, 30),
    ]  # fmt: skip
    for name in ("backbone", "stem", "view_sizes", "batch_size", "lr"):
        assert len({run.options[name] for run in made}) == 1, name
    assert made[0].options["temperature"] == 0.3  # the preset's section is SimCLR's
    assert {run.choices.get("minutes") for run in made} == {0.1}
    evaluated = records(registry, "knn")
    assert sorted((str(run.init), run.seed) for run in evaluated) == sorted(
        [("pretrained", 1), ("pretrained", 1), ("pretrained", 2), ("pretrained", 2), ("scratch", 1), ("scratch", 2)]
    )
    assert "In kNN " in result.out
    runs = registry.runs()
    monkeypatch.setattr(jobs, "APART", float("inf"))
    again = ssl(line)
    assert again.code == 0
    assert "was to take" not in again.err
    assert registry.runs() == runs


@pytest.mark.usefixtures("no_pictures")
def test_settings_are_settled_again_where_a_step_costs_something_else(ssl: Cli, registry: Registry) -> None:
    for more in ("", "--set pretrain.batch_size=16", "--set pretrain.lr=0.01"):
        assert ssl(f"{LINE} --methods vicreg {more}").code == 0
    made = records(registry, "pretrain")
    assert [(run.options["batch_size"], run.history[-1]["step"]) for run in made] == [(32, 30), (16, 60), (32, 30)]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("once", "usual"), [("batch_size=120", 240), ("projector_hidden=16", 512), ("view_sizes=16:0.5,24:0.5", 16)]
)
def test_what_was_given_once_is_open_again_where_it_is_left_out(
    ssl: Cli, registry: Registry, tmp_path: Path, once: str, usual: object
) -> None:
    (tmp_path / "mine.yaml").write_text(
        "pretrain: {dataset: shapes, backbone: resnet9, projector_dim: 8, precision: fp32, minutes: 0.3, optimizer: sgd}"
    )
    line = "study --preset mine.yaml --methods vicreg"
    for more in (f"--set pretrain.{once}", "", f"--set pretrain.{once}", "--set pretrain.seed=2"):
        assert ssl(f"{line} {more}").code == 0
    made = records(registry, "pretrain")
    name, _, given = once.partition("=")
    assert [str(run.options[name]) for run in made] == [given, str(usual), str(usual)]  # the third time nothing is trained
    steps = [run.history[-1]["step"] for run in made]
    assert steps == [24 if name == "batch_size" else 12, 12, 12]


@pytest.mark.usefixtures("no_pictures")
def test_a_later_seed_takes_the_steps_of_the_first_on_a_machine_that_is_slower_now(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssl(LINE).code == 0
    for method, seconds in SECONDS.items():
        monkeypatch.setitem(SECONDS, method, 1.5 * seconds)
    assert ssl(f"{LINE} --seeds 2").code == 0
    made = [(run.method, run.seed, run.history[-1]["step"]) for run in records(registry, "pretrain")]
    assert made == [("simclr", 1, 15), ("vicreg", 1, 30), ("simclr", 2, 15), ("vicreg", 2, 30)]


@pytest.mark.usefixtures("no_pictures")
def test_every_setting_is_recorded_and_the_best_on_held_out_labels_is_taken(ssl: Cli, registry: Registry) -> None:
    line = f"{LINE} --tuning 3 --tuning-minutes 0.07"
    result = ssl(line)
    assert result.code == 0, result.err
    assert "; before it, tuning takes 25 s" in result.err
    trials = {run.id: run for run in records(registry, "pretrain", "mine-tuning")}
    assert [(run.method, run.options["lr"]) for run in trials.values()] == [
        (method, rate) for method in ("simclr", "vicreg") for rate in (0.02, 0.01, 0.04)
    ]
    assert {(run.method, run.history[-1]["step"]) for run in trials.values()} == {("simclr", 10), ("vicreg", 21)}
    for run in records(registry, "pretrain"):
        tried = run.choices["settings"]
        assert [setting["options"] for setting in tried] == [{}, {RATE: 0.5}, {RATE: 2.0}]
        assert [setting["val_knn"] for setting in tried] == [trials[setting["run"]].metrics["val_knn"] for setting in tried]
        best = max(tried, key=lambda setting: setting["val_knn"])
        assert run.options["lr"] == trials[best["run"]].options["lr"]
    runs = registry.runs()
    again = ssl(line)
    assert again.code == 0, again.err
    assert registry.runs() == runs
    assert again.err.count("finished already") == 6 + 2
    assert len(re.findall(r"tuning vicreg, [123] of 3: .*: kNN on held-out labels \d", again.err)) == 3
    assert "tuning vicreg, 2 of 3: 0.5 times the rate: kNN" in again.err
    assert ssl("runs verify").code == 0


@pytest.mark.usefixtures("no_pictures")
def test_no_choice_of_tuning_knows_the_test_labels(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    original = shapes.load

    def shuffled(*arguments: object, **named: object) -> ImageData:
        data: ImageData = original(*arguments, **named)  # type: ignore[arg-type]
        order = torch.randperm(len(data.test_labels), generator=torch.Generator().manual_seed(0))
        return replace(data, test_labels=data.test_labels[order])

    line = f"{LINE} --methods vicreg --tuning 2 --tuning-minutes 0.07"
    assert ssl(line).code == 0
    monkeypatch.setattr(shapes, "load", shuffled)
    assert ssl(f"{line} --name blind").code == 0
    (honest,), (blind,) = (records(registry, "pretrain", study) for study in ("mine", "blind"))
    assert blind.data["sha256"] != honest.data["sha256"]
    assert blind.options == honest.options
    accuracies = [[setting["val_knn"] for setting in run.choices["settings"]] for run in (honest, blind)]
    assert accuracies[0] == accuracies[1]


@pytest.mark.usefixtures("no_pictures")
def test_a_study_that_is_stopped_in_tuning_goes_on_there(ssl: Cli, registry: Registry) -> None:
    line = f"{LINE} --methods vicreg --tuning 3 --tuning-minutes 0.07"
    with signal_after(4, when=lambda _: len(registry.runs()) == 2):
        assert ssl(line).code == 130
    again = ssl(line)
    assert again.code == 0, again.err
    assert "continuing from step 4" in again.err
    assert again.err.count("finished already") == 1
    assert len(records(registry, "pretrain", "mine-tuning")) == 3


@pytest.mark.usefixtures("no_pictures")
def test_a_setting_that_diverges_is_not_taken_and_not_tried_again(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop.take_steps

    def take_steps(*arguments: Any, **named: Any) -> None:
        loss_at = named["loss_at"]

        def broken(step: int) -> tuple[Tensor, dict[str, Tensor]]:
            loss, scalars = loss_at(step)
            return (loss * float("nan") if named["lr_at"](1) > 0.02 else loss), scalars

        original(*arguments, **named | {"loss_at": broken})

    monkeypatch.setattr("sslcli.workflows.training_run.take_steps", take_steps)
    line = f"{LINE} --methods vicreg --tuning 3 --tuning-minutes 0.07"
    first = ssl(line)
    assert first.code == 0, first.err
    (run,) = records(registry, "pretrain")
    assert run.choices["settings"][2]["val_knn"] == 0
    assert run.options["lr"] in (0.02, 0.01)
    trials = records(registry, "pretrain", "mine-tuning")
    assert [trial.status for trial in trials] == ["finished", "finished", "failed"]
    assert ssl(line).code == 0
    assert [trial.attempts for trial in records(registry, "pretrain", "mine-tuning")] == [trial.attempts for trial in trials]


@pytest.mark.parametrize("method", FILES)
def test_every_method_has_as_many_settings_to_try_and_takes_their_values(method: str) -> None:
    tuning = FILES[method].tuning
    assert len(tuning) == len(RATES)
    defaults = Pretrain(method=method, **FILES[method].in_minutes).options()
    for setting in tuning:
        own: dict[str, Any] = {name: value for name, value in setting.items() if name != RATE}
        assert Pretrain(method=method, **FILES[method].in_minutes | own).options() | {"lr": None} != defaults or RATE in setting
    assert len({str(setting) for setting in tuning}) == len(tuning)


def test_a_file_with_fewer_settings_or_other_options_is_refused(ssl: Cli, tmp_path: Path) -> None:
    toy = (Path(__file__).parents[1] / "methods" / "toy_method.py").read_text()
    name = re.findall(r"(?m)^class (\w+)\(Method\)", toy)[0]
    for tuning in ('({"rate": 0.5},)', '({"rte": 0.5},) * 5', "({},) * 5"):
        own = re.sub(r"(?m)^(class Options:\n)", rf"\1    TUNING = {tuning}\n", toy)
        (tmp_path / "toy.py").write_text(own)
        refused = ssl(f"pretrain --method toy.py:{name}")
        assert refused.code == 2
        assert "TypeError: TUNING takes 5 mappings with keys of " in refused.err


@pytest.mark.usefixtures("no_pictures")
def test_a_method_of_ones_own_is_compared_as_a_built_in_one_is(
    ssl: Cli, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = (Path(__file__).parents[1] / "methods" / "toy_method.py").read_text()
    name = re.findall(r"(?m)^class (\w+)\(Method\)", toy)[0]
    (tmp_path / "toy.py").write_text(toy)
    monkeypatch.setitem(SECONDS, f"./toy.py:{name}", 0.3)
    line = f"study --preset mine.yaml --methods ./toy.py:{name},vicreg --tuning 2 --tuning-minutes 0.07"
    first = ssl(line)
    assert first.code == 0, first.err
    (own, other) = records(registry, "pretrain")
    assert (own.history[-1]["step"], other.history[-1]["step"]) == (20, 30)
    assert [setting["options"] for setting in own.choices["settings"]] == [{}, {RATE: 0.5}]
    runs = registry.runs()
    assert ssl(line).code == 0
    assert registry.runs() == runs
