"""The context of a training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from sslcli.data.image_data import ImageData


@dataclass(frozen=True)
class Context:
    """The context of a training: the data on the device, and how forward passes and products compute.

    `watched` are other labelled images, also on the device, on which a pretraining is measured but not trained.
    """

    data: ImageData
    device: torch.device
    autocast: Callable[[], AbstractContextManager[object]]
    fingerprint: str
    precision: str
    watched: ImageData | None = None
