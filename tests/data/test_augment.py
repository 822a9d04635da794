"""Every augmentation equals torchvision's own on equal parameters."""

import math
from typing import Any

import pytest
import torch
import torchvision.transforms.v2.functional as tv
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.transforms import v2

from sslcli.data.augment import Augmentation, Parameters, make_views, sample_parameters, turn_hue

LIMIT = 2 / 255
N = 24


@pytest.fixture
def images() -> Tensor:
    """Pictures with smooth and noisy parts, 28 x 36 pixels, so that height and width cannot be confused."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(N, 3, 5, 6, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, size=(28, 36), mode="bilinear")
    noise = 0.2 * torch.randn(N, 3, 28, 36, generator=random)
    return ((smooth + noise).clamp(0, 1) * 255).to(torch.uint8)


def neutral(**changed: object) -> Parameters:
    """Parameters that leave 28 x 36 images as they are, but for `changed`."""
    values: dict[str, object] = {
        "crop": torch.tensor([0.0, 0.0, 28.0, 36.0]).expand(N, 4),
        "flip": torch.zeros(N, dtype=torch.bool),
        "brightness": torch.ones(N),
        "contrast": torch.ones(N),
        "saturation": torch.ones(N),
        "hue": torch.zeros(N),
        "grey": torch.zeros(N, dtype=torch.bool),
        "sigma": torch.zeros(N),
    }
    return Parameters(**{**values, **changed})  # type: ignore[arg-type]


def ours(images: Tensor, parameters: Parameters, size: int = 24) -> Tensor:
    return make_views(images, parameters, size=size, mean=torch.zeros(3), std=torch.ones(3))


def resized(images: Tensor, size: int = 24) -> Tensor:
    return tv.resize(images.float() / 255, [size, size], antialias=True)


def largest_gap(first: Tensor, second: Tensor) -> float:
    return float((first - second).abs().max())


@pytest.mark.parametrize("size", [12, 24, 32, 48])
def test_crop_and_resize_equal_torchvision(images: Tensor, size: int) -> None:
    drawn = sample_parameters(N, 28, 36, Augmentation(), torch.Generator().manual_seed(1))
    made = ours(images, neutral(crop=drawn.crop), size)
    for image, view, (top, left, height, width) in zip(images, made, drawn.crop.int().tolist(), strict=True):
        wanted = tv.resized_crop(image.float() / 255, top, left, height, width, [size, size], antialias=True)
        assert largest_gap(view, wanted) < LIMIT


def test_flip_equals_torchvision(images: Tensor) -> None:
    flip = torch.arange(N) % 2 == 0
    made, wanted = ours(images, neutral(flip=flip)), resized(images)
    assert largest_gap(made[0::2], tv.horizontal_flip(wanted[0::2])) < LIMIT
    assert largest_gap(made[1::2], wanted[1::2]) < LIMIT


@pytest.mark.parametrize(
    ("field", "function", "values"),
    [
        ("brightness", tv.adjust_brightness, torch.linspace(0.2, 1.8, N)),
        ("contrast", tv.adjust_contrast, torch.linspace(0.2, 1.8, N)),
        ("saturation", tv.adjust_saturation, torch.linspace(0.2, 1.8, N)),
        ("hue", tv.adjust_hue, torch.linspace(-0.5, 0.5, N)),
    ],
)
def test_colour_operation_equals_torchvision(images: Tensor, field: str, function, values: Tensor) -> None:  # type: ignore[no-untyped-def]
    made = ours(images, neutral(**{field: values}))
    for view, start, value in zip(made, resized(images), values.tolist(), strict=True):
        assert largest_gap(view, function(start, value)) < LIMIT


def test_hue_of_greys_and_pure_colours_equals_torchvision() -> None:
    colours = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 3).T.reshape(1, 3, 3, 9)
    for turns in (-0.5, -0.13, 0.0, 0.37, 0.5):
        assert largest_gap(turn_hue(colours, torch.tensor(turns).view(1, 1, 1, 1)), tv.adjust_hue(colours, turns)) < LIMIT


def test_grey_equals_torchvision(images: Tensor) -> None:
    made = ours(images, neutral(grey=torch.ones(N, dtype=torch.bool)))
    assert largest_gap(made, tv.rgb_to_grayscale(resized(images), num_output_channels=3)) < LIMIT


@pytest.mark.parametrize("size", [24, 64])
def test_blur_equals_torchvision(images: Tensor, size: int) -> None:
    sigmas = torch.linspace(0.1, 2.0, N)
    made, kernel = ours(images, neutral(sigma=sigmas), size), 2 * max(1, size // 20) + 1
    for view, start, sigma in zip(made, resized(images, size), sigmas.tolist(), strict=True):
        assert largest_gap(view, tv.gaussian_blur(start, [kernel, kernel], [sigma, sigma])) < LIMIT


def test_a_whole_view_equals_torchvision(images: Tensor) -> None:
    drawn = sample_parameters(N, 28, 36, Augmentation(blur=0.5), torch.Generator().manual_seed(3))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    made = make_views(images, drawn, size=24, mean=mean, std=std)
    operations = [tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation, tv.adjust_hue]
    strengths = [drawn.brightness, drawn.contrast, drawn.saturation, drawn.hue]
    for i in range(N):
        view = tv.resized_crop(images[i].float() / 255, *drawn.crop[i].int().tolist(), [24, 24], antialias=True)
        view = tv.horizontal_flip(view) if drawn.flip[i] else view
        for k in drawn.order:
            view = operations[k](view, float(strengths[k][i]))
        view = tv.rgb_to_grayscale(view, 3) if drawn.grey[i] else view
        view = tv.gaussian_blur(view, [3, 3], [float(drawn.sigma[i])] * 2) if drawn.sigma[i] > 0 else view
        assert (
            largest_gap(made[i] * std.view(3, 1, 1), tv.normalize(view, mean.tolist(), std.tolist()) * std.view(3, 1, 1))
            < LIMIT
        )


def test_crops_are_distributed_as_torchvisions() -> None:
    drawn = sample_parameters(4000, 28, 36, Augmentation(crop_min=0.2), torch.Generator().manual_seed(4)).crop
    torch.manual_seed(4)
    image = torch.zeros(3, 28, 36)
    theirs = torch.tensor([v2.RandomResizedCrop(8, scale=(0.2, 1.0)).make_params([image]) [k] for _ in range(4000) for k in
                           ("top", "left", "height", "width")]).view(4000, 4)  # fmt: skip
    for column in range(4):
        spread = float(theirs[:, column].float().std())
        gap = float(drawn[:, column].mean() - theirs[:, column].float().mean())
        assert abs(gap) < 4 * spread * math.sqrt(2 / 4000)
        assert abs(float(drawn[:, column].std()) / spread - 1) < 0.06


def test_probabilities_are_kept() -> None:
    drawn = sample_parameters(
        20_000, 32, 32, Augmentation(flip=0.5, jitter=0.8, grey=0.2, blur=0.3), torch.Generator().manual_seed(5)
    )
    shares = {
        "flip": (drawn.flip, 0.5), "grey": (drawn.grey, 0.2), "sigma": (drawn.sigma > 0, 0.3),
        "brightness": (drawn.brightness != 1, 0.8), "hue": (drawn.hue != 0, 0.8),
    }  # fmt: skip
    for name, (happened, wanted) in shares.items():
        assert abs(float(happened.float().mean()) - wanted) < 0.015, name


def test_an_image_too_long_for_any_crop_gives_its_largest_central_one() -> None:
    whole = Augmentation(crop_min=1.0)
    for height, width in ((20, 90), (90, 20)):
        drawn = sample_parameters(50, height, width, whole, torch.Generator().manual_seed(0)).crop
        theirs = v2.RandomResizedCrop(8, scale=(1.0, 1.0)).make_params([torch.zeros(3, height, width)])
        assert torch.equal(drawn, torch.tensor([float(theirs[k]) for k in ("top", "left", "height", "width")]).expand(50, 4))


class Written(TorchDispatchMode):
    """Counts torch's operations, and the elements of what they give but for views of what was there."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.elements = 0

    def __torch_dispatch__(self, operation: Any, _: Any, arguments: Any = (), keywords: Any = None) -> Any:
        made = operation(*arguments, **(keywords or {}))
        if not operation.is_view:
            self.operations += 1
            self.elements += sum(leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor))
        return made


@pytest.mark.parametrize(("blur", "passes"), [(0.0, 47), (0.5, 56)])
def test_views_are_made_of_whole_batches_in_few_passes(blur: float, passes: int) -> None:
    operations = set()
    for count in (32, 64):
        drawn = sample_parameters(count, 32, 32, Augmentation(blur=blur), torch.Generator().manual_seed(0))
        pictures = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
        with Written() as written:
            views = ours(pictures, drawn, 32)
        operations.add(written.operations)
        assert written.elements < passes * views.numel()  # less than one more than it needs
    assert len(operations) == 1
