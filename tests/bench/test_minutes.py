"""Minutes in, epochs and steps out: what fits into a time, recorded as plain options; and the warning of hours."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from sslcli.bench import minutes
from sslcli.bench.cost import Cost, Costs
from sslcli.bench.minutes import RECIPE, recipe_of, settled_of
from sslcli.errors import UsageError
from sslcli.methods import FILES
from sslcli.options import presets
from sslcli.options.pretrain import Pretrain
from sslcli.plans import pretraining
from sslcli.plans.plan import Plan
from sslcli.plans.settling import prepare
from sslcli.plans.views import view_size_plan
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli

MEASURING, SAVING = 1.5, 0.25


def seconds_of_a_step(options: Pretrain) -> float:
    """A machine's: in proportion to the pixels of the views."""
    plan = view_size_plan(options.view_sizes)
    shares = [until - before for before, (_, until) in zip([0, *(u for _, u in plan)], plan, strict=False)]
    return sum(share * size**2 for share, (size, _) in zip(shares, plan, strict=True)) / 1000


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that takes as long as is written here."""

    def of(_: Costs, plan: Any) -> Cost:
        options = plan.options
        epoch_steps = len(plan.context.data.train_images) // options.batch_size
        steps = options.epochs * epoch_steps
        expected = {"steps": steps * seconds_of_a_step(options), "measuring": MEASURING, "checkpoints": SAVING}
        return Cost(expected, None, steps, epoch_steps, options.batch_size)

    monkeypatch.setattr(Costs, "of", of)
    monkeypatch.setattr(minutes, "rough_seconds", lambda training: 0.5 * training.steps)


def planned(registry: Registry, **options: Any) -> Plan:
    return pretraining.plan(registry, Pretrain(dataset="shapes", **options), settle_minutes=minutes.settle_minutes)


def settled(registry: Registry, **options: Any) -> Pretrain:
    made: Pretrain = planned(registry, **options).options
    return made


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("asked", [0.2, 1.0, 7.0, 60.0])
def test_steps_measurements_and_a_checkpoint_fill_the_minutes(registry: Registry, asked: float) -> None:
    options = settled(registry, minutes=asked)
    epoch_steps = 240 // options.batch_size
    steps = options.max_steps or options.epochs * epoch_steps
    assert (options.epochs - 1) * epoch_steps < steps <= options.epochs * epoch_steps
    measured = sum(epoch % options.knn_every == 0 or epoch == options.epochs for epoch in range(1, options.epochs + 1))
    assert measured <= minutes.LOOKS + 1
    a_step = seconds_of_a_step(options)
    spent = steps * a_step + measured * MEASURING + SAVING
    assert 60 * asked - a_step - 4 * MEASURING <= spent <= 60 * asked


@pytest.mark.usefixtures("machine")
def test_what_a_person_chose_stays_and_the_rest_is_the_recipe(registry: Registry) -> None:
    chosen = {"backbone": "vit-tiny", "optimizer": "adamw", "batch_size": 32, "view_sizes": "24", "knn_every": 3}
    options = settled(registry, minutes=5.0, **chosen)
    assert {name: getattr(options, name) for name in chosen} == chosen
    recipe = recipe_of(FILES["simclr"])
    assert (options.momentum, options.temperature) == (RECIPE["momentum"], recipe["temperature"]) == (0.95, 0.1)
    stem = settled(registry, minutes=5.0, stem="conv3-s2")
    assert (stem.backbone, stem.stem) == ("resnet18", "conv3-s2")
    context, begun = prepare(registry, Pretrain(dataset="shapes", minutes=5.0, init="weights.pt"))
    assert minutes.settle_minutes(begun, begun, context).backbone == "resnet18"  # the weights are of it
    assert options.origins["temperature"] == options.origins["epochs"] == "--minutes 5"
    free = settled(registry, minutes=5.0)
    assert (free.optimizer, free.batch_size) == ("muon", 240)  # of 256 images at a time there are not enough


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("seen", "net", "sides"),
    [
        (50_000, "resnet9", "16"),
        (200_000, "resnet9", "16:0.375,24:0.5,32:0.125"),
        (500_000, "resnet9-wide", "16:0.375,24:0.5,32:0.125"),
        (2_000_000, "resnet9-large", "16:0.375,24:0.5,32:0.125"),
    ],
)
def test_the_net_and_the_sides_of_the_views_grow_with_the_images_that_fit(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, seen: int, net: str, sides: str
) -> None:
    in_a_minute = 60 * 1.5 * 240 / seen  # seconds of a step of all 240 images at full size
    monkeypatch.setattr(minutes, "rough_seconds", lambda training: in_a_minute * training.steps)
    options = settled(registry, minutes=1.0)
    assert (options.backbone, options.stem, options.view_sizes) == (net, "own", sides)


@pytest.mark.parametrize(
    ("backbone", "stem", "size", "sides"),
    [
        ("resnet18", "conv7-pool", 224, "112:0.375,168:0.5,224:0.125"),
        ("resnet18", "conv3", 28, "16:0.375,24:0.5,28:0.125"),
        ("timm:test_vit", "size-160", 160, "160"),  # its positions are for this size alone
        ("resnet18", "conv3", 16, "16"),
    ],
)
def test_the_sides_are_those_that_the_encoder_takes(backbone: str, stem: str, size: int, sides: str) -> None:
    assert minutes.sides_of_views(Pretrain(backbone=backbone, stem=stem), size, seen=1e9) == sides


@pytest.mark.usefixtures("machine")
def test_what_was_settled_is_recorded_as_plain_options_that_make_the_same_run_without_minutes(
    registry: Registry, done: Callable[[str], Run]
) -> None:
    run = done("pretrain --dataset shapes --minutes 0.1")
    assert run.choices == {"minutes": 0.1, "given": ["dataset"]}
    assert "minutes" not in run.options
    assert run.epochs == run.options["max_steps"] or run.options["max_steps"] is None
    plain = {name: run.options[name] for name in settled_of(FILES[run.options["method"]])}
    assert planned(registry, **plain).pair == run.pair


@pytest.mark.usefixtures("machine", "no_pictures")
def test_a_study_of_own_pictures_settles_its_minutes_once_for_all_seeds_and_goes_on_with_them(
    registry: Registry, ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(presets.BY_MINUTES, "probe", [{"protocol": "knn"}])
    random = torch.Generator().manual_seed(0)
    for place in (tmp_path / "photos" / name for name in "abc"):
        place.mkdir(parents=True)
        for number in range(20):
            pixels = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=random)
            Image.fromarray(pixels.numpy()).save(place / f"{number}.png")
    line = "study --dataset folder:photos --minutes 0.1 --set finetune.max_steps=1"
    first = ssl(line)
    assert first.code == 0, first.err
    monkeypatch.setattr(minutes, "settle_minutes", None)  # nothing is timed again
    second = ssl(f"{line} --seeds 2")
    assert second.code == 0, second.err
    assert second.err.count(": finished already") == 5
    runs = [registry.load(run) for run in registry.runs()]
    assert {run.study for run in runs} == {"folder-photos"}
    one, other = (run for run in runs if run.experiment == "pretrain")
    assert one.choices == other.choices == {"minutes": 0.1, "given": ["dataset", "seed"]}
    assert one.setup == other.setup
    assert {run.protocol for run in runs} == {None, "knn", "finetune"}


@pytest.mark.usefixtures("machine", "no_pictures")
def test_a_preset_keeps_its_net_and_gives_its_epochs_and_views_to_the_minutes(ssl: Cli, registry: Registry) -> None:
    of_preset = {"dataset": "shapes", "backbone": "resnet9-small", "batch_size": 32, "temperature": 0.3}
    Path("mine.yaml").write_text(yaml.safe_dump({"pretrain": of_preset | {"epochs": 8, "keep-every": 1, "view_sizes": "32"}}))
    result = ssl("study --preset mine.yaml --minutes 0.1")
    assert result.code == 0, result.err
    (run,) = (registry.load(run) for run in registry.runs() if run.experiment == "pretrain")
    assert {name: run.options[name] for name in of_preset} == of_preset
    assert (run.options["keep_every"], run.options["view_sizes"]) == (0, "16")  # probes of kept epochs would take minutes
    assert run.options["epochs"] != 8
    refused = ssl("study --preset mine.yaml --minutes 0.2 --max-steps 3")
    assert refused.code == 2
    assert "--minutes with --max-steps" in refused.err


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("given", "option"), [({"epochs": 3}, "--epochs"), ({"max_steps": 100}, "--max-steps")], ids=str)
def test_minutes_beside_epochs_or_steps_are_refused(registry: Registry, given: dict[str, int], option: str) -> None:
    with pytest.raises(UsageError, match=f"--minutes with {option}: accepted is one of them"):
        settled(registry, minutes=1.0, **given)


@pytest.mark.usefixtures("machine")
def test_too_few_minutes_are_refused_with_how_many_are_enough(registry: Registry) -> None:
    with pytest.raises(UsageError, match=re.escape("--minutes 0.01: ten steps and the measurements take 0.0")) as refused:
        settled(registry, minutes=0.01)
    least = float(re.findall("take ([0-9.]+) minutes", str(refused.value))[0])
    assert settled(registry, minutes=1.05 * least).epochs >= 1


def make_photos(side: int) -> None:
    for name in ("a", "b"):
        Path(f"photos/{name}").mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (side, side), (40 * number, 99, 20)).save(f"photos/{name}/{number}.png")


@pytest.mark.parametrize(("side", "epoch_steps", "told"), [(96, 1000, True), (96, 5, False), (32, 1000, False)])
def test_minutes_for_less_than_one_pass_over_large_pictures_name_a_smaller_side(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, side: int, epoch_steps: int, told: bool
) -> None:
    make_photos(side)
    cost = Cost({"steps": 20.0, "measuring": 0.0, "checkpoints": 0.0}, None, 20, epoch_steps, 4)
    monkeypatch.setattr(minutes, "rough_seconds", lambda _: 600.0)
    monkeypatch.setattr(Costs, "of", lambda *_: cost)
    result = ssl("pretrain --dataset folder:photos --backbone resnet9-small --minutes 1 --dry-run")
    assert result.code == 0, result.err
    assert ("only 60 steps of 10 images fit here, less than one pass over the 10 pictures" in result.err) == told, result.err
    assert ("type the command again with --image-size 64" in result.err) == told


@pytest.mark.parametrize(("side", "advice"), [(48, "with --image-size 32"), (96, "with --image-size 64"), (32, "")])
def test_too_few_minutes_for_large_pictures_of_a_folder_name_a_smaller_side(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, side: int, advice: str
) -> None:
    make_photos(side)
    slow = Cost({"steps": 600.0, "measuring": 0.0, "checkpoints": 0.0}, None, 1, 1, 4)
    monkeypatch.setattr(minutes, "rough_seconds", lambda _: 600.0)
    monkeypatch.setattr(Costs, "of", lambda *_: slow)
    result = ssl("pretrain --dataset folder:photos --backbone resnet9-small --minutes 1")
    assert (result.code, "ten steps and the measurements take 100 minutes" in result.err) == (2, True), result.err
    assert advice in result.err
    assert ("--image-size" in result.err) == bool(advice)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("seconds", "told"), [(7300.0, 1), (7100.0, 0)])
def test_a_training_of_hours_on_a_cpu_is_told_before_its_first_step(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, seconds: float, told: int
) -> None:
    monkeypatch.setattr(minutes, "NEVER_LONG", 0)
    monkeypatch.setattr(minutes, "rough_seconds", lambda _: seconds)
    Path("mine.yaml").write_text("pretrain: {dataset: shapes, backbone: resnet9-small, batch_size: 32, epochs: 1}")
    for line in (
        "pretrain --backbone resnet9-small --batch-size 32 --dataset shapes --epochs 2 --max-steps 1 --name long",
        "study --preset mine.yaml --max-steps 1",
    ):
        monkeypatch.setattr(sys, "argv", ["ssl", *line.split()])
        result = ssl(line)
        assert result.code == 0
        assert result.err.count("this will take about 2 h 01 min on this CPU") == told
        kept = re.sub(" --(epochs|max-steps|name) [a-z0-9]+", "", line)
        assert result.err.count(f"press Ctrl-C and type: ssl {kept} --minutes 15\n") == told
        if told:
            assert result.err.index("this will take") < result.err.index("wrote")


def test_a_run_of_few_images_is_not_timed(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutes, "rough_seconds", None)
    assert ssl(f"pretrain {TINY}").code == 0


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("method", FILES)
def test_every_method_settles_to_the_recipe_its_own_options_and_an_encoder_that_it_takes(
    registry: Registry, method: str
) -> None:
    options, usual = settled(registry, method=method, minutes=1.0), settled(registry, minutes=1.0)
    file = FILES[method]
    assert {name: getattr(options, name) for name in file.in_minutes} == dict(file.in_minutes)
    recipe = {name: getattr(options, name) for name in RECIPE if name not in file.in_minutes}
    assert recipe == {name: getattr(usual, name) for name in recipe}
    assert options.backbone == (file.backbones[0] if file.backbones else usual.backbone)
    if not file.backbones:
        assert options.view_sizes == usual.view_sizes
