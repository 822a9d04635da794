"""What a GPU records and replays is what it would have computed. A stand-in plays its part; whole/test_gpu.py has one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from sslcli.methods import METHODS
from sslcli.methods.method import Batch, Method
from sslcli.training import capture, optim
from sslcli.training.capture import WARM_UP, Recorded, Replay, Work, captured
from sslcli.training.lifecycle import Stop
from sslcli.training.log import Log
from sslcli.training.loop import Progress, take_steps
from sslcli.training.optim import Muon, build_optimizer
from sslcli.training.step import Loss, Training
from tests.small_methods import small_batch, small_method

REPLAYED = [name for name in METHODS if small_method(name).same_each_step]
STEPS = 3 * WARM_UP


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Recording without a GPU, where replaying is doing it again: into the same outputs. How many outputs each record has."""
    counts: list[int] = []

    def record(work: Work, inputs: Sequence[Tensor], _: Any) -> tuple[list[Tensor], Replay]:
        outputs: list[Tensor] = []

        def replay() -> None:
            for place, value in enumerate(work(*inputs)):
                outputs[place].copy_(value) if place < len(outputs) else outputs.append(value)
            if not counts or counts[-1] != len(outputs):
                counts.append(len(outputs))

        return outputs, replay

    monkeypatch.setattr(capture, "record", record)
    return counts


def weights_after(name: str, *, replayed: bool) -> tuple[dict[str, Tensor], list[float]]:
    """The state of a small method after STEPS steps of Muon, its views smaller from the middle on, and the loss of each."""
    method, losses = small_method(name), []

    def views_of(step: int, _: tuple[Tensor, ...]) -> list[Tensor]:
        views = small_batch(method, step).views
        return views if step < STEPS // 2 else [view[..., :-2, :-2].contiguous() for view in views]

    def loss_of(views: list[Tensor], batch: tuple[Tensor, ...]) -> Loss:
        return method(Batch(views, batch[1]), int(batch[2]))

    training = Training(
        module=method, views_of=views_of, loss_of=loss_of, lr_at=lambda step: 0.1 / (1 + step), steps=STEPS, epoch_steps=STEPS,
        optimizer=build_optimizer(method, "muon", lr=0.1, weight_decay=0.1, momentum=0.9),
        batch_at=lambda step: (torch.empty(0), small_batch(method, step).rows, torch.tensor([step])), batch_size=1, per_step=1,
        seed=1,
    )  # fmt: skip
    if replayed:
        training = captured(training)
        training.optimizer.recorded = Recorded()

    def loss_at(step: int) -> Loss:
        loss, scalars = training.loss_at(step)
        losses.append(float(loss.detach()))
        return loss, scalars

    log = Log("", events=None, start=0, steps=STEPS, epoch_steps=STEPS, per_step=1, record_every=1)
    take_steps(
        method, training.optimizer, loss_at=loss_at, lr_at=training.lr_at, steps=STEPS, epoch_steps=STEPS, seed=1,
        progress=Progress(), log=log, stop=Stop(), save=lambda: None, evaluate=lambda _: {}, before_step=method.before_step,
        after_step=method.after_step,
    )  # fmt: skip
    return method.state_dict(), losses


@pytest.mark.parametrize("name", REPLAYED)
def test_replayed_steps_give_the_weights_of_steps_that_are_not(
    name: str, made: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optim, "shape_on_gpu", lambda p: p.shape)
    (plain, losses), (replayed, of_replayed) = (weights_after(name, replayed=on) for on in (False, True))
    assert made, "nothing was recorded"
    assert losses == of_replayed
    assert plain.keys() == replayed.keys()
    assert all(torch.equal(plain[key], replayed[key]) for key in plain)


def test_gradients_that_lie_where_those_of_another_parameter_lay_move_their_own_parameter() -> None:
    def after(recorded: Recorded | None) -> list[Tensor]:
        torch.manual_seed(0)
        layers = torch.nn.Sequential(*(torch.nn.Linear(4, 4, bias=False) for _ in range(2)))
        optimizer = build_optimizer(layers, "muon", lr=0.1, weight_decay=0.1, momentum=0.9)
        assert isinstance(optimizer, Muon)
        optimizer.recorded = recorded
        places = torch.empty(2, 4, 4)
        for step in range(2 * WARM_UP + 2):
            swapped = step > WARM_UP  # each is recorded by then
            for number, layer in enumerate(layers):
                place = places[1 - number if swapped else number]
                layer.weight.grad = place.copy_(torch.randn(4, 4))
            optimizer.step()
        return [layer.weight for layer in layers]

    assert all(torch.equal(*pair) for pair in zip(after(None), after(Recorded()), strict=True))


@pytest.mark.parametrize("name", REPLAYED)
def test_a_method_that_is_replayed_does_the_same_at_each_step_and_draws_nothing(name: str) -> None:
    method = small_method(name)
    later, batch = copy.deepcopy(method), small_batch(method)
    torch.manual_seed(0)
    first = method(batch, 0)
    torch.manual_seed(1)
    second = later(batch, 7)
    assert torch.equal(first[0], second[0])
    assert first[1].keys() == second[1].keys()
    assert type(method).before_step is Method.before_step, "what it does to gradients would be replayed too late"


def test_work_is_recorded_by_its_key_and_reads_the_inputs_of_each_call(made: list[int]) -> None:
    recorded = Recorded()

    def work(values: Tensor) -> list[Tensor]:
        return [2 * values, values.sum()]

    for number in range(2 * WARM_UP + 2):
        values = torch.full((2 + number % 2,), float(number))
        doubled, total = recorded.run(work, [values], key=values.shape)
        assert torch.equal(doubled, 2 * values)
        assert total == values.sum()
    assert len(recorded.made) == 2
    assert set(made) == {2}
