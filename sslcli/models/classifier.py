"""A classifier: an encoder and a linear layer on its representation, in one artifact."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sslcli.models.encoder import Encoder


class Classifier(nn.Module):
    """Normalised images (B, 3, H, W) to logits (B, classes)."""

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.dim, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        h = self.encoder(images)
        with torch.autocast(h.device.type, enabled=False):  # in bfloat16 the logits of close classes would be equal
            logits: Tensor = self.head(h.float())
        return logits

    @torch.no_grad()
    def fold_standardisation(self, mean: Tensor, std: Tensor) -> None:
        """Turn a head trained on (h - mean) / std into the equivalent head on h; mean and std are (dim,)."""
        self.head.bias.sub_(self.head.weight @ (mean / std))
        self.head.weight.div_(std)
