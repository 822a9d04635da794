"""Convolutions of small maps as products, against torch's own."""

from itertools import product

import pytest
import torch
import torchvision
from torch import Tensor, nn

from sslcli.models import convolution
from sslcli.models.convolution import QuickConv2d, quicken
from sslcli.models.encoder import build_encoder

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
