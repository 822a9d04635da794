"""Classifiers of finished evaluations, read back, and their outputs for images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sslcli.data.image_data import centre, normalise
from sslcli.data.on_disk import Images
from sslcli.evaluation.features import outputs
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import build_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import State, load_checkpoint
from sslcli.training.device import autocast, precision_here


def load_classifier(registry: Registry, record: Run) -> tuple[Classifier, State]:
    """The classifier of a finished evaluation (encoder and head from its best.pt), and the rest of that file."""
    artifact = load_checkpoint(registry, record, "best")
    encoder = build_encoder(artifact["backbone"], stem=artifact["stem"], seed=0)
    classifier = Classifier(encoder, len(artifact["classes"]))
    classifier.load_state_dict(artifact["model"])
    return classifier, artifact


def outputs_as_in(record: Run, artifact: State, device: torch.device) -> Callable[[nn.Module, Images], Tensor]:
    """A function from a network and uint8 images (N, 3, H, W) to the network's outputs (N, d) on the CPU.

    Normalisation and precision are those of the run whose best.pt holds `artifact`, but float32 where bfloat16 is slow.
    """
    mean, std, size = artifact["mean"].to(device), artifact["std"].to(device), artifact["image_size"]
    quick = autocast(device, precision_here(record.settled["precision"], device))

    def scale(images: Tensor) -> Tensor:
        return normalise(centre(images, size), mean, std)

    def of(net: nn.Module, images: Images) -> Tensor:
        net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return outputs(net, images, normalise=scale, autocast=quick).cpu()

    return of
