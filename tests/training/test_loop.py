"""The training loop, against the same steps written out; the rates that it goes through; what it chooses and averages."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from sslcli.options.pretrain import Pretrain
from sslcli.training.device import autocast, seed_draws
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.recipe import default_rate, rate_schedule, total_steps

STEPS, EPOCH = 6, 3


def trained(module: nn.Module, optimizer: torch.optim.Optimizer, **more: Any) -> Progress:
    """`take_steps` on one number a step: 1, 2, 3 and on, at rates 0.1, 0.2, 0.3 and on."""
    progress = Progress()
    log = Log("", events=None, start=0, steps=STEPS, epoch_steps=EPOCH, per_step=1, record_every=STEPS)
    known: dict[str, Any] = {
        "loss_at": lambda step: (module(torch.tensor([[step + 1.0]])).square().sum(), {}),
        "lr_at": lambda step: 0.01 * (step + 1), "evaluate": lambda _: {}, "save": lambda: None,
    }  # fmt: skip
    take_steps(
        module, optimizer, steps=STEPS, epoch_steps=EPOCH, seed=0, progress=progress, log=log, stop=Stop(), **known | more
    )
    return progress


def test_what_a_step_draws_on_a_cpu_is_what_torchs_own_seed_gives() -> None:
    for seed in (0, 5, 2**63 - 1):
        torch.manual_seed(seed)
        expected = torch.rand(3), functional.dropout(torch.ones(64))
        seed_draws(seed, torch.device("cpu"))
        assert all(map(torch.equal, expected, (torch.rand(3), functional.dropout(torch.ones(64)))))


def test_fit_takes_the_steps_that_are_written_out_here() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    group = {"params": [module.weight], "lr_scale": 0.5}
    progress = trained(module, torch.optim.SGD([group], lr=99.0))
    weight, losses = 1.0, []
    for step in range(STEPS):
        x = step + 1.0
        losses.append((weight * x) ** 2)
        weight -= 0.5 * 0.01 * x * 2 * weight * x * x
    assert module.weight.item() == pytest.approx(weight, rel=1e-5)
    assert [epoch["train/loss_epoch"] for epoch in progress.history] == pytest.approx(
        [sum(losses[:3]) / 3, sum(losses[3:]) / 3], rel=1e-5
    )


def test_chance_in_a_net_differs_from_step_to_step_and_is_the_same_each_time() -> None:
    drawn: list[list[float]] = []
    for _ in range(2):
        module, seen = nn.Linear(1, 1), list[float]()

        def loss_at(_: int, module: nn.Module = module, seen: list[float] = seen) -> Any:
            seen.append(float(torch.rand(())))
            return module(torch.ones(1, 1)).sum(), {}

        trained(module, torch.optim.SGD([{"params": module.parameters(), "lr_scale": 1.0}], lr=0.1), loss_at=loss_at)
        drawn.append(seen)
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == STEPS


def test_a_net_trains_in_training_mode_again_after_it_was_measured() -> None:
    module, modes = nn.Linear(1, 1), list[bool]()

    def loss_at(_: int) -> Any:
        modes.append(module.training)
        return module(torch.ones(1, 1)).sum(), {}

    def evaluate(_: int) -> dict[str, float]:
        module.eval()
        return {}

    optimizer = torch.optim.SGD([{"params": module.parameters(), "lr_scale": 1.0}], lr=0.1)
    trained(module, optimizer, loss_at=loss_at, evaluate=evaluate)
    assert modes == [True] * STEPS


def test_of_epochs_with_equal_accuracy_the_one_with_the_lower_loss_is_chosen() -> None:
    for losses, chosen in (((1.0, 0.5), 2), ((0.5, 1.0), 1), ((0.5, 0.5), 1)):
        progress, net = Progress(), nn.Linear(1, 1)
        for epoch, loss in enumerate(losses, 1):
            progress.keep_best(net, {"epoch": epoch, "val/acc": 0.5, "val/loss": loss})
        assert progress.best["metrics"]["epoch"] == chosen


def test_the_rate_warms_up_over_epochs_and_max_steps_end_it() -> None:
    options = Pretrain(lr=2.0, warmup_epochs=2.0, epochs=10)
    rate = rate_schedule(options, 50, 5)
    assert [rate(0), rate(9), rate(10)] == pytest.approx([0.2, 2.0, 2.0])
    assert rate(30) == pytest.approx(1.0)
    assert total_steps(options, 5) == 50
    assert total_steps(Pretrain(epochs=10, max_steps=7), 5) == 7
    assert total_steps(Pretrain(epochs=10, max_steps=70), 5) == 50


def test_where_no_rate_is_given_it_goes_with_the_batch_and_by_its_root_for_adam() -> None:
    assert default_rate("sgd", 512, 100) == pytest.approx(0.12)
    assert default_rate("sgd", 512, 400) == pytest.approx(0.06)
    assert default_rate("adamw", 1024, 100) == pytest.approx(0.002)
    assert default_rate("muon", 512, 100) == pytest.approx(0.06)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_products_have_the_precision_that_was_asked_for(precision: str, dtype: torch.dtype) -> None:
    with autocast(torch.device("cpu"), precision)():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype


def test_a_method_may_let_go_of_gradients_before_a_step_and_is_told_how_far_training_is() -> None:
    module, told = nn.Linear(1, 1, bias=False), list[tuple[str, float, bool]]()
    weights = []

    def before(progress: float) -> None:
        told.append(("before", progress, module.weight.grad is not None))
        weights.append(module.weight.item())
        if progress < 0.5:
            module.weight.grad = None

    def after(progress: float) -> None:
        told.append(("after", progress, module.weight.item() != weights[-1]))

    optimizer = torch.optim.SGD([{"params": [module.weight], "lr_scale": 1.0}], lr=0.1)
    trained(module, optimizer, before_step=before, after_step=after)
    expected = [
        call for step in range(STEPS)
        for call in (("before", step / STEPS, True), ("after", (step + 1) / STEPS, step / STEPS >= 0.5))
    ]  # fmt: skip
    assert told == expected


def test_a_group_with_a_constant_rate_of_its_own_keeps_it() -> None:
    module, rates = nn.Linear(1, 1), list[list[float]]()
    groups = [{"params": [module.weight], "lr_scale": 1.0}, {"params": [module.bias], "lr_scale": 1.0, "constant_lr": 0.25}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    trained(module, optimizer, before_step=lambda _: rates.append([group["lr"] for group in optimizer.param_groups]))
    assert rates == [[0.01 * (step + 1), 0.25] for step in range(STEPS)]


def test_the_event_file_of_a_resumed_run_is_of_a_later_second_than_those_before(tmp_path: Path) -> None:
    seconds = []
    for start in (0, 1):
        with Log("", events=tmp_path, start=start, steps=2, epoch_steps=1, per_step=1, record_every=1) as log:
            log.step(start + 1, loss=1.0, lr=0.1)
        seconds.append(max(int(path.name.split(".")[3]) for path in tmp_path.iterdir()))
    assert seconds[0] < seconds[1]
