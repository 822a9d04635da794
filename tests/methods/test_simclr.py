"""NT-Xent against a slow, literal loop over equation 1 of the paper."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.methods import simclr
from sslcli.methods.method import Batch
from sslcli.methods.simclr import Options, SimCLR, nt_xent
from sslcli.models.encoder import Encoder


def seen(*views: Tensor) -> Batch:
    """Views of the first images of a data set."""
    return Batch(list(views), torch.arange(len(views[0])))


def literal_nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """The mean over k of l(2k-1, 2k) + l(2k, 2k-1), written as the paper's algorithm 1 is."""
    z = [row for pair in zip(first, second, strict=True) for row in pair]

    def s(i: int, j: int) -> Tensor:
        return z[i] @ z[j] / (z[i].norm() * z[j].norm())

    def loss(i: int, j: int) -> Tensor:
        others = sum(torch.exp(s(i, k) / temperature) for k in range(len(z)) if k != i)
        return -torch.log(torch.exp(s(i, j) / temperature) / others)

    pairs = len(first)
    return sum(loss(2 * k, 2 * k + 1) + loss(2 * k + 1, 2 * k) for k in range(pairs)) / (2 * pairs)  # type: ignore[return-value]


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("pairs", [2, 7])
def test_loss_and_gradient_equal_the_literal_loop(pairs: int, temperature: float) -> None:
    torch.manual_seed(pairs)
    raw = [torch.randn(pairs, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    fast = nt_xent(*(F.normalize(view) for view in raw), temperature=temperature)
    slow = literal_nt_xent(raw[0], raw[1], temperature)
    assert torch.allclose(fast, slow, atol=1e-12)
    for ours, literal in zip(torch.autograd.grad(fast, raw), torch.autograd.grad(slow, raw), strict=True):
        assert torch.allclose(ours, literal, atol=1e-12)


def test_the_losses_of_parts_of_the_images_make_up_that_of_all() -> None:
    torch.manual_seed(0)
    z = [F.normalize(torch.randn(7, 5, dtype=torch.float64)) for _ in range(2)]
    parts = [nt_xent(*z, temperature=0.1, rows=rows) * (rows.stop - rows.start) for rows in (slice(0, 3), slice(3, 7))]
    assert torch.allclose(sum(parts) / 7, literal_nt_xent(*z, 0.1), atol=1e-12)


def test_a_large_batch_is_compared_in_parts_with_the_same_loss_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    raw = torch.randn(2, 11, 5, dtype=torch.float64, requires_grad=True)
    found = []
    for part in (simclr.PART, 4):
        monkeypatch.setattr(simclr, "PART", part)
        losses = [nt_xent(*F.normalize(raw, dim=2), temperature=0.1, rows=rows) for rows in (slice(None), slice(1, 10))]
        found.append([*losses, *torch.autograd.grad(sum(losses), raw)])
    for whole, in_parts in zip(*found, strict=True):
        assert torch.allclose(whole, in_parts, rtol=0, atol=1e-12)


def test_equal_projections_give_the_logarithm_of_the_candidates() -> None:
    z = F.normalize(torch.ones(4, 3))
    assert nt_xent(z, z, temperature=0.1).item() == pytest.approx(math.log(7), abs=1e-5)


def test_the_loss_is_computed_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    z = F.normalize(torch.randn(2, 64, 16), dim=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = nt_xent(z[0], z[1], temperature=0.1)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, nt_xent(z[0], z[1], temperature=0.1))


def test_the_method_pairs_the_views_of_one_image() -> None:
    torch.manual_seed(0)
    encoder = Encoder(nn.Flatten(), 12)
    method = SimCLR(encoder, Options(temperature=0.5, projector_hidden=8, projector_dim=4)).eval()
    images = torch.randn(6, 3, 2, 2)
    same, _ = method(seen(images, images), 0)
    shuffled, _ = method(seen(images, images.roll(1, 0)), 0)
    assert same < shuffled


def test_the_method_compares_at_its_own_temperature_and_by_direction_alone() -> None:
    torch.manual_seed(0)
    encoder, views = Encoder(nn.Flatten(), 12), [torch.randn(6, 3, 2, 2) for _ in range(2)]
    for temperature in (0.1, 0.7):
        method = SimCLR(encoder, Options(temperature=temperature, projector_hidden=8, projector_dim=4)).eval()
        z = method.project(encoder(torch.cat(views))).chunk(2)
        assert torch.allclose(method(seen(*views), 0)[0], literal_nt_xent(*z, temperature), atol=1e-5)


def test_z_std_tells_collapse_from_health() -> None:
    torch.manual_seed(0)
    method = SimCLR(Encoder(nn.Flatten(), 12), Options(projector_dim=16))
    views = [torch.randn(256, 3, 2, 2) for _ in range(2)]
    healthy = method(seen(*views), 0)[1]["z_std"].item()
    nn.init.zeros_(method.projector[-1].weight)
    collapsed = method(seen(*views), 0)[1]["z_std"].item()
    assert healthy > 0.5 / 16**0.5
    assert collapsed < 1e-6
