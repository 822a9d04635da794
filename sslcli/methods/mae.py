"""MAE: masked autoencoders are scalable vision learners (He et al. 2021, arXiv:2111.06377)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

import torch
from torch import Tensor, nn
from torchvision.models.vision_transformer import EncoderBlock
from typer import Option

from sslcli.data.batches import generator
from sslcli.distributed import average
from sslcli.errors import UsageError
from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.methods.patches import pixels_of, positions_of, shuffled, taken
from sslcli.models.backbones.vit import AnySizeViT
from sslcli.models.encoder import Encoder

HEAD = 32  # width of a head of the decoder's attention, as in the paper


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of MAE. The decoder is smaller than the paper's, like the encoders here.

    By default it has half the width of vit-tiny and a third of its blocks, as the paper's has 512 of 1024 and 8 of 24.
    """

    BACKBONES = ("vit-tiny", "vit-small")

    mask_ratio: Annotated[float, Option(min=0.01, max=0.99, help="Fraction of the patches to hide.")] = 0.75
    decoder_dim: Annotated[int, Option(min=32, help="Width of the decoder, a multiple of 32.")] = 96
    decoder_depth: Annotated[int, Option(min=1, max=64, help="Blocks of the decoder.")] = 4

    TUNING = ({"rate": 0.5}, {"rate": 2.0}, {"rate": 4.0}, {"mask_ratio": 0.5}, {"mask_ratio": 0.6})


class MAE(Method):
    """The pixels of hidden patches are predicted from the shown ones; each patch is normalised by its own mean and deviation.

    The class token is in the encoder's input as in the paper (A.1), and is the h that is measured. The images are cropped and
    flipped, and keep their colours. Deviations from the paper, effects not measured: the encoder's positions are learned;
    the optimizer is the run's, not AdamW at the paper's rates.
    """

    views = (ViewSpec(augmentation={"jitter": 0.0, "grey": 0.0, "blur": 0.0}),)
    step: Tensor

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        width = options.decoder_dim
        if width % HEAD:
            raise UsageError(f"--decoder-dim {width}: accepted are multiples of {HEAD}")
        self.mask_ratio, self.side = options.mask_ratio, int(_vit(encoder).patch_size)
        self.embed, self.mask_token = nn.Linear(encoder.dim, width), nn.Parameter(torch.randn(1, 1, width) * 0.02)
        blocks = [EncoderBlock(width // HEAD, width, 4 * width, 0.0, 0.0) for _ in range(options.decoder_depth)]
        self.decoder = nn.Sequential(*blocks, nn.LayerNorm(width, eps=1e-6), nn.Linear(width, 3 * self.side**2))
        self.key = generator(torch.initial_seed(), "masks").initial_seed()  # torch has the run's seed while this is built
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean squared error of the hidden patches' pixels."""
        (view,) = batch.views
        height, width = (length // self.side for length in view.shape[-2:])
        order = shuffled(height * width, key=self.key, step=self.step, rows=batch.rows)
        shown, hidden = order.tensor_split((self._shown(height * width),), dim=1)
        tokens = self.embed(_vit(self.encoder).tokens(view, shown)).to(self.mask_token.dtype)
        places = shown[:, :, None].expand(-1, -1, tokens.shape[-1])
        patches = self.mask_token.expand(len(view), height * width, -1).scatter(1, places, tokens[:, 1:])
        patches = patches + positions_of(height, width, tokens.shape[-1], like=patches)
        made = taken(self.decoder(torch.cat([tokens[:, :1], patches], 1))[:, 1:], hidden)
        pixels = taken(pixels_of(view, self.side), hidden)
        wanted = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.var(-1, keepdim=True) + 1e-6).sqrt()
        return average((made - wanted).square().mean()), {}

    def _shown(self, patches: int) -> int:
        """The number of patches to show; at least one is shown, and at least one is hidden."""
        return min(patches - 1, max(1, int(patches * (1 - self.mask_ratio))))

    def after_step(self, progress: float) -> None:
        """The next step gets other masks. With a plain number a compiled step would be compiled again."""
        self.step += 1


def _vit(encoder: Encoder) -> AnySizeViT:
    """The encoder's network, one of BACKBONES."""
    return cast(AnySizeViT, encoder.backbone)
