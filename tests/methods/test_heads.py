"""Heads, teachers and queues of methods, each against what it is, written out by hand."""

import math

import pytest
import torch
from torch import Tensor, nn

from sslcli.methods.heads import cosine, follow, mlp, rising, similarities, teacher_of, unit, z_std
from sslcli.methods.queue import Queue


def kinds(net: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in net.children()]


def test_a_head_has_its_layers_in_order_and_no_bias_where_a_norm_follows() -> None:
    plain, bare, closed = mlp(3, 4, 5), mlp(3, 4, 5, norm=False), mlp(3, 4, 4, 5, last_norm=True, last_affine=False)
    assert kinds(plain) == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert kinds(bare) == ["Linear", "ReLU", "Linear"]
    assert kinds(closed) == ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear", "BatchNorm1d"]
    assert kinds(mlp(3, 5)) == ["Linear"]
    assert [(p.shape, name) for name, p in closed.named_parameters() if p.ndim == 2] == [
        (torch.Size(shape), name) for shape, name in (([4, 3], "0.weight"), ([4, 4], "3.weight"), ([5, 4], "6.weight"))
    ]
    biased = [
        [layer.bias is not None for layer in net.children() if isinstance(layer, nn.Linear)] for net in (plain, bare, closed)
    ]
    assert biased == [[False, True], [True, True], [False, False, False]]
    assert not closed[-1].affine


def test_a_teacher_begins_as_its_student_and_moves_by_a_part_of_the_difference() -> None:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).double()
    teacher = teacher_of(student)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))
    assert not any(p.requires_grad for p in teacher.parameters())
    before = [p.clone() for p in teacher.parameters()]
    with torch.no_grad():
        for p in student.parameters():
            p.add_(torch.randn_like(p))
    for _ in range(2):
        follow(teacher, student, momentum=0.7)
        before = [0.7 * old + 0.3 * new for old, new in zip(before, student.parameters(), strict=True)]
    for ours, theirs in zip(teacher.parameters(), before, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("progress", "momentum"), [(0, 0.9), (1 / 3, 0.925), (0.5, 0.95), (1, 1.0)])
def test_a_rising_momentum_goes_to_1_along_half_a_cosine(progress: float, momentum: float) -> None:
    assert rising(0.9, progress) == pytest.approx(momentum)


def test_similarities_are_cosines_over_the_temperature_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    first, second = unit(torch.randn(4, 9)), unit(torch.randn(6, 9))
    literal = [[float(a.double() @ b.double()) / 0.1 for b in second] for a in first]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = similarities(first, second, temperature=0.1)
        mean = cosine(first.bfloat16() * 3, second[:4])
    assert found.dtype == mean.dtype == torch.float32
    assert torch.allclose(found.double(), torch.tensor(literal, dtype=torch.float64), atol=1e-5)
    assert float(mean) == pytest.approx(sum(literal[i][i] for i in range(4)) / 40, abs=0.01)


def test_z_std_is_the_mean_deviation_of_directions() -> None:
    torch.manual_seed(0)
    z = torch.randn(50, 4)
    columns = (z / z.norm(dim=1, keepdim=True)).T
    assert float(z_std(z)["z_std"]) == pytest.approx(sum(float(column.std()) for column in columns) / 4)
    assert float(z_std(torch.ones(5, 4))["z_std"]) == 0
    assert math.isclose(float(z_std(torch.randn(5000, 64))["z_std"]), 1 / 8, rel_tol=0.02)


@pytest.mark.parametrize("sizes", [[3, 3, 3], [4, 5, 6, 7], [8], [9, 2], [1] * 20])
def test_a_queue_holds_the_newest_rows_in_the_place_of_the_oldest(sizes: list[int]) -> None:
    queue, literal, at, seen = Queue(8, 2), list[Tensor | None]([None] * 8), 0, 0
    began = queue.rows.clone()
    assert torch.allclose(began.norm(dim=1), torch.ones(8))
    for size in sizes:
        rows = torch.arange(seen, seen + size).float()[:, None].expand(size, 2)
        queue.push(rows)
        for row in rows[-8:]:
            literal[at] = row
            at = (at + 1) % 8
        seen += size
    for ours, theirs, first in zip(queue.rows, literal, began, strict=True):
        assert torch.equal(ours, first if theirs is None else theirs)
    assert queue.state_dict().keys() == {"rows", "next"}
