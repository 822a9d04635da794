"""SwAV and DINO: codes, prototypes, teacher and centre. Their losses are in test_losses.py."""

from typing import get_type_hints

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sslcli.methods.dino import WARMING
from sslcli.methods.method import Method
from sslcli.methods.swav import Options as OfSwAV
from sslcli.methods.swav import sinkhorn
from tests.methods.literal_losses.dino import literal, outputs, teacher_temperature
from tests.methods.literal_losses.swav import literal_sinkhorn
from tests.small_methods import small_batch, small_method

CLUSTERING = ("swav", "dino")


def test_codes_add_up_to_one_an_image_and_are_spread_over_the_prototypes() -> None:
    torch.manual_seed(0)
    scores = F.normalize(torch.randn(64, 8, dtype=torch.float64)) + torch.linspace(0, 0.2, 8)
    codes = sinkhorn(scores, epsilon=0.05)
    assert torch.allclose(codes.sum(1), torch.ones(64, dtype=torch.float64))
    assert codes.sum(0).std() < 0.5 * F.softmax(scores / 0.05, 1).sum(0).std()
    assert torch.allclose(codes, torch.tensor(literal_sinkhorn(scores, 0.05), dtype=torch.float64), atol=1e-12)


def test_codes_are_numbers_where_a_prototype_is_far_from_every_image() -> None:
    scores = torch.ones(4, 3) * torch.tensor([1.0, -1.0, 0.5])
    (least,) = (item.min for item in get_type_hints(OfSwAV, include_extras=True)["epsilon"].__metadata__)
    codes = sinkhorn(scores, epsilon=least)
    assert torch.allclose(codes, torch.full((4, 3), 1 / 3))


def prototypes(method: Method) -> nn.Parameter:
    (found,) = (p for name, p in method.named_parameters() if name.endswith("prototypes") and p.requires_grad)
    return found


def step(method: Method, progress: float) -> None:
    """A step of training as `take_steps` takes it, up to this part of it."""
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    loss, _ = method(small_batch(method), 0)
    loss.backward()
    method.before_step(progress)
    optimizer.step()
    method.after_step(progress)


@pytest.mark.parametrize("name", CLUSTERING)
def test_prototypes_stay_as_they_are_for_the_part_of_training_that_was_chosen(name: str) -> None:
    method = small_method(name, frozen=0.25)
    first = prototypes(method).detach().clone()
    projector = next(p for n, p in method.named_parameters() if "projector" in n)
    of_projector = projector.detach().clone()
    step(method, 0.2)
    assert torch.allclose(prototypes(method), first, rtol=0, atol=1e-6)
    assert not torch.equal(projector, of_projector)
    step(method, 0.25)
    assert (prototypes(method) - first).abs().max() > 1e-3


def test_swavs_prototypes_are_of_unit_length_at_first_and_after_every_step() -> None:
    method = small_method("swav", frozen=0.0)
    for _ in range(2):
        assert torch.allclose(prototypes(method).norm(dim=1), torch.ones(12, dtype=torch.float64), atol=1e-6)
        step(method, 0.5)


def test_dinos_centre_moves_by_a_part_of_the_way_to_the_mean_of_the_teachers_outputs_after_they_are_compared() -> None:
    method = small_method("dino", centre_momentum=0.8)
    method.centre.normal_()
    batch, before = small_batch(method), method.centre.clone()
    rows = [row for view in outputs(method, batch)[1] for row in view]
    compared = literal(method, batch)
    assert torch.allclose(method(batch, 0)[0], compared)
    assert len(rows) == 2 * len(batch.rows)
    for k in range(len(before)):
        wanted = 0.8 * float(before[k]) + 0.2 * sum(float(row[k]) for row in rows) / len(rows)
        assert float(method.centre[k]) == pytest.approx(wanted, abs=1e-12)


def test_dinos_teacher_follows_encoder_and_head_and_more_slowly_at_the_end() -> None:
    method = small_method("dino", teacher_momentum=0.9)
    pairs = [(method.teacher, method.encoder), (method.teacher_head, method.head)]
    for _, student in pairs:
        for p in student.parameters():
            p.data.normal_()
    for progress, kept in ((0.0, 0.9), (0.5, 0.95), (1.0, 1.0)):
        before = [p.clone() for teacher, _ in pairs for p in teacher.parameters()]
        method.after_step(progress)
        students = [p for _, student in pairs for p in student.parameters()]
        teachers = [p for teacher, _ in pairs for p in teacher.parameters()]
        for old, teacher, student in zip(before, teachers, students, strict=True):
            assert torch.allclose(teacher, kept * old + (1 - kept) * student)


@pytest.mark.parametrize(("progress", "temperature"), [(0.0, 0.04), (WARMING / 2, 0.07), (WARMING, 0.1), (0.9, 0.1)])
def test_dinos_teacher_warms_up(progress: float, temperature: float) -> None:
    method = small_method("dino", teacher_temperature=0.1)
    method.after_step(progress)
    assert teacher_temperature(method) == pytest.approx(temperature)
    batch = small_batch(method)
    expected = literal(method, batch)
    assert torch.allclose(method(batch, 0)[0], expected)


def test_of_dino_the_teacher_is_measured_and_no_gradient_trains_it() -> None:
    method = small_method("dino")
    assert method.evaluated is method.teacher
    loss, _ = method(small_batch(method), 0)
    loss.backward()
    assert all(p.grad is not None for net in (method.encoder, method.head) for p in net.parameters())
    assert all(p.grad is None for net in (method.teacher, method.teacher_head) for p in net.parameters())
    assert {"centre", "progress"} <= method.state_dict().keys()


@pytest.mark.parametrize("name", CLUSTERING)
@pytest.mark.parametrize("small_views", [0, 3])
def test_two_large_views_are_asked_for_and_as_many_small_ones_as_were_chosen(name: str, small_views: int) -> None:
    method = small_method(name, small_views=small_views)
    wanted = [(2, 1.0, {}), (small_views, 0.5, {"crop_min": 0.05, "crop_max": 0.4})][: 1 + (small_views > 0)]
    assert [(spec.count, spec.part, dict(spec.augmentation)) for spec in method.views] == wanted
    assert method(small_batch(method), 0)[0].isfinite()
