"""The trainings of a study, as its preset and its options say; nothing is trained."""

from pathlib import Path

import pytest

from sslcli.errors import UsageError
from sslcli.methods import FILES
from sslcli.options.presets import assign, read_preset, recipe_of, searches_first, trainings_of
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


def test_a_search_for_the_rate_that_is_set_takes_the_place_of_the_presets_rate_but_not_of_ones_own() -> None:
    command, preset = recipe_of(build("study --dataset shapes --minutes 1"))  # type: ignore[arg-type]
    assign(preset, "finetune.search_lr=true")
    steps = [arguments for kind, arguments in trainings_of(preset, command) if kind == "finetune"]
    assert [(arguments.get("lr"), arguments["search_lr"]) for arguments in steps] == [(None, True), (None, True)]
    given = ["finetune.lr=0.1", "finetune.search-lr=true"]
    assert searches_first(given) == given[::-1]  # else the search would drop the rate that was given
    assign(preset, "finetune.lr=0.1")
    with pytest.raises(UsageError, match=r"--lr 0\.1 with --search-lr"):
        trainings_of(preset, command)


def test_the_side_of_the_pictures_goes_to_pretraining_alone_and_evaluations_take_it_from_there(mine: str) -> None:
    steps = trainings_of(read_preset(mine), build(f"study --preset {mine} --dataset folder:photos --image-size 64"))
    assert [(arguments.get("dataset"), arguments.get("image_size")) for _, arguments in steps] == [
        ("folder:photos", 64), (None, None), (None, None),
    ]  # fmt: skip


def pretrainings(typed: str) -> list[dict[str, object]]:
    command, preset = recipe_of(build(f"study {typed}"))  # type: ignore[arg-type]
    for assignment in command.set or []:
        assign(preset, assignment)
    return [arguments for kind, arguments in trainings_of(preset, command) if kind == "pretrain"]


def test_each_of_the_methods_has_its_own_section_or_the_firsts_options_that_are_no_methods(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(
        "pretrain:\n- {dataset: shapes, batch-size: 32, temperature: 0.3}\n- {method: byol, dataset: shapes, epochs: 7}\n"
    )
    assert pretrainings("--preset two.yaml --methods vicreg,byol,simclr") == [
        {"dataset": "shapes", "batch_size": 32, "method": "vicreg"},
        {"dataset": "shapes", "epochs": 7, "method": "byol"},
        {"dataset": "shapes", "batch_size": 32, "temperature": 0.3},
    ]


def test_methods_alone_are_the_league_and_with_minutes_or_data_what_these_alone_give() -> None:
    league = {"dataset": "cifar10", "backbone": "resnet9", "batch_size": 256}
    assert pretrainings("--methods dino,swav") == [
        league | {"minutes": 1.0, "method": "dino"}, league | {"minutes": 1.0, "method": "swav"}
    ]  # fmt: skip
    assert pretrainings("--preset league --methods dino --minutes 4") == [league | {"minutes": 4.0, "method": "dino"}]
    assert pretrainings("--methods dino --dataset shapes --minutes 2") == [
        {"dataset": "shapes", "minutes": 2.0, "method": "dino"}
    ]  # fmt: skip
    assert pretrainings("--methods dino --max-steps 3") == [league | {"max_steps": 3, "method": "dino"}]


def test_all_methods_are_those_that_take_the_encoder_of_the_preset(tmp_path: Path) -> None:
    of_images = [name for name, file in FILES.items() if not file.backbones]
    assert [section.get("method", "simclr") for section in pretrainings("--preset league")] == of_images
    (tmp_path / "vit.yaml").write_text("methods: all\npretrain: {backbone: vit-tiny}\n")
    assert [section.get("method", "simclr") for section in pretrainings("--preset vit.yaml")] == [*FILES]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("--methods simclr,byl", "--methods 'simclr,byl': no method 'byl'; did you mean 'byol'? accepted: all, or some of"),
        ("--methods simclr,byol,simclr", "simclr stands there twice; accepted is each method once"),
        ("--methods simclr,", "no method ''"),
        ("--methods simclr,mae", "--method mae with --backbone resnet9: accepted are vit-tiny, vit-small"),
        ("--methods simclr,mae --minutes 3", "--set pretrain.backbone=vit-tiny"),
        ("--methods ./none.py:Mine", "./none.py cannot be read"),
    ],
)
def test_methods_that_cannot_be_compared_are_refused(typed: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        pretrainings(typed)
    assert words in str(refused.value)


def test_a_method_that_takes_few_encoders_is_compared_on_one_of_them() -> None:
    made = pretrainings("--methods dino,mae --set pretrain.backbone=vit-tiny")
    assert [(section["method"], section["backbone"]) for section in made] == [("dino", "vit-tiny"), ("mae", "vit-tiny")]
