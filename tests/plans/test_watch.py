"""--watch: kNN and online accuracy on another labelled data set while pretraining, which changes no weight."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sslcli.data.batches import Batches
from sslcli.data.image_data import ImageData
from sslcli.data.sets import patchwork
from sslcli.evaluation import online
from sslcli.evaluation.online import online_accuracy
from sslcli.models import BACKBONES, Backbone
from sslcli.options.pretrain import Pretrain
from sslcli.plans import watching
from sslcli.plans.settling import prepare
from sslcli.runs.paths import located, recorded
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import log
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.events import read_scalars
from sslcli.training.recipe import warmup_cosine
from tests.conftest import Cli
from tests.stopping import signal_after

Done = Callable[[str], Run]
LINE = "pretrain --dataset shapes --backbone resnet9 --batch-size 32 --epochs 2 --view-sizes 16 --precision fp32"
WATCHED = ("watch/knn_acc", "watch/online_acc")


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "resnet9", Backbone("tests.survival:narrow"))


def watched(run: Run) -> list[dict[str, float]]:
    return [{name: epoch[name] for name in WATCHED} for epoch in run.history]


def same_weights(registry: Registry, first: Run, second: Run) -> bool:
    one, other = (load_checkpoint(registry, run, "last")["model"] for run in (first, second))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_no_weight_knows_of_the_watched_labels_and_the_figures_are_recorded(ssl: Cli, done: Done, registry: Registry) -> None:
    plain = done(LINE)
    result = ssl(f"{LINE} --watch patchwork")
    assert result.code == 0, result.err
    run = registry.load(registry.find("latest"))
    assert same_weights(registry, plain, run)
    assert [{k: v for k, v in epoch.items() if k.startswith(("train/", "val/"))} for epoch in run.history] == [
        {k: v for k, v in epoch.items() if k.startswith(("train/", "val/"))} for epoch in plain.history
    ]
    assert all(0 <= value <= 1 for epoch in watched(run) for value in epoch.values())
    assert run.metrics["watch_online_acc"] == watched(run)[-1]["watch/online_acc"]
    assert {*WATCHED} <= read_scalars(registry.path(run.folder)).series.keys()
    assert f"watch/online_acc {watched(run)[-1]['watch/online_acc']:.2%}" in result.err
    assert "linear" not in result.out + result.err
    assert (run.options["watch"], plain.options["watch"]) == ("patchwork", None)
    assert (run.pair, run.setup) == (plain.pair, plain.setup)
    verified = ssl("runs verify --numbers")
    assert verified.code == 0, verified.out


def test_a_stopped_run_goes_on_to_the_same_figures(ssl: Cli, done: Done, registry: Registry) -> None:
    whole = done(f"{LINE} --watch patchwork")
    with signal_after(10, signal.SIGTERM) as patch:
        patch.setattr(log, "SAVE_EVERY", float("inf"))
        assert ssl(f"{LINE} --watch patchwork").code == 143
    gone_on = done("resume")
    assert watched(gone_on) == watched(whole)
    assert same_weights(registry, gone_on, whole)


def test_of_the_watched_set_the_test_part_and_the_labels_of_those_that_ask_train_nothing(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Tensor, ...]] = []

    def spy(features: Tensor, labels: Tensor, asked: Tensor, answers: Tensor, **_: int) -> float:
        seen.append((features, labels, asked, answers))
        return 0.5

    monkeypatch.setattr(watching, "online_accuracy", spy)
    first = done(f"{LINE} --epochs 1 --watch patchwork")
    original = patchwork.load
    half = len(original(Path(), download=False).test_labels) // 2

    def without_half_of_the_test(*arguments: object, **named: object) -> ImageData:
        data: ImageData = original(*arguments, **named)  # type: ignore[arg-type]
        return replace(data, test_images=data.test_images[:half], test_labels=data.test_labels[:half])

    monkeypatch.setattr(patchwork, "load", without_half_of_the_test)
    second = done(f"{LINE} --epochs 1 --watch patchwork")
    (features, labels, asked, answers), again = seen
    assert all(torch.equal(one, other) for one, other in zip((features, labels, asked, answers), again, strict=True))
    assert (len(features), len(labels), len(asked), len(answers)) == (220, 220, 20, 20)
    assert watched(first) == watched(second)


def test_online_accuracy_is_that_of_the_classifier_which_is_trained_here_step_by_step() -> None:
    torch.manual_seed(0)
    labels, answers = torch.arange(90) % 3, torch.arange(30) % 3
    centres = 0.8 * torch.randn(3, 5)
    h, asked = 7 + centres[labels] + torch.randn(90, 5), 7 + centres[answers] + torch.randn(30, 5)
    mean, std = h.mean(0), h.std(0)
    x, weight, bias = (h - mean) / std, torch.zeros(3, 5), torch.zeros(3)
    moved = [torch.zeros(3, 5), torch.zeros(3)]
    batches = Batches(90, online.BATCH, seed=4, drop_last=False)
    steps = online.EPOCHS * batches.epoch_steps
    for step in range(steps):
        rows = batches.at(step)
        error = (x[rows] @ weight.mT + bias).softmax(1) - F.one_hot(labels[rows], 3)
        rate = warmup_cosine(step, steps=steps, warmup=0, lr=online.RATE)
        for place, gradient in enumerate((error.mT @ x[rows] / len(rows), error.mean(0))):
            moved[place] = 0.9 * moved[place] + gradient
        weight, bias = weight - rate * moved[0], bias - rate * moved[1]
    right = (((asked - mean) / std) @ weight.mT + bias).argmax(1) == answers
    found = online_accuracy(h, labels, asked, answers, classes=3, seed=4)
    assert found == pytest.approx(float(right.float().mean()))
    assert 0.4 < found < 1


def test_what_a_line_tells_apart_has_an_online_accuracy_of_1_and_h_gets_no_gradient() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 2
    h = (torch.randn(60, 4) + 8 * labels[:, None]).requires_grad_()
    assert online_accuracy(h, labels, h, labels, classes=2, seed=1) == 1
    assert h.grad is None


def test_a_watched_folder_is_recorded_by_its_place_beside_the_project(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "project")
    (tmp_path / "project").mkdir()
    kept = recorded(registry, {"dataset": "shapes", "watch": f"folder:{tmp_path}/birds"})
    assert kept["watch"] == "folder:../birds"
    assert located(registry, kept)["watch"] == f"folder:{tmp_path}/birds"


def draw(folder: Path, *names: str) -> None:
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 40), 20 + place).convert("RGB").save(path)


def test_pictures_of_a_folder_are_watched_at_the_size_of_the_images_that_train(tmp_path: Path, registry: Registry) -> None:
    draw(tmp_path / "birds", *(f"{kind}/{number}.png" for kind in "ab" for number in range(6)))
    context, _ = prepare(registry, Pretrain(dataset="shapes", backbone="resnet9", watch="folder:birds"))
    assert context.watched is not None
    assert (context.watched.image_size, context.watched.classes) == (32, ("a", "b"))


def test_pictures_that_a_librarys_encoder_watches_are_normalised_as_its_authors_did(registry: Registry) -> None:
    options = Pretrain(dataset="shapes", backbone="torchvision:resnet18", stem="input-32", watch="patchwork")
    context, _ = prepare(registry, options)
    assert context.watched is not None
    for data in (context.data, context.watched):
        assert data.normalisation[0].tolist() == pytest.approx([0.485, 0.456, 0.406])


def two_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    original = patchwork.load

    def load(*arguments: object, **named: object) -> ImageData:
        data: ImageData = original(*arguments, **named)  # type: ignore[arg-type]
        return replace(data, train_images=data.train_images[..., :2, :2], test_images=data.test_images[..., :2, :2])

    monkeypatch.setattr(patchwork, "load", load)


@pytest.mark.parametrize(("watch", "code", "words"), [
    ("birdwatch", 2, "--watch 'birdwatch': accepted: cifar10, "),
    ("folder:flat", 2, "--watch folder:flat has no labels"),
    ("folder:one", 2, "--watch folder:one has no labels: accepted is"),
    ("folder:.", 2, "--watch folder:.: the folder contains the project"),
    ("folder:nowhere", 3, "nowhere"),
    ("cifar100", 3, "CIFAR-100 is not in"),
    ("patchwork", 2, "--watch patchwork: --backbone resnet9 with --stem own does not take images of 2 pixels"),
])  # fmt: skip
def test_what_cannot_be_watched_is_refused_before_the_training(
    ssl: Cli, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: str, code: int, words: str
) -> None:
    draw(tmp_path / "flat", *(f"{number}.png" for number in range(6)))
    draw(tmp_path / "one", *(f"a/{number}.png" for number in range(6)))
    two_pixels(monkeypatch)
    refused = ssl(f"{LINE} --watch {watch}")
    assert (refused.code, words in refused.err) == (code, True), refused.err
    assert registry.runs() == []
