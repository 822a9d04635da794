"""What an evaluation trains on, chooses by, and reports: each looked at directly, so that no chance tie can hide a fault."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.errors import StateError
from sslcli.evaluation import features, linear, metrics
from sslcli.evaluation.classifiers import load_classifier
from sslcli.evaluation.end_to_end import end_to_end_training
from sslcli.evaluation.features import outputs
from sslcli.evaluation.linear import RATES
from sslcli.evaluation.logistic import STRENGTHS, logistic_regression
from sslcli.evaluation.metrics import score
from sslcli.evaluation.protocols import finetune, knn
from sslcli.evaluation.protocols.protocol import Start
from sslcli.evaluation.represented import Represented
from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.plans.pretraining import load_pretrained
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.device import autocast
from sslcli.training.loop import Progress
from sslcli.training.step import Training
from sslcli.workflows import evaluating
from sslcli.workflows.finishing import count_both_right, figures_of
from sslcli.workflows.representations import represent
from tests.conftest import TINY, Cli

Done = Callable[[str], Run]
SCRATCH = "--init scratch --dataset shapes --backbone resnet9-small --precision fp32"
BY_STEPS = {
    "linear": f"probe {SCRATCH} --epochs 2 --batch-size 64",
    "linear-augmented": f"probe {SCRATCH} --protocol linear-augmented --epochs 1 --batch-size 64",
    "finetune": f"finetune {SCRATCH} --epochs 1 --batch-size 64 --max-steps 1",
}
"""Of each protocol that trains by steps a line that does it."""
by_steps = pytest.mark.parametrize("name", BY_STEPS)


def context_of(data: ImageData) -> Context:
    cpu = torch.device("cpu")
    return Context(data, cpu, autocast(cpu, "fp32"), "", "fp32")


def numbered(count: int = 120, classes: int = 3) -> ImageData:
    """Training image i is all of value i, so that an image tells which one it is; a test image is brighter than any."""
    values = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8).contiguous()
    labels = torch.arange(count) % classes
    return ImageData(
        train_images=values, train_labels=labels, test_images=values[:30] + 200, test_labels=labels[:30],
        classes=tuple("abc"[:classes]),
    )  # fmt: skip


class Brightness(nn.Module):
    """A backbone whose representation is the mean of each channel of the normalised image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.mean((2, 3))


def represented(data: ImageData, **options: Any) -> Represented:
    run = Run(id="x", experiment="linear_eval", status="running")
    return represent(run, start_of(Encoder(Brightness(), 3), data, **options))


def start_of(encoder: Encoder, data: ImageData, **options: float) -> Start:
    return Start(encoder, context_of(data), 1, data.split(seed=1, **options))


def test_h_is_standardised_by_the_images_that_train_alone() -> None:
    h = represented(numbered())
    assert torch.allclose(h.mean, h.train.mean(0), atol=1e-6)
    assert torch.allclose(h.std, h.train.std(0), atol=1e-6)
    of_train = h.standardised(h.train)
    assert torch.allclose(of_train.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(of_train.std(0), torch.ones(3), atol=1e-5)
    assert not torch.allclose(h.mean, torch.cat([h.train, h.test]).mean(0), atol=0.1)


def test_each_representation_is_of_its_image_and_stands_beside_its_label() -> None:
    data = numbered()
    h, parts, seen = represented(data), data.split(seed=1), data.normalise(data.train_images).mean((2, 3))
    assert torch.equal(h.rows, parts.train)
    for found, labels, rows in ((h.train, h.train_labels, parts.train), (h.val, h.val_labels, parts.val)):
        assert torch.allclose(found, seen[rows], atol=1e-5)
        assert torch.equal(labels, data.train_labels[rows])
    assert torch.allclose(h.test, data.normalise(data.test_images).mean((2, 3)), atol=1e-5)
    assert torch.equal(h.test_labels, data.test_labels)


def test_outputs_keep_the_order_of_the_images_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "BATCH", 7)
    data = numbered()
    found = outputs(Brightness(), data.train_images, normalise=data.normalise, autocast=context_of(data).autocast)
    assert torch.allclose(found, data.normalise(data.train_images).mean((2, 3)), atol=1e-6)


def test_in_knn_training_and_validation_images_answer_and_test_images_never() -> None:
    h = represented(numbered())
    h = replace(h, train_labels=h.train_labels * 0, val_labels=h.val_labels * 0 + 1, test_labels=h.test_labels * 0 + 2)
    votes = knn.logits(h, knn.Options(k=len(h.train) + len(h.val))).exp()
    shares = torch.tensor([len(h.train), len(h.val), 0]) / (len(h.train) + len(h.val))
    assert torch.allclose(votes, shares.expand_as(votes), atol=1e-5)


def test_the_rate_is_searched_on_validation_images_and_the_best_one_trained_with(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Tensor] = []

    def search(*tensors: Tensor, **_: object) -> dict[float, float]:
        given.extend(tensors)
        return dict.fromkeys(RATES, 0.1) | {0.03: 0.4, 0.3: 0.2}

    rates: list[float] = []
    original = linear.linear_training

    def spy(*arguments: Any, rate: float, **options: int) -> Any:
        rates.append(rate)
        return original(*arguments, rate=rate, **options)

    monkeypatch.setattr(linear, "search_rate", search)
    monkeypatch.setattr(linear, "linear_training", spy)
    run = done(BY_STEPS["linear"])
    data = load_data("shapes", Path())
    parts = data.split(seed=1)
    assert torch.equal(given[1], data.train_labels[parts.train])
    assert torch.equal(given[3], data.train_labels[parts.val])
    assert (len(given[0]), len(given[2])) == (len(parts.train), len(parts.val))
    assert (run.metrics["rate"], rates) == (0.03, [0.03])


@by_steps
def test_what_epochs_and_rates_are_chosen_by_is_measured_on_the_validation_images(
    done: Done, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    judged: dict[str, list[Tensor]] = {"val": [], "test": []}

    def spy(logits: Tensor, labels: Tensor, *, prefix: str) -> dict[str, float]:
        judged[prefix].append(labels)
        return score(logits, labels, prefix=prefix)

    monkeypatch.setattr(metrics, "score", spy)
    done(BY_STEPS[name])
    data = load_data("shapes", Path())
    val = data.train_labels[data.split(seed=1).val]
    assert judged["val"]
    assert judged["test"]
    assert all(torch.equal(labels, val) for labels in judged["val"])
    assert all(torch.equal(labels, data.test_labels) for labels in judged["test"])


def marked(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights with a head whose logits are 0, 1, 2 and on for every image; of several rates the one with place 2 has it."""
    made = {key: value.clone() for key, value in weights.items()}
    prefix = "head." if "head.weight" in made else ""
    made[f"{prefix}weight"].zero_()
    bias = made[f"{prefix}bias"].zero_()
    (bias if bias.ndim == 1 else bias[2, 0]).copy_(torch.arange(10.0))
    return made


@by_steps
def test_what_is_reported_and_kept_is_of_the_epoch_that_validation_chose(
    done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    train = evaluating.train

    def chosen_is_marked(*arguments: Any, **more: Any) -> Progress:
        progress: Progress = train(*arguments, **more)
        first = progress.history[0] | {"val/acc": 0.625, "rate": RATES[2]}
        progress.best = {"metrics": first, "weights": marked(progress.best["weights"])}
        return progress

    monkeypatch.setattr(evaluating, "train", chosen_is_marked)
    run = done(BY_STEPS[name])
    kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
    assert np.allclose(kept.logits, np.tile(np.arange(10.0), (80, 1)), atol=1e-5)
    assert run.metrics["test_acc"] == (kept.labels == 9).mean()
    assert (run.metrics["epoch"], run.metrics["val_acc"]) == (1, 0.625)
    classifier, artifact = load_classifier(registry, run)
    data = load_data("shapes", Path())
    with torch.no_grad():
        assert torch.allclose(classifier.eval()(data.normalise(data.test_images)), torch.tensor(kept.logits), atol=1e-5)
    assert artifact["metrics"]["test_acc"] == run.metrics["test_acc"]


def test_fine_tuning_begins_with_its_parents_encoder_and_scratch_with_a_random_one(
    ssl: Cli, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = done(f"pretrain {TINY} --max-steps 1")
    began: list[str] = []

    def spy(_: Registry, __: Run, training: Training, **___: object) -> Progress:
        began.append(weights_hash(training.module.encoder))  # type: ignore[arg-type]
        raise StateError("seen enough")

    monkeypatch.setattr(evaluating, "train", spy)
    for init in ("pretrained", "scratch"):
        assert "seen enough" in ssl(f"finetune --epochs 1 --init {init}").err
    pretrained, scratch = load_pretrained(registry, parent), build_encoder("resnet9-small", stem="own", seed=1)
    assert began == [weights_hash(pretrained), weights_hash(scratch)]
    assert began[0] != began[1]


def test_fine_tuning_trains_every_weight_on_the_training_images_alone() -> None:
    data = numbered()
    options = finetune.Options(batch_size=16, epochs=2, lr=0.1, weight_decay=0.0, warmup_epochs=0.0, optimizer="sgd")
    encoder = Encoder(Brightness(), 3)
    model, training = end_to_end_training(start_of(encoder, data), options)
    parts = data.split(seed=1)
    for epoch in range(2):
        batches = [training.batch_at(epoch * training.epoch_steps + step) for step in range(training.epoch_steps)]
        seen = torch.cat([images[:, 0, 0, 0] for images, _ in batches]).long()
        assert torch.equal(seen.sort().values, parts.train)
        assert torch.equal(torch.cat([labels for _, labels in batches]), data.train_labels[seen])
    trained = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in model.parameters()}
    assert model.encoder is encoder


def test_augmented_linear_evaluation_standardises_as_the_plain_one_does() -> None:
    data = numbered()
    h, encoder = represented(data), Encoder(Brightness(), 3)
    heads, training = linear.augmented_training(encoder, h, context_of(data), batch_size=16, epochs=1, seed=1)
    torch.manual_seed(0)
    nn.init.normal_(heads.weight)
    images, labels = training.batch_at(0)
    view, standard = data.normalise(images), (data.normalise(images).mean((2, 3)) - h.mean) / h.std
    wanted = sum(
        rate * nn.functional.cross_entropy(standard @ heads.weight[place].T, labels) for place, rate in enumerate(RATES)
    )
    assert torch.allclose(training.loss_of([view], (images, labels))[0], torch.as_tensor(wanted), rtol=1e-4)


def test_logistic_regression_takes_the_strength_that_does_best_on_the_validation_images() -> None:
    torch.manual_seed(2)
    h, labels = torch.randn(60, 30), torch.arange(60) % 3
    val_h, val = torch.randn(90, 30), torch.arange(90) % 3
    h[:, 0] += labels
    val_h[:, 0] += val

    def accuracy(head: nn.Linear) -> float:
        return float((head(val_h).argmax(1) == val).float().mean())

    each = {}
    for strength in STRENGTHS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sslcli.evaluation.logistic.STRENGTHS", (strength,))
            each[strength] = accuracy(logistic_regression(h, labels, val_h, val, classes=3)[0])
    head, chosen = logistic_regression(h, labels, val_h, val, classes=3)
    assert len({each[STRENGTHS[0]], each[STRENGTHS[-1]], max(each.values())}) > 1  # the choice matters here
    assert chosen == max(each, key=lambda strength: each[strength])
    assert accuracy(head) == pytest.approx(max(each.values()), abs=0.02)


def test_accuracy_counts_what_is_right_and_the_loss_is_the_mean_cross_entropy() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1])
    found = score(logits, labels, prefix="val")
    losses = [np.log(1 + np.exp(-2.0)), np.log(1 + np.exp(-1.0)), np.log(1 + np.exp(3.0))]
    assert found == {"val/acc": pytest.approx(2 / 3), "val/loss": pytest.approx(np.mean(losses), rel=1e-6)}


def test_test_acc_is_of_the_kept_logits_and_best_test_acc_the_best_over_epochs() -> None:
    kept = Kept(np.eye(4, 3, dtype=np.float32), np.array([0, 1, 1, 1]), np.arange(4))  # right are the first two
    history = [{"epoch": epoch, "test/acc": acc} for epoch, acc in ((1, 0.25), (2, 0.75), (3, 0.5))]
    found = figures_of(kept, "linear", history)
    assert (found["test_acc"], found["test_images"], found["best_test_acc"]) == (0.5, 4, 0.75)
    assert "best_test_acc" not in figures_of(kept, "knn", [])


def evaluated(registry: Registry, right: list[int], *, setup: str = "s", study: str | None = None, shift: int = 0) -> Run:
    """A finished run whose kept logits have the images at the places `right` right, of four."""
    run = registry.create("run", experiment="knn", status="finished", setup=setup, study=study)
    labels = np.array([int(place in right) for place in range(4)])
    kept = Kept(np.tile(np.array([0.0, 1.0], dtype=np.float32), (4, 1)), labels, np.arange(4) + shift)
    keep(registry.path(f"{run.folder}/{FILE}"), kept)
    return run


def test_right_by_both_is_counted_image_by_image_for_runs_of_the_setup_and_the_same_images(registry: Registry) -> None:
    mine, other = evaluated(registry, [0, 1]), evaluated(registry, [1, 2, 3])
    evaluated(registry, [1], setup="another")
    evaluated(registry, [1], study="another")
    evaluated(registry, [1], shift=4)
    assert count_both_right(registry, mine, read_kept(registry.path(f"{mine.folder}/{FILE}"))) == {other.id: 1}
