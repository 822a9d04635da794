"""A study is its trainings, each done once: what is there is not repeated, what was stopped goes on."""

from importlib import resources
from pathlib import Path

import pytest

from sslcli.data.image_data import ImageData
from sslcli.data.sets import patchwork
from sslcli.runs.next_step import partner_command
from sslcli.runs.registry import Registry
from tests.conftest import Cli
from tests.stopping import signal_after
from tests.studies.presets import write_preset


@pytest.fixture
def small(tmp_path: Path) -> str:
    """The line of a study with one pair of probes on all labels, one on a tenth, and one pair of fine-tunings."""
    evaluations = "probe: [{epochs: 2}, {epochs: 2, label_fraction: 0.1}]\nfinetune: {epochs: 1}"
    return write_preset(tmp_path, evaluations, pretrain="epochs: 3")


@pytest.mark.usefixtures("no_pictures")
def test_of_a_study_that_lacks_a_run_the_study_is_advised_with_its_name(ssl: Cli, registry: Registry, small: str) -> None:
    line = f"{small} --name mine --max-steps 2 --set probe.epochs=1"
    assert ssl(line).code == 0
    lost = registry.runs()[-1]
    registry.remove({lost.id})
    assert ssl("").out.rstrip().endswith(f"Next, type: ssl {line}")
    assert partner_command(registry, registry.runs()[-1]) == f"ssl {line}"
    assert ssl(line).code == 0
    assert registry.runs()[-1].pair == lost.pair


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
def test_the_trainings_of_a_study_share_data_that_are_read_once(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    load = patchwork.load

    def counted(data_dir: Path, *, download: bool) -> ImageData:
        read.append(data_dir)
        return load(data_dir, download=download)

    monkeypatch.setattr(patchwork, "load", counted)
    line = "study --max-steps 1 --set pretrain.batch_size=32 --set probe.epochs=1"
    for typed in (1, 2):  # the second time everything is finished
        result = ssl(line)
        assert result.code == 0, result.err
        assert len(read) == typed


@pytest.mark.usefixtures("no_pictures")
def test_a_study_probes_the_checkpoints_that_pretraining_kept(ssl: Cli, registry: Registry, small: str) -> None:
    line = f"{small} --set finetune.max_steps=1 --set pretrain.keep_every=1"
    result = ssl(line)
    assert result.code == 0, result.err
    probes = [run for run in registry.runs() if run.experiment == "linear_eval"]
    assert [(run.init, run.label_fraction, run.at_epoch) for run in probes] == [
        ("pretrained", 1, None), ("scratch", 1, None), ("pretrained", 0.1, None), ("scratch", 0.1, None),
        ("pretrained", 1, 1), ("pretrained", 1, 2),
    ]  # fmt: skip
    assert ssl(line).err.count("finished already") == len(registry.runs()) == 9
    table = ssl("compare --format markdown").out
    assert [run.id in table for run in probes] == [True] * 4 + [False] * 2


@pytest.mark.usefixtures("no_pictures")
def test_an_interrupted_study_goes_on_where_it_stopped(ssl: Cli, registry: Registry, small: str) -> None:
    line = f"{small} --max-steps 3"
    with signal_after(2, when=lambda _: registry.runs()[-1].experiment == "finetune"):
        assert ssl(line).code == 130
    assert [run.status for run in registry.runs()] == ["finished"] * 5 + ["interrupted"]
    again = ssl(line)
    assert again.code == 0
    assert "continuing from step 2" in again.err
    assert again.err.count("finished already") == 5
    assert len(registry.runs()) == 7


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


def test_a_study_asks_for_the_labels_that_it_needs_before_it_trains(ssl: Cli, registry: Registry) -> None:
    refused = ssl("study --preset demo --label-fractions 0.01")
    assert refused.code == 2
    assert "--label-fraction 0.01: this is " in refused.err
    assert not registry.runs()
