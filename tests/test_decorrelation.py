"""Barlow Twins, VICReg and SIGReg against literal loops over the papers' formulas, and against lightly's losses."""

import math
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from sslcli.evaluation.health import collapse, health
from sslcli.methods import vicreg
from sslcli.methods.barlow_twins import BarlowTwins, cross_correlation
from sslcli.methods.barlow_twins import Options as OfBarlowTwins
from sslcli.methods.method import Batch, Method
from sslcli.methods.moments import off_diagonal
from sslcli.methods.sigreg import Options as OfSIGReg
from sslcli.methods.sigreg import SIGReg, directions_at, epps_pulley
from sslcli.methods.vicreg import Options as OfVICReg
from sslcli.methods.vicreg import VICReg, terms_of
from sslcli.models.encoder import Encoder

B, D = 6, 4
EPSILON = 1e-5  # of batch norm, which the authors of Barlow Twins normalise with


def seen(*views: Tensor) -> Batch:
    """Views of the first images of a data set."""
    return Batch(list(views), torch.arange(len(views[0])))


def mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)  # type: ignore[return-value]


def covariance(x: list[Tensor], y: list[Tensor], divisor: int) -> Tensor:
    middle_x, middle_y = mean(x), mean(y)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / divisor  # type: ignore[return-value]


def columns(z: Tensor) -> list[list[Tensor]]:
    """The values of each dimension, over the images of z (B, d)."""
    return [[z[b, j] for b in range(len(z))] for j in range(z.shape[1])]


def literal_barlow_twins(first: Tensor, second: Tensor, redundancy: float) -> Tensor:
    """Equation 1 of 2103.03230, with the correlations of its equation 2."""
    a, b = columns(first), columns(second)
    loss = torch.zeros((), dtype=first.dtype)
    for i in range(len(a)):
        for j in range(len(b)):
            spread = [torch.sqrt(covariance(x, x, len(x)) + EPSILON) for x in (a[i], b[j])]
            c = covariance(a[i], b[j], len(first)) / (spread[0] * spread[1])
            loss = loss + ((1 - c) ** 2 if i == j else redundancy * c**2)
    return loss


def literal_vicreg(first: Tensor, second: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """Equations 1 to 6 of 2105.04906; s is divided by d and v by 2, as in the authors' program."""
    n, d = first.shape
    s = mean([((first[b] - second[b]) ** 2).sum() for b in range(n)]) / d

    def v(z: Tensor) -> Tensor:
        return mean([(1 - torch.sqrt(covariance(x, x, n - 1) + 1e-4)).clamp(min=0) for x in columns(z)])

    def c(z: Tensor) -> Tensor:
        x = columns(z)
        return sum(covariance(x[i], x[j], n - 1) ** 2 for i in range(d) for j in range(d) if i != j) / d  # type: ignore[return-value]

    terms = s, (v(first) + v(second)) / 2, c(first) + c(second)
    return sum(weight * term for weight, term in zip(weights, terms, strict=True))  # type: ignore[return-value]


def literal_epps_pulley(z: Tensor, direction: Tensor) -> Tensor:
    """Algorithm 1 of 2511.08544 along one direction: 17 points from -5 to 5, by the trapezoidal rule, in complex numbers."""
    x = [row @ direction for row in z]
    t = torch.linspace(-5, 5, 17, dtype=z.dtype)
    heights = []
    for point in t:
        gaussian = math.exp(-(float(point) ** 2) / 2)
        found = sum(torch.exp(1j * point * value) for value in x) / len(x)
        heights.append((found - gaussian).abs() ** 2 * gaussian)
    area = sum((t[k + 1] - t[k]) * (heights[k] + heights[k + 1]) / 2 for k in range(16))
    return len(x) * area  # type: ignore[return-value]


def literal_sigreg(views: list[Tensor], large: int, share: float, directions: Tensor) -> Tensor:
    """The loss of 2511.08544: the statistic of each view along each direction, and the distance from the large views' mean."""
    statistics = [literal_epps_pulley(view, directions[:, k]) for view in views for k in range(directions.shape[1])]
    centre = sum(views[:large]) / large
    distances = [((view - centre) ** 2).mean() for view in views]
    return share * mean(statistics) + (1 - share) * mean(distances)


def barlow_twins(first: Tensor, second: Tensor) -> Tensor:
    norm = nn.BatchNorm1d(first.shape[1], affine=False).double()
    return cross_correlation(norm(first), norm(second), redundancy=0.3)


def vicreg_loss(first: Tensor, second: Tensor) -> Tensor:
    terms = terms_of(torch.stack([first, second]), [(0, 1)])
    return sum(weight * term for weight, term in zip((25, 20, 3), terms.values(), strict=True))  # type: ignore[return-value]


DIRECTIONS = directions_at(3, D, 5).double()


def sigreg_loss(first: Tensor, second: Tensor) -> Tensor:
    z = torch.stack([first, second])
    return 0.4 * epps_pulley(z, DIRECTIONS) + 0.6 * (z - z.mean(0)).square().mean()


Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, tuple[Loss, Loss]] = {
    "barlow-twins": (barlow_twins, lambda a, b: literal_barlow_twins(a, b, 0.3)),
    "vicreg": (vicreg_loss, lambda a, b: literal_vicreg(a, b, (25, 20, 3))),
    "sigreg": (sigreg_loss, lambda a, b: literal_sigreg([a, b], 2, 0.4, DIRECTIONS)),
}
"""The loss of two views' projections, and the same written out."""


def drawn(count: int = 2, rows: int = B, dim: int = D) -> list[Tensor]:
    torch.manual_seed(rows + dim)
    shared = torch.randn(rows, dim, dtype=torch.float64)
    return [(0.7 * (shared + 0.3 * torch.randn_like(shared)) + 0.2).requires_grad_() for _ in range(count)]


@pytest.mark.parametrize("rows", [3, 9])  # fewer than there are dimensions, and more
@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_equal_the_literal_loop(name: str, rows: int) -> None:
    views = drawn(rows=rows)
    losses = [loss(*views) for loss in LOSSES[name]]
    assert torch.allclose(*losses, rtol=0, atol=1e-11)
    for ours, literal in zip(*(torch.autograd.grad(loss, views) for loss in losses), strict=True):
        assert ours.abs().max() > 1e-3
        assert torch.allclose(ours, literal, rtol=0, atol=1e-11)


def of_lightly(name: str, first: Tensor, second: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """lightly's loss on the same projections, with the same numbers."""
    losses = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    if name == "barlow-twins":
        return losses.BarlowTwinsLoss(lambda_param=0.3)(first, second)  # type: ignore[no-any-return]
    if name == "vicreg":
        return losses.VICRegLoss(lambda_param=25, mu_param=20, nu_param=3)(first, second)  # type: ignore[no-any-return]
    loss = pytest.importorskip("lightly.loss.lejepa_loss", reason="this lightly has no LeJEPA").LeJEPALoss(
        lambda_param=0.4, sigreg_t_max=5.0, sigreg_knots=9
    )
    monkeypatch.setattr(loss.sigreg, "_generate_unit_vectors", lambda *_: DIRECTIONS)
    return loss.double()(local_proj=second[None], global_proj=first[None])  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", LOSSES)
def test_loss_and_gradient_equal_lightlys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    views = drawn(rows=8)
    theirs = of_lightly(name, *views, monkeypatch)
    ours = LOSSES[name][0](*views)
    if name == "sigreg":  # lightly wants a small view: the first is the large ones' mean
        z = torch.stack(views)
        ours = 0.4 * epps_pulley(z, DIRECTIONS) + 0.6 * (z - z[:1].mean(0)).square().mean()
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=1e-6)
    for mine, other in zip(torch.autograd.grad(ours, views), torch.autograd.grad(theirs, views), strict=True):
        assert torch.allclose(mine, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("rows", [3, 9])
def test_squares_off_the_diagonal_are_had_from_either_product(rows: int) -> None:
    first, second = drawn(rows=rows)
    product = first.T @ second
    assert torch.allclose(off_diagonal(first, second), (product**2).sum() - (product.diagonal() ** 2).sum(), atol=1e-12)


def test_the_statistic_is_near_its_mean_for_a_gaussian_and_far_above_for_what_is_none() -> None:
    torch.manual_seed(0)
    directions, gaussian = directions_at(0, 8, 64), torch.randn(1, 512, 8)
    found = epps_pulley(gaussian, directions).item()
    assert 0.1 < found < 2
    for other in (gaussian + 0.5, 2 * gaussian, gaussian * 0, gaussian.sign() * torch.tensor([1.0, *[0.0] * 7])):
        assert epps_pulley(other, directions) > 10 * found


def test_directions_have_unit_length_and_depend_on_the_step_alone() -> None:
    first, again, other = directions_at(7, 5, 9), directions_at(7, 5, 9), directions_at(8, 5, 9)
    assert torch.allclose(first.norm(dim=0), torch.ones(9))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def built(name: str, **options: object) -> Method:
    """A method around an encoder that hands on what it gets, in float64."""
    torch.manual_seed(0)
    kinds = {"barlow-twins": (BarlowTwins, OfBarlowTwins), "vicreg": (VICReg, OfVICReg), "sigreg": (SIGReg, OfSIGReg)}
    method, of_method = kinds[name]
    own = {"projector_hidden": 8, "projector_dim": D} | ({"directions": 5} if name == "sigreg" else {})
    return method(Encoder(nn.Flatten(), 12), of_method(**own | options)).double()  # type: ignore[operator, arg-type, no-any-return]


LITERAL: dict[str, tuple[dict[str, object], Callable[[list[Tensor]], Tensor]]] = {
    "barlow-twins": (
        {"redundancy": 0.2, "views": 3},
        lambda z: mean([literal_barlow_twins(a, b, 0.2) for a, b in combinations(z, 2)]),
    ),
    "vicreg": (
        {"invariance": 5.0, "variance": 7.0, "covariance": 2.0, "views": 3},
        lambda z: mean([literal_vicreg(a, b, (5, 7, 2)) for a, b in combinations(z, 2)]),
    ),
    "sigreg": ({"gaussian": 0.3, "views": 3}, lambda z: literal_sigreg(z, 3, 0.3, DIRECTIONS)),
}
"""Options other than the defaults, and the loss of three views' projections."""


@pytest.mark.parametrize("name", LITERAL)
def test_a_method_trains_on_the_literal_loss_of_its_projections_with_the_options_that_were_chosen(name: str) -> None:
    options, literal = LITERAL[name]
    method = built(name, **options)
    views = [torch.randn(8, 3, 2, 2, dtype=torch.float64) for _ in range(3)]
    loss, _ = method(seen(*views), 3)
    flat = [view.flatten(1) for view in views]
    if name == "barlow-twins":  # its norms are over each view by itself, and the last one is the formula's
        z = [method.projector[:-1](one) for one in flat]
    else:
        z = list(method.project(torch.cat(flat)).chunk(3))
    assert torch.allclose(loss, literal(z), rtol=1e-9)


@pytest.mark.parametrize("name", ["vicreg", "sigreg"])
def test_small_views_are_compared_with_large_ones_alone(name: str) -> None:
    method = built(name, views=2, small_views=2)
    method.encoder.backbone = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    assert [(spec.count, spec.part) for spec in method.views] == [(2, 1.0), (2, 0.5)]
    views = [torch.randn(8, 3, side, side, dtype=torch.float64) for side in (8, 8, 4, 4)]
    loss, _ = method(seen(*views), 3)
    z = list(method.project(torch.cat([method.encoder(view) for view in views])).chunk(4))
    if name == "sigreg":
        assert torch.allclose(loss, literal_sigreg(z, 2, 0.05, DIRECTIONS))
        return
    s = mean([literal_vicreg(z[i], z[j], (25, 0, 0)) for i, j in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3))])
    assert torch.allclose(loss, s + mean([literal_vicreg(one, one, (0, 25, 1)) for one in z]))


def trained(**options: object) -> tuple[Method, list[str]]:
    """VICReg after some steps on images that differ, and what the health line says of it."""
    method = VICReg(Encoder(nn.Flatten(), 12), OfVICReg(projector_hidden=32, projector_dim=16, **options))  # type: ignore[arg-type]
    torch.manual_seed(0)
    images = torch.randn(128, 3, 2, 2)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(60):
        loss, _ = method(seen(*(images + 0.3 * torch.randn_like(images) for _ in range(2))), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    method.eval()
    h = images.flatten(1)
    with torch.no_grad():
        z = [method.project(h + 0.3 * torch.randn_like(h)) for _ in range(2)]
    return method, collapse(health(h, *z), z_dim=16, h_dim=12, images=len(h))


def test_vicreg_collapses_without_its_variance_term_and_the_health_line_says_so_and_with_it_does_not() -> None:
    _, healthy = trained()
    _, collapsed = trained(variance=0.0)
    assert healthy == []
    assert len(collapsed) == 1
    assert "projections of different images are alike" in collapsed[0]


def test_vicregs_terms_are_shown_before_they_are_weighted() -> None:
    method = built("vicreg", invariance=3.0)
    views = [torch.randn(8, 3, 2, 2, dtype=torch.float64) for _ in range(2)]
    loss, shown = method(seen(*views), 0)
    assert {"z_std", "invariance", "variance", "covariance"} == shown.keys()
    assert torch.allclose(loss, 3 * shown["invariance"] + 25 * shown["variance"] + shown["covariance"])
    assert vicreg.EPSILON == 1e-4
