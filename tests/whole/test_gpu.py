"""A GPU computes what a CPU computes. These tests, and those of other files that need a GPU, run by one command:

    python -m pytest -m gpu -n 0

With -m mps those run that make sense on a GPU of Apple's. Without such a device they are skipped, and say so.
"""

import shutil
import sysconfig
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.data.augment import Augmentation, make_views, sample_parameters
from sslcli.methods import METHODS
from sslcli.methods.method import Batch
from sslcli.models.encoder import build_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import capture
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.device import autocast, be_deterministic, describe
from sslcli.training.optim import build_optimizer
from tests.conftest import TINY, Cli
from tests.small_methods import small_batch, small_method

Done = Callable[[str], Run]
CPU = torch.device("cpu")
CAN_COMPILE = bool(shutil.which("cc") or shutil.which("gcc")) and Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture(autouse=True)
def _no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32 is float32: else convolutions keep ten bits of it."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture(autouse=True)
def _the_same_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGReg's random directions are the same on every device, each of which draws others from the same seed."""

    def directions(count: int, z: Tensor) -> Tensor:
        drawn = torch.randn(z.shape[-1], count, generator=torch.Generator().manual_seed(0))
        return F.normalize(drawn, dim=0).to(z.dtype).to(z.device)

    monkeypatch.setattr("sslcli.methods.sigreg.random_directions", directions)


def step_of(name: str, device: torch.device, dtype: torch.dtype, precision: str = "fp32") -> tuple[Tensor, Tensor]:
    """The loss of a method's step of 64 images and its gradients in one vector, float64 on the CPU, however computed."""
    method, batch = small_method(name).to(dtype).to(device), small_batch(small_method(name), images=64)
    views = [view.to(dtype).to(device, memory_format=torch.channels_last) for view in batch.views]
    with autocast(device, precision)() if dtype == torch.float32 else nullcontext():
        loss, _ = method(Batch(views, batch.rows.to(device)), 0)
    loss.backward()
    gradients = [p.grad.flatten() for p in method.parameters() if p.grad is not None]
    return loss.detach().cpu().double(), torch.cat(gradients).cpu().double()


def apart(found: Tensor, wanted: Tensor) -> float:
    """How far two tensors are apart, as a part of the second one's length."""
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-3), (torch.float64, 1e-6)])
@pytest.mark.parametrize("method", METHODS)
def test_a_methods_loss_and_gradients_are_those_of_the_cpu(
    method: str, dtype: torch.dtype, bound: float, accelerator: torch.device
) -> None:
    if accelerator.type == "mps" and dtype == torch.float64:
        pytest.skip("mps has no float64")
    (loss, gradients), (exact, of_exact) = step_of(method, accelerator, dtype), step_of(method, CPU, torch.float64)
    assert apart(loss, exact) < 0.1 * bound
    assert apart(gradients, of_exact) < bound


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_changes_a_methods_loss_and_gradients_by_little(
    method: str, accelerator: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NNCLR's neighbours are held, after rounding others may be nearest; they are random, so that its gradient is noisier."""
    monkeypatch.setattr("sslcli.methods.nnclr.NNCLR.nearest", lambda self, z: self.queue.rows.repeat(3, 1)[: len(z)].clone())
    wanted, of_wanted = step_of(method, accelerator, torch.float32)
    loss, gradients = step_of(method, accelerator, torch.float32, "bf16")
    assert apart(loss, wanted) < 0.02
    assert gradients.isfinite().all()
    assert not torch.equal(gradients, of_wanted)
    assert F.cosine_similarity(gradients, of_wanted, dim=0) > (0.95 if method == "nnclr" else 0.98)


@pytest.mark.parametrize("size", [16, 32])
def test_views_are_those_of_the_cpu(size: int, accelerator: torch.device) -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=random)
    parameters = sample_parameters(64, 32, 32, Augmentation(blur=0.5), random)
    made, wanted = (
        make_views(images.to(device), parameters, size=size, mean=torch.zeros(3).to(device), std=torch.ones(3).to(device)).cpu()
        for device in (accelerator, CPU)
    )
    assert (made - wanted).abs().max() < 1 / 255


def steps_of(optimizer: str, precision: str, device: torch.device) -> list[Tensor]:
    """How far three steps move the parameters of a net, some of which have the same shape, with given gradients."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(*channels, 3) for channels in ((3, 16), (16, 16), (16, 16), (16, 32))]
    net = nn.Sequential(*layers, nn.BatchNorm2d(32), nn.Linear(96, 24), nn.Linear(24, 96), nn.Linear(96, 24))
    net.to(device, memory_format=torch.channels_last)
    before = [p.detach().cpu().clone() for p in net.parameters()]
    made = build_optimizer(net, optimizer, lr=0.1, weight_decay=0.1, momentum=0.9, precision=precision)
    random = torch.Generator().manual_seed(0)
    for _ in range(3):
        for p in net.parameters():
            p.grad = torch.randn(p.shape, generator=random).to(device)
        made.step()
    return [p.detach().cpu() - old for p, old in zip(net.parameters(), before, strict=True)]


@pytest.mark.parametrize(
    ("optimizer", "precision", "bound"),
    [("sgd", "fp32", 1e-5), ("adamw", "fp32", 1e-5), ("muon", "fp32", 1e-4), ("muon", "bf16", 0.07)],
)
def test_three_steps_of_an_optimizer_are_those_of_the_cpu(
    optimizer: str, precision: str, bound: float, accelerator: torch.device
) -> None:
    moved, wanted = steps_of(optimizer, precision, accelerator), steps_of(optimizer, "fp32", CPU)
    for found, exact in zip(moved, wanted, strict=True):
        assert exact.norm() > 0
        assert apart(found, exact) < bound


def test_what_is_pretrained_on_a_gpu_is_measured_there_and_nearest_neighbours_vote_as_on_the_cpu(
    done: Done, ssl: Cli, accelerator: torch.device
) -> None:
    assert done(f"pretrain {TINY} --device {accelerator}").device == describe(accelerator)
    for line in ("probe --epochs 2", "finetune --epochs 1 --batch-size 32 --optimizer muon"):
        assert 0 < done(f"{line} --device {accelerator}").metrics["test_acc"] <= 1
    votes = [done(f"probe --protocol knn --precision fp32 --device {device}") for device in (accelerator, CPU)]
    here, there = (run.metrics["test_acc"] * 80 for run in votes)
    assert abs(here - there) < 2.5  # images of 80
    assert ssl("runs verify").code == 0


@pytest.mark.gpu
@pytest.mark.parametrize("method", ["simclr --views 3", "byol"])
def test_replayed_steps_give_the_weights_of_steps_that_are_not(
    method: str, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --compile, but nothing compiled, a run is the same run, whose steps are recorded as CUDA graphs and replayed."""
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)
    recorded: list[int] = []
    record = capture.record
    monkeypatch.setattr(capture, "record", lambda *of: recorded.append(1) or record(*of))
    line = f"pretrain {TINY} --method {method} --epochs 4 --view-sizes 16:0.5,24:0.5 --optimizer muon --device cuda"
    lines = [f"{line} --deterministic{flag}" for flag in ("", " --compile")]
    plain, replayed = (load_checkpoint(registry, done(one), "last")["model"] for one in lines)
    assert len(recorded) > 4
    assert all(torch.equal(plain[name], replayed[name]) for name in plain)


@pytest.mark.gpu
def test_a_gpu_without_memory_enough_is_said(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(images: Tensor, *_: object, **__: object) -> Tensor:
        return torch.empty(2**50, dtype=torch.uint8, device=images.device)

    monkeypatch.setattr("sslcli.plans.views.make_views", too_large)
    refused = ssl(f"pretrain {TINY} --device cuda")
    assert refused.code == 3
    assert "out of memory at --batch-size 32; try --batch-size 16" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.gpu
def test_a_transformer_on_views_of_another_size_has_a_deterministic_gradient() -> None:
    be_deterministic(on=True)
    try:
        gradients = []
        for _ in range(2):
            net = build_encoder("vit-tiny", stem="patch4", seed=0).to("cuda")
            net(torch.ones(4, 3, 24, 24, device="cuda")).square().sum().backward()
            gradients.append([p.grad.cpu() for p in net.parameters() if p.grad is not None])
    finally:
        be_deterministic(on=False)
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


@pytest.mark.skipif(not CAN_COMPILE, reason="torch.compile needs a C compiler and Python.h")
def test_the_last_a_compiled_run_has_the_loss_of_one_that_is_not(done: Done, accelerator: torch.device) -> None:
    line = f"pretrain {TINY} --max-steps 3 --precision fp32 --device {accelerator}"
    plain, compiled = (done(f"{line}{flag}").metrics["loss"] for flag in ("", " --compile"))
    assert compiled == pytest.approx(plain, rel=0.01)
