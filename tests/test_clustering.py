"""SwAV and DINO against literal loops over the papers' formulas and lightly's losses; prototypes, teacher and centre."""

import math
from collections.abc import Callable
from typing import get_type_hints

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.methods.dino import COOL, DINO, WARMING
from sslcli.methods.dino import Options as OfDINO
from sslcli.methods.method import Batch, Method
from sslcli.methods.swav import Options as OfSwAV
from sslcli.methods.swav import SwAV, sinkhorn
from sslcli.models.encoder import Encoder

B, PROTOTYPES = 6, 5
SMALL = {"projector_hidden": 8, "projector_dim": 4, "prototypes": PROTOTYPES, "small_views": 2}
OTHERS = {"swav": {"temperature": 0.2, "epsilon": 0.1}, "dino": {"temperature": 0.3, "teacher_temperature": 0.05}}
"""Options of each that are not the defaults."""


def seen(*views: Tensor) -> Batch:
    """Views of the first images of a data set."""
    return Batch(list(views), torch.arange(len(views[0])))


def built(name: str, **options: object) -> Method:
    """A method around an encoder that shrinks images to two by two, in float64."""
    torch.manual_seed(0)
    method, of_method = {"swav": (SwAV, OfSwAV), "dino": (DINO, OfDINO)}[name]
    encoder = Encoder(nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 12)), 12)
    return method(encoder, of_method(**SMALL | OTHERS[name] | options)).double()  # type: ignore[operator, arg-type, no-any-return]


def views_of(method: Method) -> list[Tensor]:
    """Views of some images, as many and as large as a method asks for."""
    sides = [round(8 * spec.part) for spec in method.views for _ in range(spec.count)]
    return [torch.randn(B, 3, side, side, dtype=torch.float64) for side in sides]


def literal_sinkhorn(scores: Tensor, epsilon: float) -> list[list[float]]:
    """Equation 3 of 2006.09882: exp(scores / epsilon) with rows and columns scaled in turn, three times, in numbers."""
    q = [[math.exp(value / epsilon) for value in row] for row in scores.tolist()]
    images, prototypes = len(q), len(q[0])
    for _ in range(3):
        for k in range(prototypes):
            total = sum(q[b][k] for b in range(images))
            for b in range(images):
                q[b][k] /= total * prototypes
        for b in range(images):
            total = sum(q[b])
            for k in range(prototypes):
                q[b][k] /= total * images
    return [[value * images for value in row] for row in q]


def cross_entropy(target: list[float] | Tensor, logits: Tensor) -> Tensor:
    """Minus the sum of target times the logarithm of the softmax, term by term."""
    total = sum(torch.exp(value) for value in logits)
    return sum(-float(q) * torch.log(torch.exp(value) / total) for q, value in zip(target, logits, strict=True))  # type: ignore[return-value]


def literal_swav(scores: list[Tensor], *, temperature: float, epsilon: float) -> Tensor:
    """Equation 1 and the multi-crop loss of 2006.09882: each view but one predicts the codes of that large one."""
    terms = []
    for i in (0, 1):
        codes = literal_sinkhorn(scores[i], epsilon)
        for j in range(len(scores)):
            if j != i:
                terms += [cross_entropy(codes[b], scores[j][b] / temperature) for b in range(len(codes))]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def literal_dino(student: list[Tensor], teacher: list[Tensor], centre: Tensor, *, cold: float, warm: float) -> Tensor:
    """Algorithm 1 and equation 3 of 2104.14294: each view but one predicts the teacher's sharp, centred output for that one."""
    terms = []
    for i in (0, 1):
        for j in range(len(student)):
            if j != i:
                targets = [torch.exp((row - centre) / cold) for row in teacher[i]]
                terms += [
                    cross_entropy(target / target.sum(), row / warm) for target, row in zip(targets, student[j], strict=True)
                ]
    return sum(terms) / len(terms)  # type: ignore[return-value]


def scores_of(method: SwAV, views: list[Tensor]) -> list[Tensor]:
    z = method.project(torch.cat([method.encoder(view) for view in views])).chunk(len(views))
    return [F.normalize(view) @ method.prototypes.T for view in z]


def logits_of(method: DINO, views: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    student = [method.head(method.encoder(view)) for view in views]
    return student, [method.teacher_head(method.teacher(view)).detach() for view in views[:2]]


def literal(method: Method, views: list[Tensor]) -> Tensor:
    if isinstance(method, SwAV):
        return literal_swav(scores_of(method, views), temperature=0.2, epsilon=0.1)
    assert isinstance(method, DINO)
    return literal_dino(*logits_of(method, views), method.centre, cold=COOL, warm=0.3)


def of_lightly(method: Method, views: list[Tensor]) -> Tensor:
    """lightly's loss on the same scores."""
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    if isinstance(method, SwAV):
        scores = scores_of(method, views)
        loss: Tensor = losses.SwaVLoss(temperature=0.2, sinkhorn_epsilon=0.1)(scores[:2], scores[2:])
        return loss.squeeze()
    assert isinstance(method, DINO)
    student, teacher = logits_of(method, views)
    theirs = losses.DINOLoss(output_dim=PROTOTYPES, student_temp=0.3).double()
    theirs.center.copy_(method.centre)
    return theirs(teacher, student, teacher_temp=COOL)  # type: ignore[no-any-return]


REFERENCES: dict[str, Callable[[Method, list[Tensor]], Tensor]] = {"the literal loop": literal, "lightly's": of_lightly}


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("name", OTHERS)
def test_loss_and_gradient_equal(name: str, reference: str) -> None:
    method = built(name)
    if name == "dino":
        method.centre.normal_(std=0.3)
        method.teacher_head.prototypes.normal_()
    views = views_of(method)
    theirs = REFERENCES[reference](method, views)
    ours, _ = method(seen(*views), 0)
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    weights = [p for p in method.parameters() if p.requires_grad]
    for mine, other in zip(torch.autograd.grad(ours, weights), torch.autograd.grad(theirs, weights), strict=True):
        assert torch.allclose(mine, other, rtol=1e-6, atol=1e-6)


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
    found: nn.Parameter = method.prototypes if isinstance(method, SwAV) else method.head.prototypes
    return found


def step(method: Method, progress: float) -> None:
    """A step of training as `fit` takes it, up to this part of it."""
    optimizer = torch.optim.SGD(method.parameters(), lr=0.5)
    loss, _ = method(seen(*views_of(method)), 0)
    loss.backward()
    method.before_step(progress)
    optimizer.step()
    method.after_step(progress)


@pytest.mark.parametrize("name", OTHERS)
def test_prototypes_stay_as_they_are_for_the_part_of_training_that_was_chosen(name: str) -> None:
    method = built(name, frozen=0.25)
    first = prototypes(method).detach().clone()
    projector = next(p for n, p in method.named_parameters() if "projector" in n)
    of_projector = projector.detach().clone()
    step(method, 0.2)
    assert torch.allclose(prototypes(method), first, rtol=0, atol=1e-6)
    assert not torch.equal(projector, of_projector)
    step(method, 0.25)
    assert (prototypes(method) - first).abs().max() > 1e-3


def test_swavs_prototypes_are_of_unit_length_at_first_and_after_every_step() -> None:
    method = built("swav", frozen=0.0)
    for _ in range(2):
        assert torch.allclose(prototypes(method).norm(dim=1), torch.ones(PROTOTYPES, dtype=torch.float64), atol=1e-6)
        step(method, 0.5)


def test_dinos_centre_moves_by_a_part_of_the_way_to_the_mean_of_the_teachers_outputs_after_they_are_compared() -> None:
    method = built("dino", centre_momentum=0.8)
    method.centre.normal_()
    views = views_of(method)
    before, (_, outputs) = method.centre.clone(), logits_of(method, views)
    method(seen(*views), 0)
    rows = [row for view in outputs for row in view]
    assert len(rows) == 2 * B
    for k in range(PROTOTYPES):
        wanted = 0.8 * float(before[k]) + 0.2 * sum(float(row[k]) for row in rows) / len(rows)
        assert float(method.centre[k]) == pytest.approx(wanted, abs=1e-12)


def test_dinos_teacher_follows_encoder_and_head_and_more_slowly_at_the_end() -> None:
    method = built("dino", teacher_momentum=0.9)
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
    method = built("dino", teacher_temperature=0.1)
    method.after_step(progress)
    views = views_of(method)
    expected = literal_dino(*logits_of(method, views), method.centre, cold=temperature, warm=0.3)
    assert torch.allclose(method(seen(*views), 0)[0], expected, rtol=1e-6)


def test_of_dino_the_teacher_is_measured_and_no_gradient_trains_it() -> None:
    method = built("dino")
    assert method.evaluated is method.teacher
    loss, _ = method(seen(*views_of(method)), 0)
    loss.backward()
    assert all(p.grad is not None for net in (method.encoder, method.head) for p in net.parameters())
    assert all(p.grad is None for net in (method.teacher, method.teacher_head) for p in net.parameters())
    assert {"centre", "progress"} <= method.state_dict().keys()


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("small_views", [0, 3])
def test_two_large_views_are_asked_for_and_as_many_small_ones_as_were_chosen(name: str, small_views: int) -> None:
    method = built(name, small_views=small_views)
    wanted = [(2, 1.0, {}), (small_views, 0.5, {"crop_min": 0.05, "crop_max": 0.4})][: 1 + (small_views > 0)]
    assert [(spec.count, spec.part, dict(spec.augmentation)) for spec in method.views] == wanted
    assert method(seen(*views_of(method)), 0)[0].isfinite()
