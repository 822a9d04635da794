"""What `make.py`, which made the project, and the tests share: the same small pictures and net, and what a run came to."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

STUDY = "study --preset study.yaml"
HALF = f"{STUDY} --name half --seed 2"
STOPPED = ("stopped", "halfway")
"""The names of the two runs that were stopped, a pretraining and a fine-tuning."""
ORDERS = {"pretraining": (100, 25, True), "fine-tuning": (90, 30, False)}
"""The number of images, the batch size, and whether a last batch that is not full is left out."""


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Make the pictures `shapes` few and small, and the net resnet9 narrow."""
    from sslcli.data.sets import shapes
    from sslcli.models.backbones.resnet9 import ResNet9
    from sslcli.training import device

    torch.set_num_threads(1)
    patch.setattr(device, "usable_cores", lambda: 1)
    for name, value in (("SIZE", 16), ("TRAIN", 100), ("TEST", 50)):
        patch.setattr(shapes, name, value)
    patch.setitem(ResNet9.__init__.__kwdefaults__, "widths", (4, 8, 8, 16))


def figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """Metrics without what the clock says."""
    return {name: value for name, value in metrics.items() if name != "seconds"}


def state_of(record: Any) -> dict[str, Any]:
    """How far a run is and what it measured on the way."""
    return {"metrics": figures(record.metrics), "history": [figures(epoch) for epoch in record.history]}


def key_of(record: Any) -> str:
    """What a run of a study is, in a word."""
    return f"{record.protocol} {record.init} {record.at_epoch}"


def weights_of(checkpoint: dict[str, Any]) -> dict[str, np.ndarray]:
    """The weights in a checkpoint."""
    return {name: tensor.numpy() for name, tensor in checkpoint["model"].items()}


def bits_here() -> str:
    """A hash that is equal on machines that compute equal bits: of a small net that plain torch trained for a few steps."""
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in ((3, 8), (8, 16))
        ]
        net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)).to(
            memory_format=torch.channels_last
        )
        optimizer = torch.optim.AdamW(net.parameters())
        images = torch.arange(30 * 3 * 16 * 16).remainder(251).reshape(30, 3, 16, 16).to(torch.float32) / 251
        for _ in range(5):
            loss = F.cross_entropy(net(images), torch.arange(30) % 10)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    state = b"".join(tensor.contiguous().numpy().tobytes() for tensor in net.state_dict().values())
    return hashlib.sha256(state).hexdigest()
