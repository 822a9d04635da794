"""Health of a representation: each measure against its definition, healthy and collapsed encoders told apart."""

import math
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.evaluation.health import collapse, health
from sslcli.evaluation.label_free import rankme
from sslcli.methods.simclr import SimCLR
from sslcli.runs.registry import Registry
from tests.conftest import TINY, Cli

N, DIM, Z = 300, 64, 32


def test_every_measure_equals_its_definition() -> None:
    torch.manual_seed(0)
    h, first = torch.randn(40, 8), torch.randn(40, 5)
    second = first + 0.3 * torch.randn(40, 5)
    found = health(h, first, second)
    a, b = F.normalize(first.double()), F.normalize(second.double())
    alignment = sum(float((a[i] - b[i]).norm() ** 2) for i in range(40)) / 40
    pairs = [math.exp(-2 * float((a[i] - a[j]).norm() ** 2)) for i in range(40) for j in range(i)]
    deviations = [float(torch.std(a[:, k])) for k in range(5)]
    values = torch.linalg.svd((h - h.mean(0)).double()).S
    shares = [float(value / values.sum()) for value in values]
    assert found["alignment"] == pytest.approx(alignment)
    assert found["uniformity"] == pytest.approx(math.log(sum(pairs) / len(pairs)))
    assert found["z_std"] == pytest.approx(sum(deviations) / 5)
    assert found["rank"] == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)))


def test_z_spread_evenly_has_the_healthy_deviation_and_h_of_rank_three_has_rank_three() -> None:
    torch.manual_seed(0)
    z, basis = torch.randn(N, Z), torch.linalg.qr(torch.randn(DIM, 3)).Q
    found = health(torch.linalg.qr(torch.randn(N, 3)).Q @ basis.T, z, z)
    assert found["z_std"] == pytest.approx(Z**-0.5, rel=0.03)
    assert found["rank"] == pytest.approx(3, rel=0.02)
    assert found["alignment"] == 0


def words(h: Tensor, z: Tensor) -> list[str]:
    return collapse(health(h, z, z), z_dim=Z, h_dim=DIM, images=N)


@pytest.mark.parametrize("seed", range(5))
def test_collapse_is_seen_and_health_is_not_called_so(seed: int) -> None:
    torch.manual_seed(seed)
    h, z = torch.randn(N, DIM), torch.randn(N, Z)
    assert words(h, z) == []
    assert words(h * torch.linspace(0.1, 1, DIM), z * torch.linspace(0.3, 1, Z)) == []
    alike = torch.ones(N, Z) + 0.05 * z
    assert ["alike" in word for word in words(h, alike)] == [True]
    assert ["effective rank" in word for word in words(h[:, :1] @ torch.randn(1, DIM) + 1e-4 * h, z)] == [True]
    assert len(words(torch.ones(N, DIM), torch.ones(N, Z))) == 2


def test_projections_along_one_direction_are_called_collapsed() -> None:
    torch.manual_seed(0)
    z = torch.randn(N, 1) * torch.randn(1, Z).sign() + 0.01 * torch.randn(N, Z)
    measured = health(torch.randn(N, DIM), z, z)
    assert measured["z_std"] > 0.9 * Z**-0.5  # by its deviation it is spread evenly
    (found,) = collapse(measured | {"rankme": rankme(z)}, z_dim=Z, h_dim=DIM, images=N)
    assert "lie along one direction" in found
    assert collapse(measured | {"rankme": 2.0}, z_dim=Z, h_dim=DIM, images=N) == []


class Constant(nn.Module):
    """A projector that says the same of every image."""

    def forward(self, h: Tensor) -> Tensor:
        return torch.ones(len(h), 128) + 0.001 * h[:, :128]


def test_pretraining_that_collapses_is_called_so_at_its_end(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    original = SimCLR.__init__

    def collapsed(self: SimCLR, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)  # type: ignore[arg-type]
        self.projector = Constant()  # type: ignore[assignment]

    monkeypatch.setattr(SimCLR, "__init__", collapsed)
    result = ssl(f"pretrain {TINY}")
    assert result.code == 0, result.err
    assert "WARNING" in result.err
    assert "looks collapsed: the projections of different images are alike" in result.err


def test_healthy_pretraining_logs_its_health_and_is_not_called_collapsed(ssl: Cli, registry: Registry) -> None:
    result = ssl(f"pretrain {TINY} --epochs 8 --optimizer muon --temperature 0.2")
    assert (result.code, "collapsed" in result.err) == (0, False)
    run = registry.load(registry.find("latest"))
    names = {"val_knn", "val_alignment", "val_uniformity", "val_z_std", "val_rank"}
    assert names <= run.metrics.keys()
    assert run.metrics["val_z_std"] > 0.5 * 128**-0.5
    assert {name.replace("_", "/", 1) for name in names} <= run.history[-1].keys()


def test_of_one_image_only_the_alignment_can_be_told() -> None:
    z = torch.randn(1, Z)
    assert health(torch.randn(1, DIM), z, -z) == {"alignment": pytest.approx(4)}


def test_a_pretraining_that_stops_early_is_measured_at_its_end(ssl: Cli, registry: Registry) -> None:
    assert ssl(f"pretrain {TINY} --epochs 9 --knn-every 5 --max-steps 9").code == 0
    assert "val_rank" in registry.load(registry.find("latest")).metrics


def test_nothing_says_that_pretraining_does_not_see_the_images_that_it_measures() -> None:
    """The loss sees every training image; of those that kNN asks only the labels are held out."""
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *root.glob("results/*.md"), *root.glob("docs/*.md")]
    texts = [*pages, *root.rglob("sslcli/**/*.py"), *root.rglob("sslcli/**/*.j2")]
    wrong = re.compile(
        r"no\s+loss\s+has\s+seen|held[- ]out\s+(training\s+)?images|unseen\s+(training\s+)?images", re.IGNORECASE
    )
    found = {path.name: wrong.findall(path.read_text(encoding="utf-8")) for path in texts}
    assert {name: said for name, said in found.items() if said} == {}
