"""The seconds of protocols here besides their training steps, extrapolated from a part of the work."""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from sslcli.data.image_data import ImageData
from sslcli.data.split import Split
from sslcli.evaluation.protocols.protocol import AnyProtocol, Pace, Start, Steps
from sslcli.evaluation.represented import Represented
from sslcli.options.finetune import Finetune
from sslcli.options.probe import Probe
from sslcli.training import device


def random_h(dim: int, data: ImageData, parts: Split) -> Represented:
    """Random numbers instead of representations; computing with them takes as long."""
    place = data.train_labels.device
    train_rows, val_rows = parts.train.to(place), parts.val.to(place)
    train, val, test = (torch.randn(len(rows), dim, device=place) for rows in (train_rows, val_rows, data.test_labels))
    mean, std = torch.zeros(dim, device=place), torch.ones(dim, device=place)
    return Represented(train, data.train_labels[train_rows], val, data.train_labels[val_rows], test, data.test_labels,
                       train_rows, mean, std, len(data.classes))  # fmt: skip


def parts_of(protocol: AnyProtocol, start: Start, options: Any, pace: Pace) -> dict[str, float]:
    """Seconds by part of the work, without steps: from the protocol's `seconds`, or else by timing `evaluate`."""
    if protocol.seconds is not None:
        return protocol.seconds(start, options, pace)
    if protocol.by_steps:
        return {}
    steps = Steps(_no_steps, _no_steps, _no_steps)
    return {protocol.name: device.seconds_of(lambda: protocol.evaluate(start, options, steps), start.context.device)}


def of_folds(options: Probe | Finetune, parts: Split, test: int, *, once: float) -> dict[str, float]:
    """Seconds of the trainings of all folds, which see the `test` images, too; `once` are those of one. {} without folds."""
    if not isinstance(options, Probe) or not options.folds:
        return {}
    labelled = len(parts.train) + len(parts.val)
    return {"folds": once * (options.folds - 1) * (labelled + test) / labelled}


def _no_steps(*_: object, **__: object) -> NoReturn:
    raise TypeError("a protocol without a `training` does not train by steps")
