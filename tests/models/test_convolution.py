"""Convolutions as products, of small maps and by Winograd's way, against torch's own."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
import torchvision
from torch import Tensor, nn

from sslcli.models import convolution, winograd
from sslcli.models.convolution import QuickConv2d, quicken, use_winograd
from sslcli.models.encoder import build_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint, save_checkpoint
from sslcli.workflows import training_run
from tests.conftest import TINY, Cli

SIDES = [(side, side) for side in range(1, 6)] + [(1, 2), (2, 1), (3, 2), (5, 4), (8, 7)]


def gradients(module: nn.Conv2d, x: Tensor, dy: Tensor) -> tuple[Tensor, ...]:
    """Output, and gradients of the input and of the weights."""
    x = x.clone().requires_grad_()
    y = module(x)
    y.backward(dy)
    assert module.weight.grad is not None
    found = y.detach(), x.grad, module.weight.grad.clone()
    module.weight.grad = None
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(("sides", "stride"), [*product(SIDES, (1, 2))])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_products_give_the_convolution_and_its_gradients(
    sides: tuple[int, int], stride: int, form: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(convolution.SMALL, torch.float64, 8)
    monkeypatch.setattr(convolution, "MANY", 0)
    torch.manual_seed(0)
    theirs = nn.Conv2d(6, 4, 3, stride, padding=1, bias=False).double().to(memory_format=form)
    ours = QuickConv2d(theirs)
    assert ours.weight is theirs.weight
    x = torch.randn(3, 6, *sides, dtype=torch.float64).contiguous(memory_format=form)
    dy = torch.randn_like(theirs(x))
    names = [made.grad_fn.name() for made in (ours(x), theirs(x))]
    assert names == ["_ProductBackward", "ConvolutionBackward0"]
    for mine, torchs in zip(gradients(ours, x, dy), gradients(theirs, x, dy), strict=True):
        assert torch.allclose(mine, torchs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_in_bfloat16_products_are_as_exact_as_torchs_own(side: int) -> None:
    torch.manual_seed(0)
    exact = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    x, dy = torch.randn(2, 32, 64, side, side)
    truth = gradients(exact.double(), x.double(), dy.double())
    exact.float()
    found = {}
    for name, module in {"ours": QuickConv2d(exact), "torch's": exact}.items():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert module(x).dtype == torch.bfloat16
            made = gradients(module, x, dy.bfloat16())
        found[name] = [float((m - t).norm() / t.norm()) for m, t in zip(made, truth, strict=True)]
    for ours, torchs in zip(found["ours"], found["torch's"], strict=True):
        assert ours < max(1.1 * torchs, 2**-9), found


def test_only_plain_convolutions_of_many_channels_are_replaced_and_names_stay() -> None:
    net = torchvision.models.resnet18()
    names, weights = list(net.state_dict()), {id(p) for p in net.parameters()}
    quicken(net)
    assert list(net.state_dict()) == names
    assert {id(p) for p in net.parameters()} == weights
    quick = [name for name, module in net.named_modules() if isinstance(module, QuickConv2d)]
    assert len(quick) == 16  # all but the stem and the three of 1x1
    others = nn.Sequential(
        nn.Conv2d(64, 8, 3, padding=1), nn.Conv2d(64, 8, 3, bias=False), nn.Conv2d(64, 64, 3, padding=1, groups=2, bias=False),
        nn.Conv2d(64, 8, 3, padding=2, dilation=2, bias=False), nn.Conv2d(32, 8, 3, padding=1, bias=False),
        nn.Conv2d(64, 8, 3, stride=3, padding=1, bias=False),
    )  # fmt: skip
    quicken(others)
    assert {type(module) for module in others} == {nn.Conv2d}


@pytest.mark.parametrize("size", [8, 16, 24])
def test_an_encoder_is_the_one_that_torchvision_has(size: int) -> None:
    ours = build_encoder("resnet18", stem="conv3-s2", seed=1)
    theirs = torchvision.models.resnet18()
    theirs.conv1, theirs.maxpool, theirs.fc = nn.Conv2d(3, 64, 3, 2, padding=1, bias=False), nn.Identity(), nn.Identity()
    theirs.load_state_dict(ours.backbone.state_dict())
    images = torch.randn(8, 3, size, size, dtype=torch.float64)
    h = [net.double()(images) for net in (ours, theirs)]
    assert torch.allclose(*h, atol=1e-9)
    for made in h:
        made.square().sum().backward()
    for (name, mine), torchs in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, torchs.grad, rtol=1e-8, atol=1e-8), name


WINOGRAD = [(1, 1), (2, 3), (4, 4), (4, 8), (5, 6), (7, 7), (9, 14), (16, 16)]


@pytest.mark.parametrize("sides", WINOGRAD)
@pytest.mark.parametrize("turns", ["one", "many"])
def test_winograds_way_gives_the_convolution_and_its_gradients(
    sides: tuple[int, int], turns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "CACHED", 1 if turns == "many" else winograd.CACHED)
    torch.manual_seed(0)
    exact = nn.Conv2d(5, 7, 3, padding=1, bias=False).double()
    x = torch.randn(3, 5, *sides, dtype=torch.float64)
    dy = torch.randn(3, 7, *sides, dtype=torch.float64)
    y, dx, d_weight = gradients(exact, x, dy)
    x, y, dx, dy = (of.permute(0, 2, 3, 1).contiguous() for of in (x, y, dx, dy))
    weight = exact.weight.detach()
    assert torch.allclose(winograd.convolve(x, weight), y, rtol=0, atol=1e-12)
    found = winograd.gradients(x, weight, dy, of_x=True, of_weight=True)
    for mine, torchs in zip(found, (dx, d_weight), strict=True):
        assert mine is not None
        assert torch.allclose(mine, torchs, rtol=0, atol=1e-12)
    assert winograd.gradients(x, weight, dy, of_x=False, of_weight=True)[0] is None
    assert winograd.gradients(x, weight, dy, of_x=True, of_weight=False)[1] is None


@pytest.mark.parametrize("side", [4, 7, 16])
def test_in_float32_winograds_way_is_exact_to_four_digits(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    torch.manual_seed(0)
    exact = nn.Conv2d(128, 128, 3, padding=1, bias=False)
    x, dy = torch.randn(2, 16, 128, side, side)
    truth = gradients(exact.double(), x.double(), dy.double())
    ours = QuickConv2d(exact.float())
    assert ours(x).grad_fn.name() == "_WinogradBackward"
    for mine, true in zip(gradients(ours, x, dy), truth, strict=True):
        assert (mine - true).norm() < 4e-6 * true.norm()
        assert (mine - true).abs().max() < 1e-4 * true.abs().max()


def ways(channels: tuple[int, int], side: int, **options: object) -> str:
    """How a convolution that trains in float32 on a map of that side is computed."""
    ours = QuickConv2d(nn.Conv2d(*channels, 3, padding=1, bias=False, **options))  # type: ignore[arg-type]
    return str(ours(torch.randn(2, channels[0], side, side)).grad_fn.name())


def test_winograds_way_is_taken_where_it_was_measured_to_be_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, torchs = "_WinogradBackward", "ConvolutionBackward0"
    wanted = {"AVX2": (quick, quick, torchs), "AVX512": (torchs, quick, torchs), "DEFAULT": (torchs, torchs, torchs)}
    for capability, found in wanted.items():
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda capability=capability: capability)
        assert (ways((64, 128), 8), ways((256, 256), 4), ways((64, 64), 8)) == found, capability
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert [ways((128, 128), side) for side in (4, 5, 6, 7, 8)] == [quick, torchs, quick, quick, quick]
    assert ways((128, 128), 8, stride=2) == torchs
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ways((128, 128), 8) == torchs


def test_what_is_only_read_and_what_began_without_it_is_computed_torchs_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    torchs = nn.Conv2d(128, 128, 3, padding=1, bias=False)
    net, x = nn.Sequential(QuickConv2d(torchs)), torch.randn(4, 128, 8, 8)
    assert not torch.equal(net(x), torchs(x))
    with torch.no_grad():
        assert torch.equal(net(x), torchs(x))
    use_winograd(net, on=False)
    assert torch.equal(net(x), torchs(x))


@pytest.mark.parametrize("earlier", [False, True])
def test_a_training_goes_on_with_the_convolutions_that_it_began_with(
    ssl: Cli, done: Callable[[str], Run], registry: Registry, monkeypatch: pytest.MonkeyPatch, earlier: bool
) -> None:
    """Without Winograd's way if an earlier version began it, whose checkpoints do not name it."""
    run = done(f"pretrain {TINY}")
    run.status = "interrupted"  # before it could say that it is done
    registry.save(run)
    begun = load_checkpoint(registry, run, "last")
    assert begun.pop("winograd") is True
    if earlier:
        save_checkpoint(registry, run, "last", begun)
    asked = []
    monkeypatch.setattr(training_run, "use_winograd", lambda _, *, on: asked.append(on))
    assert ssl("resume").code == 0
    assert asked == [not earlier]
