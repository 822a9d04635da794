"""The trainings of a study, as its preset and its options say; nothing is trained."""

from pathlib import Path

import pytest

from sslcli.errors import UsageError
from sslcli.options.presets import assign, read_preset, trainings_of
from tests.docs.pages import build


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A preset of one's own that says on which device it trains."""
    (tmp_path / "mine.yaml").write_text("pretrain: {dataset: shapes, epochs: 1, device: cpu}\nprobe: {epochs: 2}\n")
    return "mine.yaml"


@pytest.mark.parametrize(("typed", "devices"), [("", ["cpu", None, None]), ("--device auto", ["auto"] * 3)])
def test_a_training_has_the_device_of_the_preset_unless_another_is_typed(
    mine: str, typed: str, devices: list[str | None]
) -> None:
    steps = trainings_of(read_preset(mine), build(f"study --preset {mine} --max-steps 2 {typed}"))
    assert [kind for kind, _ in steps] == ["pretrain", "probe", "probe"]
    assert [arguments.get("device") for _, arguments in steps] == devices
    assert steps[0][1]["max_steps"] == 2


def test_what_is_set_goes_to_every_training_of_its_command_alone(mine: str) -> None:
    preset = read_preset(mine)
    assign(preset, "probe.epochs=3")
    steps = trainings_of(preset, build(f"study --preset {mine}"))
    assert [(kind, arguments["epochs"]) for kind, arguments in steps] == [("pretrain", 1), ("probe", 3), ("probe", 3)]
    with pytest.raises(UsageError, match="the study has no finetune; it has: pretrain, probe"):
        assign(preset, "finetune.epochs=3")


def test_the_side_of_the_pictures_goes_to_pretraining_alone_and_evaluations_take_it_from_there(mine: str) -> None:
    steps = trainings_of(read_preset(mine), build(f"study --preset {mine} --dataset folder:photos --image-size 64"))
    assert [(arguments.get("dataset"), arguments.get("image_size")) for _, arguments in steps] == [
        ("folder:photos", 64), (None, None), (None, None),
    ]  # fmt: skip
