"""Evaluation that cannot lie: each rule of it, with real commands on a small data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor, nn

from sslcli.data.batches import Batches
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.data.sets import patchwork, shapes
from sslcli.data.split import split
from sslcli.evaluation.features import outputs
from sslcli.evaluation.knn import knn_accuracy
from sslcli.evaluation.linear import RATES, search_rate, standardisation, zero_head
from sslcli.evaluation.test_logits import FILE, read_kept
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.options.pretrain import Pretrain
from sslcli.plans import online_metrics, pretraining
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.device import autocast
from sslcli.workflows import evaluating
from tests.conftest import TINY

Done = Callable[[str], Run]
PROBE = "--epochs 3 --batch-size 32 --precision fp32"
FINETUNE = "--epochs 4 --batch-size 16 --optimizer adamw --precision fp32"
plain = autocast(torch.device("cpu"), "fp32")


def artifact(registry: Registry, run: Run) -> tuple[Classifier, dict[str, Any]]:
    state = load_checkpoint(registry, run, "best")
    classifier = Classifier(build_encoder(state["backbone"], stem=state["stem"], seed=99), len(state["classes"]))
    classifier.load_state_dict(state["model"])
    return classifier, state


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return int((logits.argmax(1) == labels).sum()) / len(labels)


def change_data(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], None]) -> None:
    """Let every command see the shapes with some fields changed."""
    original = shapes.load

    def load(data_dir: Path, *, download: bool) -> ImageData:
        fields = dict(vars(original(data_dir, download=download)))
        change(fields)
        return ImageData(**fields)

    monkeypatch.setattr(shapes, "load", load)


def test_a_frozen_encoder_is_its_parents_to_the_bit(pretrained: Run, done: Done, registry: Registry) -> None:
    run = done(f"probe {PROBE}")
    classifier, _ = artifact(registry, run)
    assert run.parent == pretrained.id
    encoder = pretraining.load_pretrained(registry, pretrained)
    assert weights_hash(classifier.encoder) == weights_hash(encoder) == run.data["encoder_sha256"]
    weights = load_checkpoint(registry, pretrained, "last")["model"]
    assert all(torch.equal(weights[f"encoder.{name}"], value) for name, value in encoder.state_dict().items())


def test_the_scratch_encoder_is_the_one_that_pretraining_of_that_seed_began_with(done: Done, registry: Registry) -> None:
    parent = done(f"pretrain {TINY} --seed 5")
    run = done(f"probe --init scratch {PROBE}")
    assert (run.parent, run.seed) == (None, 5)
    classifier, _ = artifact(registry, run)
    began = pretraining.build_method(Pretrain(backbone="resnet9-small", stem="own", seed=5)).encoder
    assert weights_hash(classifier.encoder) == weights_hash(began)
    assert weights_hash(began) != weights_hash(build_encoder("resnet9-small", stem="own", seed=6))
    assert parent.options["seed"] == 5


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize("command", [f"probe {PROBE}", f"finetune {FINETUNE}"])
@pytest.mark.parametrize("init", ["pretrained", "scratch"])
def test_an_artifact_alone_gives_the_accuracy_that_was_reported(
    done: Done, registry: Registry, command: str, init: str
) -> None:
    run = done(f"{command} --init {init}")
    classifier, state = artifact(registry, run)
    data = load_data("shapes", Path())
    pixels = (data.test_images.float() / 255 - state["mean"].view(3, 1, 1)) / state["std"].view(3, 1, 1)
    with torch.no_grad():
        logits = classifier.eval()(pixels)
    assert accuracy(logits, data.test_labels) == pytest.approx(run.metrics["test_acc"], abs=1e-9)
    kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
    np.testing.assert_allclose(logits.numpy(), kept.logits, rtol=1e-3, atol=1e-3)
    assert list(data.classes) == state["classes"]


@pytest.mark.usefixtures("pretrained")
@pytest.mark.parametrize(
    "command",
    [
        f"probe {PROBE}",
        f"probe --protocol linear-augmented {PROBE}",
        "probe --protocol logistic --precision fp32",
        f"finetune {FINETUNE}",
    ],
)
def test_shuffled_test_labels_change_no_choice_and_no_weight(
    done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    honest = done(command)

    def shuffle(fields: dict[str, Any]) -> None:
        fields["test_labels"] = fields["test_labels"].roll(7)

    change_data(monkeypatch, shuffle)
    blind = done(command)
    assert blind.id != honest.id
    kept, kept_blind = (read_kept(registry.path(f"{run.folder}/{FILE}")) for run in (honest, blind))
    assert kept_blind.labels.tolist() == np.roll(kept.labels, 7).tolist() != kept.labels.tolist()  # it saw other test labels
    assert kept_blind.logits.tolist() == kept.logits.tolist()
    for run, labels in ((honest, kept.labels), (blind, kept_blind.labels)):
        assert run.metrics["test_acc"] == (kept.logits.argmax(1) == labels).mean()
    for name in {"epoch", "val_acc", "rate", "c"} & honest.metrics.keys():
        assert blind.metrics[name] == honest.metrics[name], name
    first, second = (artifact(registry, run)[0] for run in (honest, blind))
    assert weights_hash(first) == weights_hash(second)


def test_pretraining_sees_neither_labels_nor_test_images(
    pretrained: Run, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:

    def spoil(fields: dict[str, Any]) -> None:
        fields["test_images"] = 255 - fields["test_images"]
        fields["train_labels"] = fields["train_labels"].roll(3)

    change_data(monkeypatch, spoil)
    second = done(f"pretrain {TINY}")
    assert pretrained.id != second.id
    weights = [load_checkpoint(registry, run, "last")["model"] for run in (pretrained, second)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_a_choice_among_epochs_follows_validation_even_where_the_test_set_disagrees() -> None:
    from sslcli.training.loop import Progress

    progress, net = Progress(), nn.Linear(1, 1)
    for epoch, (val, test) in enumerate([(0.5, 0.9), (0.7, 0.6), (0.6, 0.95)], 1):
        nn.init.constant_(net.weight, epoch)
        progress.keep_best(net, {"epoch": epoch, "val/acc": val, "val/loss": 1.0, "test/acc": test})
    assert progress.best["metrics"]["epoch"] == 2
    assert progress.best["weights"]["weight"].item() == 2


class Scaled(nn.Module):
    """A backbone whose representation is another's, times 100 plus 5."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        h: Tensor = self.backbone(images) * 100 + 5
        return h


def test_h_times_100_plus_5_changes_no_accuracy(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_run = done(f"probe --init scratch --dataset shapes --backbone resnet9-small {PROBE}")
    original = evaluating.starting_encoder

    def scaled(*arguments: Any) -> Encoder:
        encoder = original(*arguments)
        return Encoder(Scaled(encoder.backbone), encoder.dim)

    monkeypatch.setattr(evaluating, "starting_encoder", scaled)
    scaled_run = done(f"probe --init scratch --dataset shapes --backbone resnet9-small {PROBE}")
    assert scaled_run.id != plain_run.id
    for name in ("val_acc", "test_acc", "best_test_acc", "rate", "epoch"):
        assert scaled_run.metrics[name] == plain_run.metrics[name], name


def test_the_probe_does_as_well_as_scikit_learns_logistic_regression(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patchwork, "TRAIN", 3000)
    monkeypatch.setattr(patchwork, "TEST", 1000)
    run = done("probe --init scratch --dataset patchwork --backbone resnet9-small --precision fp32")
    data = load_data("patchwork", Path())
    parts = split(data.train_labels, seed=1)
    encoder = build_encoder("resnet9-small", stem="own", seed=1)
    h, h_test = (
        outputs(encoder, images, normalise=data.normalise, autocast=plain)
        for images in (data.train_images[parts.train], data.test_images)
    )
    mean, std = standardisation(h)
    best = 0.0
    for strength in (0.001, 0.01, 0.1):
        model = LogisticRegression(C=strength, max_iter=300).fit((h - mean) / std, data.train_labels[parts.train])
        best = max(best, model.score((h_test - mean) / std, data.test_labels))
    assert run.metrics["test_acc"] == pytest.approx(best, abs=0.03)
    assert best > 0.2


def test_the_rate_is_searched_on_validation_images() -> None:
    torch.manual_seed(0)
    h = torch.randn(400, 20)
    labels = (h[:, 0] > 0).long() + 2 * (h[:, 1] > 0).long()
    batches = Batches(300, 32, seed=0, drop_last=False)
    found = search_rate(h[:300], labels[:300], h[300:], labels[300:], classes=4, epochs=5, batches=batches)
    assert tuple(found) == RATES
    assert found[0.3] > 0.85 > found[0.003]


def by_epoch(h: Tensor, labels: Tensor, val_h: Tensor, val: Tensor, *, rate: float, epochs: int) -> list[float]:
    """Validation accuracies after each epoch of three steps of plain SGD on 96 images of three classes, at one rate."""
    batches, steps = Batches(96, 32, seed=0, drop_last=False), 3 * epochs
    head = zero_head(h.shape[1], 3)
    optimizer = torch.optim.SGD(head.parameters(), lr=rate, momentum=0.9)
    scores = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / steps)).item())
        optimizer.zero_grad()
        rows = batches.at(step)
        nn.functional.cross_entropy(head(h[rows]), labels[rows]).backward()
        optimizer.step()
        scores.append(accuracy(head(val_h), val))
    return scores[2::3]


def test_training_all_rates_at_once_equals_training_one() -> None:
    torch.manual_seed(0)
    h, labels = torch.randn(96, 6), torch.arange(96) % 3
    batches = Batches(96, 32, seed=0, drop_last=False)
    found = search_rate(h, labels, h, labels, classes=3, epochs=2, batches=batches)
    for rate in (0.01, 1.0):
        assert max(by_epoch(h, labels, h, labels, rate=rate, epochs=2)) == pytest.approx(found[rate], abs=1e-6)


def test_a_rate_is_judged_by_its_best_epoch_on_the_validation_images() -> None:
    torch.manual_seed(0)
    h, labels, val_h, val = torch.randn(96, 6), torch.arange(96) % 3, torch.randn(50, 6), torch.arange(50) % 3
    batches = Batches(96, 32, seed=0, drop_last=False)
    found = search_rate(h, labels, val_h, val, classes=3, epochs=4, batches=batches)
    scores = {rate: by_epoch(h, labels, val_h, val, rate=rate, epochs=4) for rate in RATES}
    assert any(max(of_rate) > of_rate[-1] for of_rate in scores.values())  # or the last epoch would do as well
    assert found == {rate: pytest.approx(max(of_rate), abs=1e-6) for rate, of_rate in scores.items()}


def test_the_probe_starts_from_zero() -> None:
    head = zero_head(4, 3)
    assert not any(parameter.any() for parameter in head.parameters())


def test_folding_the_standardisation_changes_no_logit() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Encoder(nn.Flatten(), 12), 5)
    images, mean, std = torch.randn(8, 3, 2, 2), torch.randn(12), torch.rand(12) + 0.5
    wanted = classifier.head((images.flatten(1) - mean) / std)
    classifier.fold_standardisation(mean, std)
    assert torch.allclose(classifier(images), wanted, atol=1e-5)


def test_features_that_never_vary_stay_finite() -> None:
    mean, std = standardisation(torch.tensor([[1000.0, 1.0], [1000.0, 3.0]]))
    assert torch.equal(mean, torch.tensor([1000.0, 2.0]))
    assert std[0] == 1


def test_knn_equals_scikit_learns() -> None:
    torch.manual_seed(0)
    labels = torch.arange(1500) % 5
    points = torch.randn(1500, 8) + nn.functional.one_hot(labels, 8) * 1.5
    ours = knn_accuracy(points[:1000], labels[:1000], points[1000:], labels[1000:], k=10)
    theirs = KNeighborsClassifier(10, metric="cosine").fit(points[:1000], labels[:1000]).score(points[1000:], labels[1000:])
    assert ours == pytest.approx(theirs, abs=0.003)
    assert 0.5 < ours < 0.95


def test_the_knn_bank_leaves_the_validation_images_out(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(bank: Tensor, _: Tensor, queries: Tensor, __: Tensor) -> float:
        seen.append((bank, queries))
        return 0.5

    monkeypatch.setattr(online_metrics, "knn_accuracy", spy)
    done(f"pretrain {TINY}")
    bank, queries = seen[-1]
    assert (len(bank), len(queries)) == (220, 20)
    assert torch.cdist(queries, bank).min() > 0  # an image in both would be its own neighbour


def test_the_encoder_is_measured_in_evaluation_mode_and_moves_no_statistic() -> None:
    data = load_data("shapes", Path())
    encoder = build_encoder("resnet9-small", stem="own", seed=1).train()
    before = weights_hash(encoder)
    whole = outputs(encoder, data.test_images, normalise=data.normalise, autocast=plain)
    part = outputs(encoder, data.test_images[:5], normalise=data.normalise, autocast=plain)
    assert weights_hash(encoder) == before
    assert torch.allclose(whole[:5], part, atol=1e-5)
    assert not whole.requires_grad


def test_weights_that_do_not_fit_are_refused(pretrained: Run, registry: Registry) -> None:
    pretrained.options["backbone"] = "resnet18"
    pretrained.options["stem"] = "conv3"
    registry.save(pretrained)
    with pytest.raises(RuntimeError, match="Missing key"):
        pretraining.load_pretrained(registry, pretrained)
