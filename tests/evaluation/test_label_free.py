"""RankMe, LiDAR and alpha-ReQ: each against a slow literal computation, and on spectra whose value is known."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from sslcli.evaluation.health import health
from sslcli.evaluation.label_free import EPSILON, RIDGE, alpha_req, label_free, lidar, rankme
from sslcli.plans import online_metrics
from sslcli.runs.registry import Registry
from tests.conftest import TINY, Cli


def literal_rank(values: list[float]) -> float:
    total = sum(values)
    shares = [value / total + EPSILON for value in values]
    return math.exp(-sum(share * math.log(share) for share in shares))


def orthonormal(rows: int, columns: int) -> Tensor:
    torch.manual_seed(0)
    return torch.linalg.qr(torch.randn(rows, columns, dtype=torch.float64)).Q


@pytest.mark.parametrize("shape", [(40, 6), (6, 40)])
def test_rankme_is_the_formula_on_the_singular_values_of_z_as_it_is(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    z = torch.randn(*shape) * torch.linspace(0.1, 2, shape[1]) + 3  # the mean is not taken away
    assert rankme(z) == pytest.approx(literal_rank(torch.linalg.svd(z.double()).S.tolist()), rel=1e-6)


@pytest.mark.parametrize("dim", [3, 32])
def test_rankme_of_equal_singular_values_is_their_number_and_of_one_it_is_1(dim: int) -> None:
    assert rankme(orthonormal(100, dim)) == pytest.approx(dim, rel=1e-4)
    assert rankme(5 * orthonormal(100, 1) @ orthonormal(dim, 1).mT) == pytest.approx(1, rel=1e-4)
    assert rankme(torch.ones(100, dim)) == pytest.approx(1, rel=1e-4)
    assert rankme(torch.zeros(100, dim)) == pytest.approx(1, rel=1e-3)


def literal_lidar(h: Tensor) -> float:
    images, views, dim = h.shape
    centre = h.mean((0, 1))
    between, within = torch.zeros(dim, dim, dtype=h.dtype), torch.zeros(dim, dim, dtype=h.dtype)
    for i in range(images):
        mean = h[i].mean(0)
        between += torch.outer(mean - centre, mean - centre) / images
        for j in range(views):
            within += torch.outer(h[i, j] - mean, h[i, j] - mean) / (images * views)
    within += RIDGE * within.diagonal().mean() * torch.eye(dim, dtype=h.dtype)
    values, vectors = torch.linalg.eigh(within)
    root = vectors @ torch.diag(values**-0.5) @ vectors.mT
    return literal_rank(torch.linalg.eigvalsh(root @ between @ root).clamp(min=0).tolist())


@pytest.mark.parametrize("images", [30, 5])
def test_lidar_is_the_formula_on_covariances_that_are_added_up_here(images: int) -> None:
    torch.manual_seed(0)
    h = torch.randn(images, 1, 8, dtype=torch.float64) + 0.3 * torch.randn(images, 4, 8, dtype=torch.float64)
    h = h * torch.linspace(0.1, 2, 8)
    # Of fewer images than dimensions the eigenvalues that are 0 are left out: each adds but EPSILON's share.
    assert lidar(h) == pytest.approx(literal_lidar(h), rel=1e-4)


def of_images(strength: Tensor, noise: Tensor) -> Tensor:
    """h of 2 d images, at plus and minus `strength` (d,) on each axis, whose 2 d views lie about it by `noise` (d,) alike."""
    means = torch.cat([torch.diag(strength), -torch.diag(strength)])
    around = torch.cat([torch.diag(noise), -torch.diag(noise)])
    return means[:, None] + around[None]


def test_lidar_counts_the_directions_that_tell_images_apart_and_not_those_in_which_views_differ() -> None:
    ones = torch.ones(6, dtype=torch.float64)
    assert lidar(of_images(ones, 0.1 * ones)) == pytest.approx(6, rel=1e-4)
    three = torch.tensor([1.0, 1, 1, 0, 0, 0], dtype=torch.float64)
    assert lidar(of_images(three, 0.1 * ones)) == pytest.approx(3, rel=1e-4)
    noisy = torch.tensor([0.001, 0.001, 0.001, 1, 1, 1], dtype=torch.float64)
    assert lidar(of_images(0.1 * ones, noisy)) == pytest.approx(3, rel=0.01)
    assert rankme(of_images(0.1 * ones, noisy).flatten(0, 1)) > 3.5  # which takes noise for signal


def test_the_scale_of_h_changes_neither_lidar_nor_alpha_and_collapse_has_a_value() -> None:
    torch.manual_seed(0)
    h = torch.randn(20, 3, 8, dtype=torch.float64)
    assert lidar(1e-3 * h) == pytest.approx(lidar(h), rel=1e-9)
    assert alpha_req(1e-3 * h[:, 0]) == pytest.approx(alpha_req(h[:, 0]), rel=1e-9)
    assert lidar(torch.ones(20, 3, 8)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.5])
def test_alpha_of_a_spectrum_that_falls_as_a_power_is_that_power(exponent: float) -> None:
    rows = torch.cat([q := orthonormal(100, 40), -q])  # of mean 0
    h = rows * torch.arange(1, 41, dtype=torch.float64) ** (-exponent / 2) + 7
    assert alpha_req(h) == pytest.approx(exponent, abs=1e-6)


def test_alpha_is_the_weighted_line_through_the_logarithms_of_ranks_4_to_100() -> None:
    torch.manual_seed(0)
    h = torch.randn(300, 150).double() * torch.linspace(0.05, 2, 150) ** 2
    eigenvalues = torch.linalg.eigvalsh(torch.cov(h.T)).flip(0).tolist()
    ranks = range(4, 101)
    weights = [1 / k for k in ranks]
    x, y = [math.log(k) for k in ranks], [math.log(eigenvalues[k - 1]) for k in ranks]
    x0, y0 = (sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights) for values in (x, y))
    slope = sum(w * (a - x0) * (b - y0) for w, a, b in zip(weights, x, y, strict=True))
    slope /= sum(w * (a - x0) ** 2 for w, a in zip(weights, x, strict=True))
    assert alpha_req(h) == pytest.approx(-slope, rel=1e-9)


def test_alpha_of_collapsed_h_is_not_told() -> None:
    torch.manual_seed(0)
    assert alpha_req(torch.ones(50, 8)) is None
    assert alpha_req(torch.randn(50, 4).double() @ torch.randn(4, 8).double()) is None
    collapsed = torch.ones(50, 8)
    assert label_free(collapsed, collapsed, collapsed[:, None].expand(-1, 3, -1)).keys() == {"rankme", "lidar"}


def test_each_measured_epoch_records_the_three_and_a_second_run_has_the_same_bits(ssl: Cli, registry: Registry) -> None:
    for _ in range(2):
        assert ssl(f"pretrain {TINY} --epochs 2").code == 0
    first, second = (registry.load(run) for run in registry.runs())
    names = ("val/rankme", "val/lidar", "val/alpha_req")
    found = [{name: epoch[name] for name in names} for epoch in first.history]
    assert found == [{name: epoch[name] for name in names} for epoch in second.history]
    assert found[0] != found[1]
    queries = 24  # a tenth of the images
    assert all(1 < epoch["val/rankme"] < queries and 1 < epoch["val/lidar"] < queries for epoch in found)
    assert first.metrics["val_lidar"] == found[1]["val/lidar"]


def test_lidar_is_measured_on_views_that_differ_of_so_many_images(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []

    def spy(z: Tensor, h: Tensor, h_views: Tensor) -> dict[str, float]:
        seen.append(h_views)
        assert (len(z), z.shape[1], len(h)) == (20, 128, 20)
        return label_free(z, h, h_views)

    monkeypatch.setattr(online_metrics, "label_free", spy)
    monkeypatch.setattr(online_metrics, "LIDAR_IMAGES", 7)
    assert ssl(f"pretrain {TINY}").code == 0
    (views,) = seen
    assert views.shape[:2] == (7, 10)
    apart = torch.cdist(views, views).flatten(1).topk(90, dim=1).values[:, -1]  # of ten views 90 distances are not of one
    assert (apart > 0).all()


def test_with_few_labels_unlabelled_images_are_measured_too_and_only_labelled_ones_are_asked(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def spy(h: Tensor, *z: Tensor) -> dict[str, float]:
        measured.append(len(h))
        return health(h, *z)

    for number in range(60):
        path = Path("photos") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.effect_noise((32, 32), 20 + number).convert("RGB").save(path)
    Path("few.csv").write_text("path,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(20)))
    monkeypatch.setattr(online_metrics, "health", spy)
    line = "pretrain --dataset folder:photos --labels few.csv --backbone resnet9-small --batch-size 8 --max-steps 2"
    assert ssl(line).code == 0
    assert ssl(line.replace("--labels few.csv ", "")).code == 0
    with_labels, without = (registry.load(run) for run in registry.runs())
    assert measured == [42, 60]  # 2 of 16 labelled training images, with the 40 that have no label; all of 60
    assert with_labels.metrics["val_knn"] in (0, 0.5, 1)
    assert "val_knn" not in without.metrics
