"""Every backbone of the table, with each of its stems, is an encoder."""

import pytest
import torch

from sslcli.models import BACKBONES, STEMS, default_stem
from sslcli.models.encoder import build_encoder, weights_hash


@pytest.mark.parametrize(("backbone", "stem"), [(name, stem) for name in BACKBONES for stem in STEMS[name]])
def test_a_backbone_gives_representations_and_its_seed_the_weights(backbone: str, stem: str) -> None:
    encoder = build_encoder(backbone, stem=stem, seed=1)
    h = encoder(torch.randn(4, 3, 32, 32))
    assert h.shape == (4, encoder.dim)
    assert torch.isfinite(h).all()
    h.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    torch.rand(7)  # what was drawn before must not matter
    assert weights_hash(encoder) != weights_hash(build_encoder(backbone, stem=stem, seed=2))
    fresh = [build_encoder(backbone, stem=stem, seed=1) for _ in range(2)]
    assert weights_hash(fresh[0]) == weights_hash(fresh[1])
    for size in (32, 224):
        assert default_stem(backbone, size) in STEMS[backbone]
