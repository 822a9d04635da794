"""Each method's teacher, queue and groups of parameters against a step written out by hand."""

import math
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslcli.methods.byol import BYOL
from sslcli.methods.method import Batch
from sslcli.methods.moco_v3 import MoCoV3, Options
from sslcli.methods.simsiam import SimSiam
from sslcli.models.encoder import build_encoder
from sslcli.training.optim import build_optimizer
from tests.small_methods import small_batch, small_method


def half_cosine(momentum: float, progress: float) -> float:
    """BYOL's tau at step k = progress K."""
    return 1 - (1 - momentum) * (math.cos(math.pi * progress) + 1) / 2


MOMENTUM = {
    "moco-v2": lambda momentum, _: momentum,
    "moco-v3": half_cosine,
    "byol": half_cosine,
}
"""Method to the momentum of its teacher, by the one that is chosen and the part of training that is done."""
FILLED_BY = {
    "moco-v2": lambda method, batch: method.teacher(batch.views[1]),
    "nnclr": lambda method, batch: method.projector(method.encoder(batch.views[0])),
}
"""Method to what a batch puts into its queue, not yet of unit length."""


def student(method: Any) -> list[Tensor]:
    return [p.detach().clone() for part in (method.encoder, method.projector) for p in part.parameters()]


@pytest.mark.parametrize("progress", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("name", MOMENTUM)
def test_a_teacher_follows_encoder_and_projector_with_the_papers_momentum(name: str, progress: float) -> None:
    method: Any = small_method(name, teacher_momentum=0.9)
    began = [p.clone() for p in method.teacher.parameters()]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(began, student(method), strict=True))
    optimizer = build_optimizer(method, "sgd", lr=0.1, weight_decay=0.0, momentum=0.0)
    method(small_batch(method), 0)[0].backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    optimizer.step()
    assert all(torch.equal(p, old) for p, old in zip(method.teacher.parameters(), began, strict=True))
    method.after_step(progress)
    kept = MOMENTUM[name](0.9, progress)
    for now, old, new in zip(method.teacher.parameters(), began, student(method), strict=True):
        assert torch.allclose(now, kept * old + (1 - kept) * new, rtol=0, atol=1e-15)
    assert method.evaluated is method.encoder


@pytest.mark.parametrize("name", FILLED_BY)
def test_a_queue_takes_a_batch_in_after_it_was_compared_and_loses_the_oldest(name: str) -> None:
    method: Any = small_method(name, queue_size=20)  # eight images a batch: the third one begins anew
    literal = method.queue.rows.clone()
    for step in range(3):
        batch = small_batch(method, step)
        with torch.no_grad():
            rows = FILLED_BY[name](deepcopy(method), batch)
        method(batch, step)
        for i, row in enumerate(rows):
            literal[(8 * step + i) % 20] = row / row.norm()
        assert torch.allclose(method.queue.rows, literal, rtol=0, atol=1e-12)
    assert not method.queue.rows.requires_grad


def test_simsiams_predictor_keeps_its_rate_and_all_else_follows_the_runs() -> None:
    method = small_method("simsiam")
    assert isinstance(method, SimSiam)
    groups = build_optimizer(method, "sgd", lr=0.5, weight_decay=0.1, momentum=0.9, own=method.parameter_groups()).param_groups
    constant = {id(p) for group in groups if group.get("constant_lr") == 0.5 for p in group["params"]}
    assert constant == {id(p) for p in method.predictor.parameters()}
    assert {id(p) for group in groups for p in group["params"]} == {id(p) for p in method.parameters()}


@pytest.mark.parametrize("stem", ["patch4", "conv3-s2"])
def test_moco_v3_trains_all_of_an_encoder_but_a_transformers_patches(stem: str) -> None:
    backbone = "vit-tiny" if stem == "patch4" else "resnet18"
    method = MoCoV3(build_encoder(backbone, stem=stem, seed=0), Options(projector_hidden=4, predictor_hidden=4))
    fixed = {name for name, p in method.encoder.named_parameters() if not p.requires_grad}
    assert fixed == ({"backbone.conv_proj.weight", "backbone.conv_proj.bias"} if stem == "patch4" else set())


def four_views(method: nn.Module) -> Batch:
    first, second = (small_batch(method, step) for step in (0, 1))  # type: ignore[arg-type]
    return Batch([*first.views, *second.views], first.rows)


def test_of_four_views_byol_predicts_every_other_and_simsiam_their_mean() -> None:
    cosine = nn.CosineSimilarity()
    byol: Any = small_method("byol")
    assert isinstance(byol, BYOL)
    batch = four_views(byol)
    p = [byol.predictor(byol.project(byol.encoder(view))) for view in batch.views]
    targets = [byol.teacher(view) for view in batch.views]
    pairs = [2 - 2 * cosine(p[i], targets[j]).mean() for i in range(4) for j in range(4) if i != j]
    assert torch.allclose(byol(batch, 0)[0], 2 * torch.stack(pairs).mean(), atol=1e-12)

    simsiam: Any = small_method("simsiam")
    z = [simsiam.project(simsiam.encoder(view)) for view in batch.views]
    losses = [-cosine(simsiam.predictor(z[i]), sum(z[j] for j in range(4) if j != i) / 3).mean() for i in range(4)]
    assert torch.allclose(simsiam(batch, 0)[0], torch.stack(losses).mean(), atol=1e-12)
