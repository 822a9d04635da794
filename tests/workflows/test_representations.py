"""A study's evaluations compute an encoder's representations once, and have the numbers of commands typed by themselves."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from sslcli.data.image_data import ImageData
from sslcli.evaluation.test_logits import FILE, read_kept
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.runs.registry import Registry
from sslcli.training.context import Context
from sslcli.training.device import autocast
from sslcli.workflows import representations
from sslcli.workflows.representations import COMPUTED, Computed, computer_of
from tests.conftest import TINY, Cli
from tests.evaluation.test_choices import numbered

LINES = (
    "--epochs 1", "--protocol knn", "--protocol logistic", "--epochs 1 --label-fraction 0.5",
    "--protocol linear-augmented --epochs 1 --batch-size 64",
)  # fmt: skip


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images of each part that an encoder was given."""
    counts: list[int] = []
    outputs = representations.outputs

    def watched(net: Encoder, images: Any, **how: Any) -> torch.Tensor:
        counts.append(len(images))
        return outputs(net, images, **how)

    monkeypatch.setattr(representations, "outputs", watched)
    return counts


def test_evaluations_of_one_encoder_compute_its_representations_once_and_have_the_logits_of_each_alone(
    ssl: Cli, registry: Registry, computed: list[int]
) -> None:
    assert ssl(f"pretrain {TINY}").code == 0
    for line in LINES:
        assert ssl(f"probe {line}").code == 0
    assert computed == [220, 20, 80, 110, 10]  # all labels: training, validation, test; half of them: training, validation
    for line in LINES:
        COMPUTED.clear()
        assert ssl(f"probe {line}").code == 0
    runs = [registry.path(f"{run.folder}/{FILE}") for run in registry.runs() if run.experiment != "pretrain"]
    together, alone = runs[: len(LINES)], runs[len(LINES) :]
    for first, second in zip(together, alone, strict=True):
        assert torch.equal(*(torch.as_tensor(read_kept(path).logits) for path in (first, second)))


ENCODER = build_encoder("resnet9-small", stem="own", seed=1)
DATA = numbered()
CPU = torch.device("cpu")


def computer(
    encoder: Encoder = ENCODER, *, data: ImageData = DATA, precision: str = "fp32", backbone: str = "a", stem: str = "own"
) -> object:
    return computer_of(encoder, Context(data, CPU, autocast(CPU, precision), "", precision), backbone=backbone, stem=stem)


@pytest.mark.parametrize(
    "other",
    [
        lambda: computer(build_encoder("resnet9-small", stem="own", seed=2)),
        lambda: computer(Encoder(ENCODER.backbone, ENCODER.dim, side=16)),
        lambda: computer(backbone="b"),
        lambda: computer(stem="conv3-s2"),
        lambda: computer(precision="bf16"),
        lambda: computer(data=replace(DATA, moments=(torch.zeros(3), torch.ones(3)))),
        lambda: computer(data=replace(DATA, size=4)),
        lambda: computer(data=replace(DATA, fit="pad")),
        lambda: computer(data=replace(DATA, train_images=DATA.train_images.flip(0))),
        lambda: computer(data=replace(DATA, test_images=DATA.test_images.flip(0))),
        lambda: computer(data=DATA.first(7)),
    ],
    ids=["weights", "side", "network", "strides", "precision", "normalisation", "size", "fit", "training", "test", "fewer"],
)
def test_what_another_encoder_or_other_images_would_give_is_computed_anew(other: Callable[[], object]) -> None:
    assert computer() == computer()
    assert other() != computer()


def test_what_is_known_is_of_these_rows_and_not_of_as_many_others() -> None:
    known = Computed(("an encoder",), torch.tensor([0, 1]), torch.zeros(2, 3))
    assert known.is_of(("an encoder",), torch.tensor([0, 1]))
    assert not known.is_of(("an encoder",), torch.tensor([1, 2]))
    assert not known.is_of(("an encoder",), None)
    assert not known.is_of(("another",), torch.tensor([0, 1]))


def test_only_so_much_is_kept(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        representations, "KEPT", 4 * ENCODER.dim * 90
    )  # h of the 80 test images, not of the 20 for validation too
    assert ssl("probe --init scratch --dataset shapes --backbone resnet9-small --epochs 1").code == 0
    assert [len(one.h) for one in COMPUTED] == [80]
    assert ssl(f"pretrain {TINY} --max-steps 1").code == 0
    assert COMPUTED == []
