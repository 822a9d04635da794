"""Barlow Twins, VICReg and SIGReg: their statistics, their terms, and collapse. Their losses are in test_losses.py."""

import pytest
import torch
from torch import Tensor, nn

from sslcli.evaluation.health import collapse, health
from sslcli.methods.method import Batch
from sslcli.methods.moments import of_the_batch, off_diagonal
from sslcli.methods.sigreg import epps_pulley, random_directions
from sslcli.methods.vicreg import Options, VICReg
from sslcli.models.encoder import Encoder
from tests.methods.literal_losses.sigreg import literal_epps_pulley
from tests.small_methods import small_batch, small_method


@pytest.mark.parametrize("rows", [3, 9])  # fewer than there are columns, and more
def test_squares_off_the_diagonal_are_had_from_either_product_with_the_same_gradient(rows: int) -> None:
    torch.manual_seed(0)
    both = [torch.randn(rows, 5, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    product = both[0].T @ both[1]
    slow = sum(product[i, j] ** 2 for i in range(5) for j in range(5) if i != j)
    fast = off_diagonal(*both)
    assert torch.allclose(fast, slow, rtol=0, atol=1e-11)
    for ours, literal in zip(torch.autograd.grad(fast, both), torch.autograd.grad(slow, both), strict=True):
        assert torch.allclose(ours, literal, rtol=0, atol=1e-11)


def test_moments_are_never_taken_in_bfloat16() -> None:
    torch.manual_seed(0)
    z = torch.randn(2, 40, 8)
    directions = random_directions(5, z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = [off_diagonal(z[0], z[1]), off_diagonal(z[0, :4], z[1, :4]), epps_pulley(z, directions)]
    outside = [off_diagonal(z[0], z[1]), off_diagonal(z[0, :4], z[1, :4]), epps_pulley(z, directions)]
    assert all(torch.equal(*pair) for pair in zip(inside, outside, strict=True))
    assert of_the_batch(z[0].bfloat16(), views=2).dtype == torch.float32


def test_projections_are_kept_apart_by_view() -> None:
    z = torch.arange(12.0).view(6, 2)
    assert torch.equal(of_the_batch(z, views=3), torch.stack(z.chunk(3)))


def test_the_statistic_of_several_views_and_directions_is_the_mean_of_each() -> None:
    torch.manual_seed(0)
    z = torch.randn(3, 5, 4, dtype=torch.float64)
    directions = random_directions(6, z)
    alone = [literal_epps_pulley(view, direction) for view in z for direction in directions.T]
    assert torch.allclose(epps_pulley(z, directions), torch.stack(alone).mean(), rtol=0, atol=1e-12)


def test_the_statistic_is_small_for_a_gaussian_and_large_for_what_is_none() -> None:
    torch.manual_seed(0)
    gaussian = torch.randn(1, 512, 8)
    directions = random_directions(64, gaussian)
    found = epps_pulley(gaussian, directions).item()
    assert 0.1 < found < 2
    for other in (gaussian + 0.5, 2 * gaussian, gaussian * 0, gaussian.sign() * torch.tensor([1.0, *[0.0] * 7])):
        assert epps_pulley(other, directions) > 10 * found


def test_directions_have_unit_length_and_are_drawn_anew_by_torchs_seed() -> None:
    z, found = torch.randn(3, 5, dtype=torch.float64), []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        found.append(random_directions(9, z))
    assert torch.allclose(found[0].norm(dim=0), torch.ones(9, dtype=torch.float64))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def trained(**options: float) -> list[str]:
    """What the health line says of VICReg's h and z after some steps on images that differ."""
    torch.manual_seed(0)
    method = VICReg(Encoder(nn.Flatten(), 12), Options(projector_hidden=32, projector_dim=16, **options))  # type: ignore[arg-type]
    images = torch.randn(128, 3, 2, 2)

    def views() -> list[Tensor]:
        return [images + 0.3 * torch.randn_like(images) for _ in range(2)]

    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(60):
        loss, _ = method(Batch(views(), torch.arange(128)), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    method.eval()
    with torch.no_grad():
        z = [method.project(view.flatten(1)) for view in views()]
    return collapse(health(images.flatten(1), *z), z_dim=16, h_dim=12, images=128)


def test_vicreg_collapses_without_its_variance_term_and_the_health_line_says_so_and_with_it_does_not() -> None:
    assert trained() == []
    (found,) = trained(variance=0.0)
    assert "projections of different images are alike" in found


@pytest.mark.parametrize(("name", "weights"), [
    ("vicreg", {"invariance": 3.0, "variance": 25.0, "covariance": 1.0}),
    ("sigreg", {"gaussian": 0.05, "agreement": 0.95}),
])  # fmt: skip
def test_the_terms_of_a_loss_are_shown_before_they_are_weighted(name: str, weights: dict[str, float]) -> None:
    method = small_method(name, **({"invariance": 3.0} if name == "vicreg" else {}))
    loss, shown = method(small_batch(method), 0)
    assert shown.keys() == weights.keys() | {"z_std"}
    assert torch.allclose(loss, sum(weight * shown[term] for term, weight in weights.items()))
