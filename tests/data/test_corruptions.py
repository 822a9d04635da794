"""The corruptions do what their formulas say, the same every time, and more so at a higher severity."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from sslcli.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from sslcli.data.picture_filters import enlarged, plasma, smoothed, streaked, taken

NOT_RANDOM = {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression"}
NOT_IN_ORDER = {
    "glass_blur": "its published blur is 0.05, 0.25, 0.4, then 0.25 and 0.4 again with one more exchange",
    "frost": "from severity 2 on it also darkens the picture that it whitens",
    "elastic_transform": "as its pixels move more, its corners move less",
}
"""Corruptions whose distance from the clean picture need not grow with the severity, and why."""


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Pictures with smooth and noisy parts, (12, 3, 32, 32)."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(12, 3, 6, 6, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return ((smooth + 0.1 * torch.randn(12, 3, 32, 32, generator=random)).clamp(0, 1) * 255).to(torch.uint8)


def grey(value: int, count: int = 8) -> Tensor:
    return torch.full((count, 3, 32, 32), value, dtype=torch.uint8)


def distance(one: Tensor, other: Tensor) -> float:
    return float((one.float() - other.float()).square().mean().sqrt())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_there_are_fifteen() -> None:
    assert len(CORRUPTIONS) == 15
    assert {len(kind.numbers) for kind in CORRUPTIONS.values()} == {len(SEVERITIES)}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_shape_and_kind_is_the_same_every_time_and_changes_the_picture(name: str, pictures: Tensor) -> None:
    made = corrupt(pictures, name, severity=3, seed=1)
    assert (made.shape, made.dtype) == (pictures.shape, torch.uint8)
    assert torch.equal(made, corrupt(pictures, name, severity=3, seed=1))
    assert torch.equal(made, corrupt(pictures, name, severity=3, seed=2)) == (name in NOT_RANDOM)
    assert distance(made, pictures) > 1


@pytest.mark.parametrize("side", [24, 28])
def test_snow_on_small_pictures_is_as_thick_as_on_those_of_32_pixels(side: int) -> None:
    for severity in SEVERITIES:
        small, usual = (
            corrupt(torch.full((64, 3, width, width), 100, dtype=torch.uint8), "snow", severity=severity, seed=1)
            for width in (side, 32)
        )
        assert small.float().std() > 0.85 * usual.float().std()


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in NOT_IN_ORDER])
def test_the_distance_from_the_clean_picture_grows_with_the_severity(name: str, pictures: Tensor) -> None:
    distances = [distance(corrupt(pictures, name, severity=severity, seed=1), pictures) for severity in SEVERITIES]
    assert distances == sorted(distances)
    assert distances[0] < 0.9 * distances[-1]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_many_pictures_are_corrupted_a_few_at_a_time_and_none_is_lost(
    name: str, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = corrupt(pictures, name, severity=2, seed=1)
    monkeypatch.setattr("sslcli.data.corruptions.VALUES", 5 * 3 * 32 * 32)
    parts = corrupt(pictures, name, severity=2, seed=1)
    assert parts.shape == whole.shape
    assert torch.equal(parts, whole) or name not in NOT_RANDOM
    assert distance(parts, pictures) == pytest.approx(distance(whole, pictures), rel=0.25)


@pytest.mark.parametrize("side", [16, 28, 64])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_pictures_of_another_side_can_be_corrupted(name: str, side: int) -> None:
    random = torch.randint(0, 256, (2, 3, side, side), generator=seeded(), dtype=torch.uint8)
    assert corrupt(random, name, severity=5, seed=1).shape == random.shape


def test_a_blur_reaches_as_far_relative_to_a_larger_picture(pictures: Tensor) -> None:
    larger = pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)
    small, large = (distance(corrupt(some, "defocus_blur", severity=5, seed=1), some) for some in (pictures, larger))
    assert large == pytest.approx(small, rel=0.2)


def test_gaussian_noise_has_its_deviation_and_shot_noise_that_of_counted_photons() -> None:
    noisy = corrupt(grey(128), "gaussian_noise", severity=2, seed=1).float()
    assert float(noisy.std()) == pytest.approx(0.06 * 255, rel=0.02)
    shot = corrupt(grey(128), "shot_noise", severity=5, seed=1).float()
    assert float(shot.std()) == pytest.approx(255 * (128 / 255 / 50) ** 0.5, rel=0.02)  # a Poisson variance is its mean


def test_impulse_noise_makes_its_share_of_the_values_black_or_white_half_of_each() -> None:
    noisy = corrupt(grey(128), "impulse_noise", severity=5, seed=1)
    black, white = (float((noisy == value).float().mean()) for value in (0, 255))
    assert float((noisy != 128).float().mean()) == pytest.approx(0.07, abs=0.005)
    assert black + white == pytest.approx(float((noisy != 128).float().mean()))
    assert black == pytest.approx(white, abs=0.01)


def test_defocus_of_a_small_disk_is_three_by_three_pixels_of_a_gaussian() -> None:
    point = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    point[..., 10, 12] = 255
    side = np.exp(-1 / (2 * 0.4**2))
    weights = np.array([side, 1, side]) / (1 + 2 * side)
    made = corrupt(point, "defocus_blur", severity=1, seed=1)[0, 0].numpy()
    assert made[9:12, 11:14].tolist() == np.floor(255 * np.outer(weights, weights) + 1e-3).tolist()
    assert int((made > 0).sum()) == int((np.floor(255 * np.outer(weights, weights)) > 0).sum())


def test_glass_blur_takes_each_inner_pixel_from_above_or_left_or_its_own_place(pictures: Tensor) -> None:
    made = corrupt(pictures, "glass_blur", severity=1, seed=1)  # its Gaussian of 0.05 pixels changes nothing
    around = [pictures.roll((down, right), (2, 3)) for down in (0, 1) for right in (0, 1)]
    same = torch.stack([(made == moved).all(1) for moved in around])
    assert bool(same.any(0)[:, 2:, 2:].all())
    assert bool(same[0, :, :2].all() & same[0, :, :, :2].all())
    assert float(same[0, :, 2:, 2:].float().mean()) == pytest.approx(0.25, abs=0.03)


def test_taken_reads_the_pixel_below_and_right_and_repeats_the_edge() -> None:
    rows = torch.arange(9.0).view(1, 1, 3, 3)
    made = taken(rows, torch.tensor(1).view(1, 1, 1), torch.tensor(-1).view(1, 1, 1))
    assert made[0, 0].tolist() == [[3, 3, 4], [6, 6, 7], [6, 6, 7]]


def test_a_streak_to_the_right_is_one_half_of_a_gaussian() -> None:
    line = torch.zeros(1, 1, 32, 32)
    line[..., 4, 20] = 1
    made = streaked(line, torch.zeros(1), 6, 1.5)[0, 0]
    weights = np.exp(-(np.arange(13) ** 2) / (2 * 1.5**2))
    wanted = np.round(255 * weights / weights.sum()) / 255
    assert made[4, 8:21].flip(0).numpy() == pytest.approx(wanted, abs=1e-6)
    assert float(made.sum()) == pytest.approx(wanted.sum(), abs=1e-5)


@pytest.mark.parametrize("zoom", [1.0, 1.03, 1.25, 2.25])
def test_enlarging_equals_scipys_zoom_of_the_middle(pictures: Tensor, zoom: float) -> None:
    x = pictures[:1].double() / 255
    part = int(np.ceil(32 / zoom))
    top = (32 - part) // 2
    large = ndimage.zoom(x[0, 0, top : top + part, top : top + part].numpy(), zoom, order=1)
    edge = (len(large) - 32) // 2
    assert enlarged(x, zoom)[0, 0].numpy() == pytest.approx(large[edge : edge + 32, edge : edge + 32], abs=1e-6)


def test_zoom_blur_is_the_mean_of_the_picture_and_its_enlargements(pictures: Tensor) -> None:
    x = pictures[:2].float() / 255
    slow = (x + x + sum(enlarged(x, zoom) for zoom in (1.01, 1.02, 1.03, 1.04, 1.05, 1.06))) / 8
    made = corrupt(pictures[:2], "zoom_blur", severity=1, seed=1).float()
    assert float((made - 255 * slow).abs().max()) <= 1.001


@pytest.mark.parametrize(
    ("deviation", "truncate", "mirror", "mode"),
    [(0.4, 4, False, "nearest"), (6.4, 3, True, "reflect"), (1.92, 3, True, "reflect")],
)
def test_smoothing_equals_scipys_gaussian_filter(
    pictures: Tensor, deviation: float, truncate: float, mirror: bool, mode: str
) -> None:
    x = pictures[:1, :1].double()
    wanted = ndimage.gaussian_filter(x[0, 0].numpy(), deviation, truncate=truncate, mode=mode)
    made = smoothed(x.float(), deviation, truncate=truncate, mirror=mirror)
    assert made[0, 0].numpy() == pytest.approx(wanted, abs=1e-3)


def test_plasma_fills_0_to_1_and_a_lower_decay_makes_it_rougher() -> None:
    smooth, rough = (plasma(6, 32, seeded(), decay=decay) for decay in (3.0, 1.75))
    for heights in (smooth, rough):
        assert heights.shape == (6, 1, 32, 32)
        assert heights.amin((1, 2, 3)).tolist() == [0.0] * 6
        assert heights.amax((1, 2, 3)).tolist() == [1.0] * 6
    steps = [float((heights - heights.roll(1, 3)).abs().mean()) for heights in (smooth, rough)]
    assert steps[0] < 0.8 * steps[1]


def test_fog_lifts_a_white_picture_to_white_where_it_is_thick_and_dims_it_where_it_is_thin() -> None:
    made = corrupt(grey(255), "fog", severity=2, seed=1)  # (1 + 0.5 p) / 1.5, p from 0 to 1
    assert (int(made.amax()), int(made.amin())) == (255, 170)


def test_frost_on_a_black_picture_is_bluish_and_no_brighter_than_its_share() -> None:
    made = corrupt(grey(0), "frost", severity=1, seed=1)
    assert int(made.amax()) <= 0.2 * 255
    red, green, blue = made.float().mean((0, 2, 3)).tolist()
    assert red < green < blue


def test_snow_falls_on_a_picture_whose_own_pixels_become_whiter() -> None:
    made = corrupt(grey(100), "snow", severity=1, seed=1)
    whitened = 0.95 * 100 + 0.05 * (1.5 * 100 + 0.5 * 255)  # 108.9
    assert int(made.amin()) == int(whitened)
    assert int(made.amax()) > 150
    assert torch.equal(made[:, 0], made[:, 1])


def test_brightness_adds_to_the_largest_channel_and_keeps_hue_and_saturation() -> None:
    colours = torch.tensor([[100, 50, 0], [0, 0, 0], [250, 125, 25]], dtype=torch.uint8)
    made = corrupt(colours[:, :, None, None].expand(-1, -1, 32, 32), "brightness", severity=5, seed=1)[:, :, 0, 0]
    more = 100 + 0.3 * 255
    assert made.tolist() == [[int(more), int(more / 2), 0], [76, 76, 76], [255, 127, 25]]


def test_contrast_brings_values_nearer_to_the_mean_of_their_channel() -> None:
    halves = grey(40, 1)
    halves[..., 16:] = 200
    made = corrupt(halves, "contrast", severity=2, seed=1)  # half of the distance from 120
    assert made[..., :16].unique().tolist() == [80]
    assert made[..., 16:].unique().tolist() == [160]


def test_elastic_leaves_a_plain_picture_plain_and_without_movement_any_picture(pictures: Tensor) -> None:
    apply, x = CORRUPTIONS["elastic_transform"].apply, pictures.float() / 255
    assert torch.allclose(apply(x, seeded(), 0, 0, 0), x, atol=1e-5)
    assert corrupt(grey(90), "elastic_transform", severity=5, seed=1).unique().tolist() == [90]


def test_elastic_moves_each_pixel_as_scipys_map_coordinates_does(pictures: Tensor) -> None:
    x = pictures[:2].float() / 255
    made = CORRUPTIONS["elastic_transform"].apply(x, seeded(), 0.1, 0.03, 0.0)
    random = seeded()
    torch.rand(2, 3, 2, generator=random)  # the three points, which stay
    noise = 2 * torch.rand(2, 2, 32, 32, generator=random).double().numpy() - 1
    rows, columns = np.mgrid[:32, :32]
    for place in (0, 1):
        dx, dy = (3.2 * ndimage.gaussian_filter(axis, 0.96, truncate=3, mode="reflect") for axis in noise[place])
        wanted = ndimage.map_coordinates(x[place, 0].double().numpy(), [rows + dy, columns + dx], order=1, mode="reflect")
        assert made[place, 0].numpy() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_pixelate_equals_pillows_box_there_and_back(pictures: Tensor, severity: int) -> None:
    fewer = int(32 * [0.95, 0.9, 0.85, 0.75, 0.65][severity - 1])
    made = corrupt(pictures[:3], "pixelate", severity=severity, seed=1)
    for picture, found in zip(pictures, made, strict=False):
        small = Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((fewer, fewer), Image.Resampling.BOX)
        wanted = np.asarray(small.resize((32, 32), Image.Resampling.BOX)).transpose(2, 0, 1).astype(int)
        assert np.abs(found.numpy() - wanted).max() <= 1


def test_jpeg_equals_pillows_own(pictures: Tensor) -> None:
    Image.fromarray(pictures[0].permute(1, 2, 0).numpy()).save(file := io.BytesIO(), "JPEG", quality=50)
    made = corrupt(pictures[:2], "jpeg_compression", severity=4, seed=1)
    assert np.array_equal(made[0].permute(1, 2, 0).numpy(), np.asarray(Image.open(file)))
