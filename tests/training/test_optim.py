import math

import pytest
import torch
from torch import nn

from sslcli.methods.method import ParameterGroup
from sslcli.training import optim
from sslcli.training.optim import ITERATIONS, Muon, build_optimizer, orthogonalise
from sslcli.training.recipe import warmup_cosine


def test_the_rate_warms_up_linearly_and_falls_as_a_cosine() -> None:
    rates = [warmup_cosine(step, steps=110, warmup=10, lr=2.0) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(1.0)
    assert rates[85] == pytest.approx(1 + math.cos(0.75 * math.pi))
    assert 0 < rates[-1] < 0.001


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_orthogonalise_brings_the_singular_values_near_one(shape: tuple[int, int], precision: str) -> None:
    torch.manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = u @ torch.diag(torch.logspace(0, -1, min(shape))) @ v
    made = orthogonalise(matrix, precision)
    values = torch.linalg.svdvals(made)
    assert 0.6 < values.min() < values.max() < 1.3
    assert (made * (u @ v)).sum() > 0.8 * min(shape)  # along the matrix's own polar factor


def literal_iterations(matrix: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Newton and Schulz's quintic iteration as it is written, in numbers of a type."""
    x = matrix.to(dtype)
    x = x / x.norm()
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x.double()


@pytest.mark.parametrize("shape", [(64, 300), (256, 40), (96, 96), (512, 1152)])
@pytest.mark.parametrize("least", [-1.0, -3.0, -6.0])
def test_orthogonalise_is_nearly_as_exact_as_literal_iterations_in_bfloat16(shape: tuple[int, int], least: float) -> None:
    torch.manual_seed(1)
    u, _, v = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    matrix = u @ torch.diag(torch.logspace(0, least, min(shape), dtype=torch.float64)) @ v
    wanted, made = literal_iterations(matrix, torch.float64), orthogonalise(matrix, "bf16")
    assert made.dtype == torch.float64
    assert torch.linalg.svdvals(made).max() < 1.25  # none, however small, outgrows the rest
    literal = (literal_iterations(matrix, torch.bfloat16) - wanted).norm()
    assert (made - wanted).norm() < 1.4 * literal < 0.07 * wanted.norm()  # each rounds otherwise


@pytest.mark.parametrize(("precision", "least", "most"), [("bf16", 1e-3, 1e-1), ("fp32", 0.0, 1e-4)])
def test_orthogonalise_computes_in_the_precision_that_was_asked_for(precision: str, least: float, most: float) -> None:
    matrix = torch.randn(16, 40, generator=torch.Generator().manual_seed(0))
    wanted = literal_iterations(matrix, torch.float64)
    assert least <= (orthogonalise(matrix, precision) - wanted).norm() / wanted.norm() < most


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_filters_of_one_shape_orthogonalised_together_move_as_each_alone(
    precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved() -> list[torch.Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3), *(nn.Conv2d(8, 8, 3) for _ in range(3)), nn.Conv2d(8, 16, 3), nn.Conv2d(16, 8, 1)
        )
        optimizer = build_optimizer(net, "muon", lr=0.1, weight_decay=0.1, momentum=0.9, precision=precision)
        for _ in range(3):
            for p in net.parameters():
                p.grad = torch.randn(p.shape)
            optimizer.step()
        return [p.detach() for p in net.parameters()]

    alone = moved()
    monkeypatch.setattr(optim, "shape_on_gpu", lambda p: p.shape)
    seen, orthogonalise = [], optim.orthogonalise
    monkeypatch.setattr(optim, "orthogonalise", lambda matrix, of: seen.append(matrix.shape) or orthogonalise(matrix, of))
    together = moved()
    assert (3, 8, 72) in seen
    for found, wanted in zip(together, alone, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 if precision == "fp32" else 2e-2)


def test_muon_goes_on_in_the_precision_that_it_began_with_and_from_earlier_versions_in_bfloat16() -> None:
    def muon(precision: str) -> torch.optim.Optimizer:
        return build_optimizer(nn.Linear(4, 4), "muon", lr=0.1, weight_decay=0.0, momentum=0.9, precision=precision)

    state = muon("fp32").state_dict()
    resumed = muon("bf16")
    resumed.load_state_dict(state)
    assert resumed.param_groups[0]["precision"] == "fp32"
    for group in state["param_groups"]:
        del group["precision"]
    earlier = muon("fp32")
    earlier.load_state_dict(state)
    assert earlier.param_groups[0]["precision"] == "bf16"


def test_muon_flattens_filters_and_leaves_the_first_ones_and_the_norms_to_adamw() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = build_optimizer(net, "muon", lr=0.06, weight_decay=0.0, momentum=0.9)
    for group in optimizer.param_groups:
        group["lr"] = 0.06 * group["lr_scale"]
    net(torch.randn(4, 3, 8, 8)).square().mean().backward()
    optimizer.step()
    moved = [(p.detach() - old) for p, old in zip(net.parameters(), before, strict=True)]
    assert torch.allclose(moved[0].abs(), torch.full_like(moved[0], 0.002), rtol=1e-2)  # Adam's first step is +-lr
    singular = torch.linalg.svdvals(moved[4].reshape(4, -1)) / 0.06
    assert 0.6 < singular.min() < singular.max() < 1.3


@pytest.mark.parametrize("shape", [(12, 3), (3, 12), (6, 2, 2, 2), (4, 8, 3, 3)])
def test_muons_steps_are_those_of_its_author_written_out_in_float64(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(optim, "orthogonalise", lambda matrix, _: literal_iterations(matrix, torch.float64))
    torch.manual_seed(0)
    weight = torch.randn(shape, dtype=torch.float64)
    parameter, momentum = nn.Parameter(weight.clone()), torch.zeros_like(weight)
    group = {"params": [parameter], "weight_decay": 0.3, "lr_scale": 1.0, "muon": True}
    optimizer, lr, keep = Muon([group], lr=0.2, momentum=0.8), 0.2, 0.8
    for _ in range(3):
        gradient = torch.randn(shape, dtype=torch.float64)
        parameter.grad = gradient.clone()
        optimizer.step()
        momentum = keep * momentum + (1 - keep) * gradient
        nesterov = (keep * momentum + (1 - keep) * gradient).flatten(1)
        scale = max(1.0, nesterov.shape[0] / nesterov.shape[1]) ** 0.5
        weight = (1 - lr * 0.3) * weight - lr * scale * literal_iterations(nesterov, torch.float64).view(shape)
        assert torch.allclose(parameter, weight, rtol=0, atol=1e-9)


def test_muon_builds_with_the_weight_decay_and_momentum_that_were_asked_for() -> None:
    net = nn.Sequential(nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(net, "muon", lr=0.1, weight_decay=0.5, momentum=0.7)
    (of_muon,) = (group for group in optimizer.param_groups if group["muon"])
    assert (of_muon["weight_decay"], of_muon["momentum"], of_muon["lr_scale"]) == (0.5, 0.7, 1.0)
    assert {id(p) for p in of_muon["params"]} == {id(net[0].weight), id(net[2].weight)}


def test_adamw_of_muon_equals_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    group = {"params": [ours], "weight_decay": 0.1, "lr_scale": 1.0, "muon": False}
    first = Muon([group], lr=0.01, momentum=0.9)
    second = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(5):
        gradient = torch.randn(5)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        first.step()
        second.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_biases_and_norms_do_not_decay(name: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(net, name, lr=0.1, weight_decay=0.5, momentum=0.9)
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decays) == 6
    assert all(decays[id(p)] == 0 for p in net.parameters() if p.ndim == 1)
    assert decays[id(net[3].weight)] == 0.5
    assert decays[id(net[0].weight)] == (0 if name == "muon" else 0.5)  # AdamW's part of Muon does not decay


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_tables_of_positions_do_not_decay_and_are_not_orthogonalised(name: str) -> None:
    net = nn.Module()
    net.relative_position_bias_table = nn.Parameter(torch.ones(49, 4))
    net.pos_embed = nn.Parameter(torch.ones(1, 8, 4, 4))
    net.layer = nn.Linear(4, 4, bias=False)
    optimizer = build_optimizer(nn.ModuleDict({"net": net}), name, lr=0.1, weight_decay=0.5, momentum=0.9)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for table in (net.relative_position_bias_table, net.pos_embed):
        assert groups[id(table)]["weight_decay"] == 0
        assert not groups[id(table)].get("muon")
    assert groups[id(net.layer.weight)]["weight_decay"] == 0.5
    assert groups[id(net.layer.weight)].get("muon", name != "muon")


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_parameters_with_a_rate_and_decay_of_their_own_are_in_groups_of_their_own(name: str) -> None:
    net = nn.ModuleDict({"encoder": nn.Linear(3, 4), "predictor": nn.Linear(4, 4), "prototypes": nn.Linear(4, 8, bias=False)})
    own = [
        ParameterGroup(parameters=list(net["predictor"].parameters()), lr_scale=10.0, constant_lr=True),
        ParameterGroup(parameters=list(net["prototypes"].parameters()), lr_scale=0.5, weight_decay=0.25),
    ]
    optimizer = build_optimizer(net, name, lr=0.1, weight_decay=0.5, momentum=0.9, own=own)
    plain = build_optimizer(net, name, lr=0.1, weight_decay=0.5, momentum=0.9)
    group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    usual = {id(p): group for group in plain.param_groups for p in group["params"]}
    assert group_of.keys() == {id(p) for p in net.parameters()}
    for part, scale, decay in (("encoder", 1.0, 0.5), ("predictor", 10.0, 0.5), ("prototypes", 0.5, 0.25)):
        for p in net[part].parameters():
            group, before = group_of[id(p)], usual[id(p)]
            assert group["lr_scale"] == pytest.approx(scale * before["lr_scale"])
            assert group["weight_decay"] == (decay if before["weight_decay"] else 0.0)
            assert group.get("constant_lr") == (pytest.approx(0.1 * group["lr_scale"]) if part == "predictor" else None)
