"""What the protocols cost here beside their own steps: in seconds, tried on some of the work."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import torch

from sslcli.data.image_data import ImageData
from sslcli.data.split import Split
from sslcli.evaluation.protocols.protocol import AnyProtocol, Frozen, Steps
from sslcli.evaluation.represented import Represented
from sslcli.options.finetune import Finetune
from sslcli.plans.rate_trials import FACTORS, trial_options
from sslcli.plans.schedule import total_steps
from sslcli.training import device
from sslcli.training.step import Training


def random_h(dim: int, data: ImageData, parts: Split) -> Represented:
    """Random numbers in the place of representations: computing with them takes as long."""
    place = data.train_labels.device
    train_rows, val_rows = parts.train.to(place), parts.val.to(place)
    train, val, test = (torch.randn(len(rows), dim, device=place) for rows in (train_rows, val_rows, data.test_labels))
    mean, std = torch.zeros(dim, device=place), torch.ones(dim, device=place)
    return Represented(train, data.train_labels[train_rows], val, data.train_labels[val_rows], test, data.test_labels,
                       train_rows, mean, std, len(data.classes))  # fmt: skip


def parts_of(protocol: AnyProtocol, frozen: Frozen, options: Any) -> dict[str, float]:
    """Seconds by part of the work, steps left out: as the protocol says, else of the whole, timed."""
    if protocol.seconds is not None:
        return protocol.seconds(frozen, options)
    if protocol.by_steps or protocol.evaluate is None:
        return {}
    evaluate, steps = protocol.evaluate, Steps(_no_steps, _no_steps)
    return {protocol.name: device.seconds_of(lambda: evaluate(frozen, options, steps), frozen.h.train.device)}


def _no_steps(*_: object, **__: object) -> NoReturn:
    raise TypeError("a protocol without a `training` does not train by steps")


def trials_seconds(options: Finetune, training: Training, *, step_seconds: float, validating: float) -> float:
    """Seconds of the short trainings that choose fine-tuning's rate, where to validate once takes so many."""
    steps = total_steps(trial_options(options, rate=0.0), training.epoch_steps)
    return len(FACTORS) * (steps * step_seconds + math.ceil(steps / training.epoch_steps) * validating)
