"""What an encoder is: its hash, its stem, its pooling, and a classifier's numbers on it."""

import pytest
import torch
from torch import Tensor, nn

from sslcli.evaluation.features import outputs
from sslcli.models import default_stem
from sslcli.models.backbones.resnet9 import ResNet9
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.training.device import autocast


@pytest.mark.parametrize("name", ["backbone.0.weight", "backbone.1.running_mean", "backbone.1.num_batches_tracked"])
def test_the_hash_of_weights_is_of_every_parameter_and_statistic(name: str) -> None:
    encoder = Encoder(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), 4)
    before = weights_hash(encoder)
    encoder.state_dict()[name].view(-1)[0].add_(1)
    assert weights_hash(encoder) != before


def test_the_same_seed_gives_the_same_encoder_whatever_was_drawn_before() -> None:
    torch.manual_seed(5)
    first = weights_hash(build_encoder("resnet9", stem="own", seed=1))
    torch.manual_seed(6)
    drawn = torch.rand(3)
    assert weights_hash(build_encoder("resnet9", stem="own", seed=1)) == first
    assert weights_hash(build_encoder("resnet9", stem="own", seed=2)) != first
    torch.manual_seed(6)
    build_encoder("resnet9", stem="own", seed=1)
    assert torch.equal(torch.rand(3), drawn)  # nor does it change what others draw


@pytest.mark.parametrize(("size", "stem"), [(32, "conv3"), (95, "conv3"), (96, "conv7-pool"), (224, "conv7-pool")])
def test_small_images_get_the_stem_that_keeps_them_large(size: int, stem: str) -> None:
    assert default_stem("resnet18", size) == stem


@pytest.mark.parametrize(("stem", "side"), [("conv3", 32), ("conv3-s2", 16), ("conv3-pad2", 34), ("conv7-pool", 8)])
def test_a_stem_halves_the_image_as_often_as_its_name_says(stem: str, side: int) -> None:
    sides: list[int] = []
    encoder = build_encoder("resnet18", stem=stem, seed=1).eval()
    encoder.backbone.layer1.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))  # type: ignore[union-attr]
    encoder(torch.zeros(1, 3, 32, 32))
    assert sides == [side]


@pytest.mark.parametrize("apart", [False, True])
def test_resnet9_is_what_its_text_says(apart: bool) -> None:
    torch.manual_seed(0)
    net = ResNet9(widths=(4, 8, 8, 6), apart=apart).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        x = net.stage2(net.pool1(net.stage1(net.stem(images))))
        x = net.stage3(net.pool2(x + net.residual[1](net.residual[0](x))))
        mean, most = x.flatten(2).mean(2), x.flatten(2).max(2).values
        wanted = torch.cat([mean, most], 1) if apart else mean + most
        assert torch.allclose(net(images), wanted, atol=1e-6)
    assert net.num_features == wanted.shape[1]


class Fixed(nn.Module):
    """A representation that bfloat16 cannot tell from another."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([[256.0, 256.5]]).expand(len(images), -1)


def test_close_logits_stay_apart_where_the_encoder_computes_in_bfloat16() -> None:
    classifier = Classifier(Encoder(Fixed(), 2), 2)
    classifier.head.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})
    bf16 = autocast(torch.device("cpu"), "bf16")
    images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert outputs(classifier, images, normalise=Tensor.float, autocast=bf16).tolist() == [[256.0, 256.5]]
