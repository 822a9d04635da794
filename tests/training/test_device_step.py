"""Nothing in a training step waits for the device: what would have to be read from it is what cannot be read here."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sslcli.data.augment import Augmentation, Parameters, make_views, sample_parameters
from sslcli.data.sets.shapes import load
from sslcli.methods import METHODS
from sslcli.models import default_stem
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import training_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import loop
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.context import Context
from sslcli.training.device import autocast
from sslcli.training.events import read_scalars
from tests.conftest import TINY, Cli
from tests.small_methods import backbone_of


def step_of(options: Pretrain, context: Context) -> Callable[[int], Tensor]:
    """A whole step of pretraining, as `take_steps` takes it, on the device of its context."""
    _, training = training_of(options, context)

    def step(number: int) -> Tensor:
        loss, _ = training.loss_at(number)
        training.optimizer.zero_grad()
        loss.backward()
        training.before_step(number / 10)
        training.optimizer.step()
        training.after_step(number / 10)
        done: Tensor = loss.detach()
        return done

    return step


def options(method: str = "simclr", optimizer: str = "sgd", blur: float = 0.5) -> Pretrain:
    backbone = backbone_of(method, "resnet9")
    return Pretrain(
        method=method, dataset="shapes", backbone=backbone, stem=default_stem(backbone, 32), batch_size=16, optimizer=optimizer,  # type: ignore[arg-type]
        lr=0.1, weight_decay=0.1, view_sizes="16:0.5,24:0.5", blur=blur, max_steps=10,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("method", METHODS)
def test_a_step_reads_nothing_from_its_device(
    method: str, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the device "meta" tensors have no values, so that each look at one is an error."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # which knows no such device
    meta = torch.device("meta")
    context = Context(load(tmp_path, download=False).to(meta), meta, nullcontext, "", "fp32")
    context.data.__dict__["normalisation"] = (torch.zeros(3, device=meta), torch.ones(3, device=meta))
    step = step_of(options(method, optimizer), context)
    for number in (0, 9):  # one of each size of views
        assert step(number).is_meta
    with pytest.raises(RuntimeError, match="meta"):
        step(0).item()


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("method", "optimizer"), [("simclr", "sgd"), ("simclr", "adamw"), *((name, "muon") for name in METHODS)]
)
def test_a_step_on_a_gpu_does_not_make_the_host_wait(method: str, optimizer: str, tmp_path: Path) -> None:
    cuda = torch.device("cuda")
    context = Context(load(tmp_path, download=False).to(cuda), cuda, autocast(cuda, "bf16"), "", "bf16")
    step = step_of(options(method, optimizer), context)
    step(0), step(9)  # what is made once
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(1), step(8)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_parameters_brought_over_in_one_copy_are_those_that_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (16, 3, 32, 32), dtype=torch.uint8)
    parameters = sample_parameters(16, 32, 32, Augmentation(blur=0.5), torch.Generator().manual_seed(0))
    colours = {"mean": torch.zeros(3), "std": torch.ones(3)}
    wanted = make_views(images, parameters, size=24, **colours)
    copies = []
    monkeypatch.setattr("sslcli.data.augment.hand_over", lambda tensor, _: copies.append(tensor.clone()) or copies[0])
    moved = parameters.on(torch.device("meta"))
    assert len(copies) == 1
    assert isinstance(moved, Parameters)
    for name in Parameters.__dataclass_fields__:
        first, second = getattr(moved, name), getattr(parameters, name)
        assert first == second if name == "order" else torch.equal(first, second) and first.dtype == second.dtype
    assert torch.equal(make_views(images, moved, size=24, **colours), wanted)


def test_looking_at_the_losses_seldom_changes_no_number(ssl: Cli, done: Callable[[str], Run], registry: Registry) -> None:
    def curves(line: str) -> tuple[object, object]:
        run = done(line)
        history = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in run.history]
        return history, read_scalars(registry.path(run.folder)).points

    line = f"pretrain {TINY} --epochs 3"
    at_once = curves(line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(loop.LOOK_EVERY, "cpu", (5, 0.0))  # of 7 steps an epoch
        assert curves(line) == at_once
        result = ssl(f"{line} --optimizer sgd --lr 1e30 --warmup-epochs 0 --precision fp32")
    assert result.code == 3
    assert "the loss is nan at step 1, at learning rate" in result.err


def test_a_compiled_step_is_captured_whole_and_gives_the_same_weights(
    done: Callable[[str], Run], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, compiled, compile_with = f"pretrain {TINY} --view-sizes 16:0.5,24:0.5", [], torch.nn.Module.compile
    plain = load_checkpoint(registry, done(line), "last")["model"]

    def captured(module: torch.nn.Module, **how: bool) -> None:
        """Whole or not at all, and run as it was written: what torch makes of it for a machine takes a minute."""
        compiled.append(module)
        compile_with(module, **how, fullgraph=True, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", captured)
    weights = load_checkpoint(registry, done(f"{line} --compile"), "last")["model"]
    assert len(compiled) == 1
    assert weights.keys() == plain.keys()
    assert all(torch.equal(weights[name], plain[name]) for name in plain)
