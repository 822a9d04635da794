"""Every method's loss and gradient against loops over its paper's formula, and against lightly's where it has the loss."""

import importlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor

from sslcli.methods import METHODS
from sslcli.methods.method import Batch, Method
from tests.small_methods import small_batch, small_method

Found = tuple[Tensor, dict[str, Tensor]]
Reference = Callable[[Method, Batch], Tensor]
NEEDS_LIGHTLY = pytest.mark.skipif(find_spec("lightly") is None, reason="lightly is not installed (sslcli[bench])")


def of(name: str) -> Any:
    """The literal loss of a method: each has a file in literal_losses."""
    return importlib.import_module(f"tests.methods.literal_losses.{name.replace('-', '_')}")


def cases(*, function: str) -> list[Any]:
    return list(_cases(function))


def _cases(function: str) -> Iterator[Any]:
    for name in METHODS:
        for chosen in ({}, *vars(of(name)).get("VARIANTS", ())):
            if function in vars(of(name)):
                yield pytest.param(name, chosen, id=" ".join([name, *map(str, chosen.values())]))


def seen(name: str, chosen: dict[str, Any]) -> tuple[Method, Batch]:
    """A method after two batches: its queues have begun to fill, its teacher is no longer its student. And a third batch."""
    method = small_method(name, **chosen)
    for step in (0, 1):
        method(small_batch(method, step), step)
        with torch.no_grad():
            for parameter in method.encoder.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        method.after_step(0.1 * step)
    return method, small_batch(method, 2)


def with_gradient(method: Method, loss: Tensor) -> Found:
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True, materialize_grads=True)
    return loss.detach(), dict(zip(trained, gradients, strict=True))


def same(ours: Found, theirs: Found, *, within: float) -> None:
    assert torch.allclose(ours[0], theirs[0], rtol=0, atol=within)
    assert {name: float((g - theirs[1][name]).abs().max()) for name, g in ours[1].items()} == {
        name: pytest.approx(0, abs=within) for name in theirs[1]
    }
    assert any(float(g.abs().max()) > 1e-3 for g in theirs[1].values())


def check_against(reference: Reference, name: str, chosen: dict[str, Any], *, within: float) -> None:
    """The method's loss and gradient are those of another computation of the same loss."""
    method, batch = seen(name, chosen)
    other = deepcopy(method)
    theirs = with_gradient(other, reference(other, batch))
    same(with_gradient(method, method(batch, 2)[0]), theirs, within=within)


@pytest.mark.parametrize(("name", "chosen"), cases(function="literal"))
def test_loss_and_gradient_equal_the_papers_formula(name: str, chosen: dict[str, Any]) -> None:
    check_against(of(name).literal, name, chosen, within=1e-8)


@NEEDS_LIGHTLY
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
@pytest.mark.parametrize(("name", "chosen"), cases(function="lightlys"))
def test_loss_and_gradient_equal_lightlys(name: str, chosen: dict[str, Any]) -> None:
    check_against(of(name).lightlys, name, chosen, within=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_is_float32_under_autocast_and_its_scalars_have_no_gradient(name: str) -> None:
    method = small_method(name).float()
    batch = small_batch(method)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, scalars = method(Batch([view.float() for view in batch.views], batch.rows), 0)
    assert (loss.dtype, loss.shape, loss.isfinite().item()) == (torch.float32, (), True)
    assert not any(value.requires_grad for value in scalars.values())
    assert all(value.shape == () for value in scalars.values())


@pytest.mark.parametrize("name", METHODS)
def test_z_is_as_long_as_the_method_says_and_the_evaluated_encoder_is_one_of_its_parts(name: str) -> None:
    method = small_method(name)
    h = method.evaluated(small_batch(method).views[0])
    assert h.shape == (8, method.encoder.dim)
    assert any(module is method.evaluated for module in method.modules())
    if method.z_dim is not None:
        assert method.project(h).shape == (8, method.z_dim)
