"""A study with encoders from elsewhere: each stands in every protocol; what cannot be used is refused before any training."""

from pathlib import Path

import pytest
import torch

from sslcli.options.presets import begun_with, recipe_of, trainings_of
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from tests.conftest import Cli, Refused
from tests.models.test_networks import NAME, save_weights

PRESET = """\
pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 1, max_steps: 2, optimizer: adamw, knn_every: 0}
probe:
  - {epochs: 1}
  - {protocol: knn}
"""
THEIRS = f"{NAME}@32=theirs.pth"


@pytest.mark.usefixtures("no_pictures")
def test_encoders_from_elsewhere_are_evaluated_in_every_protocol_and_a_second_call_does_nothing(
    ssl: Cli, registry: Registry, tmp_path: Path
) -> None:
    Path("tiny.yaml").write_text(PRESET)
    save_weights(Path("theirs.pth"))
    line = f"study --preset tiny.yaml --beside {THEIRS} --continue-from {THEIRS}"
    result = ssl(line)
    assert result.code == 0, result.err
    runs = registry.runs()
    file = next(run.init for run in runs if run.experiment == "pretrain" and run.init) or ""
    continued = f"pretrained-from-{file.removeprefix('file-')}"
    assert [(run.experiment, run.init) for run in runs] == [
        ("pretrain", None),
        *[(experiment, init) for experiment in ("linear_eval", "knn") for init in ("pretrained", "scratch", file)],
        ("pretrain", file),
        ("linear_eval", continued), ("knn", continued),
    ]  # fmt: skip
    first, second = (registry.load(run) for run in runs if run.experiment == "pretrain")
    assert (second.backbone, second.options["stem"]) == (NAME, "input-32")
    assert second.options["lr"] == pytest.approx(float(str(first.options["lr"])) / 10)
    assert second.data["mean"] == pytest.approx((0.485, 0.456, 0.406)) or second.data["mean"] == pytest.approx((0.5,) * 3)
    assert "Own pretraining - continued from theirs: " in result.out
    assert "Own pretraining − theirs: " in (tmp_path / "results/tiny.html").read_text()
    assert ssl(line).code == 0
    assert len(registry.runs()) == len(runs)


@pytest.mark.usefixtures("empty_hub")
def test_an_encoder_that_cannot_be_used_stops_the_study_before_anything_is_trained(
    refused: Refused, registry: Registry
) -> None:
    Path("tiny.yaml").write_text(PRESET)
    save_weights(Path("theirs.pth"))
    torch.save({"a.weight": torch.rand(3, 3)}, "other.pth")
    line = "study --preset tiny.yaml"
    refused(
        (f"{line} --beside gone.pth", 2, "--beside gone.pth: there is no such file; accepted: a file of weights"),
        (f"{line} --beside pretrained", 2, "--beside pretrained: accepted is a file of weights, or timm:NAME"),
        (f"{line} --beside other.pth", 2, "--beside other.pth: --init other.pth does not hold the weights of resnet9-small"),
        (f"{line} --beside {NAME}@32=other.pth", 2, f"does not hold the weights of {NAME}"),
        (f"{line} --continue-from {NAME}@32=other.pth", 2, "--continue-from"),
        (f"{line} --beside torchvision:vit_b_16@64=theirs.pth", 2, "does not take images of 64 pixels"),
        (f"{line} --beside torchvision:resnet18", 3, "add --download"),
        (f"{line} --minutes 1 --set pretrain.backbone=resnet9-small --beside other.pth", 2, "does not hold the weights"),
    )
    assert registry.runs() == []


def test_with_minutes_a_plain_file_must_say_whose_weights_it_holds(ssl: Cli, registry: Registry) -> None:
    save_weights(Path("theirs.pth"))
    result = ssl("study --dataset shapes --minutes 1 --beside theirs.pth")
    assert (result.code, "--minutes chooses the backbone, so say whose weights these are" in result.err) == (2, True), (
        result.err
    )
    assert registry.runs() == []


def test_the_trainings_of_a_study_name_each_encoder_once_and_continue_each_pretraining() -> None:
    command, preset = recipe_of(Study(preset="demo", beside=["a.pth", "a.pth"], continue_from="a.pth"))
    steps = trainings_of(preset, command)
    assert [arguments.get("init") for kind, arguments in steps if kind == "pretrain"] == [None, "a.pth"]
    inits = [arguments["init"] for kind, arguments in steps if kind != "pretrain"]
    assert inits == ["pretrained", "scratch", "a.pth"] * (len(inits) // 3)


def test_a_library_network_brings_its_own_backbone_and_a_file_takes_the_studys() -> None:
    own: dict[str, object] = {"backbone": "resnet9", "stem": "own", "epochs": 3}
    assert begun_with("timm:resnet18", own) == {"epochs": 3, "init": "timm:resnet18"}
    assert begun_with("a.pth", own) == own | {"init": "a.pth"}
