"""Every data set that has to be fetched: read pixel by pixel, missing, damaged, downloaded. Parametrised over the table."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from sslcli.data import DATASETS, size_of
from sslcli.data.folder.own_images import read_images
from sslcli.data.image_data import ImageData, random_data
from sslcli.data.loading import load_data
from sslcli.data.sets import torchvision_sets
from sslcli.data.sets.fetching import Source
from sslcli.errors import StateError
from tests.conftest import Cli
from tests.layouts import LAYOUTS, LaidOut, lay_out, picture, pixels_of, resize

FETCHED = sorted(DATASETS.keys() - {"shapes", "patchwork"})
fetched = pytest.mark.parametrize("name", FETCHED)


def source(name: str) -> Source:
    found: Source = getattr(torchvision_sets, DATASETS[name].load.partition(":")[2])
    return found


@pytest.fixture
def laid(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
    return lay_out(name, tmp_path / "data", monkeypatch)


def test_every_data_set_that_is_fetched_is_tested_here_and_has_its_size() -> None:
    assert set(FETCHED) == LAYOUTS.keys() == {name for name, entry in DATASETS.items() if entry.size}
    assert all(source(name).name == name for name in FETCHED)
    assert all(size_of(name).unlabelled < size_of(name).train for name in FETCHED)


def assert_keeps_the_contract(data: ImageData) -> None:
    for images, labels, lowest in ((data.train_images, data.train_labels, -1), (data.test_images, data.test_labels, 0)):
        assert images.dtype == torch.uint8
        assert images.ndim == 4
        assert images.shape[1] == 3
        assert images.is_contiguous()
        assert labels.dtype == torch.int64
        assert len(images) == len(labels) > 0
        assert lowest <= int(labels.min()) <= int(labels.max()) < len(data.classes)
    labelled = data.train_labels >= 0
    assert labelled[: int(labelled.sum())].all()  # the unlabelled ones come last


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_keeps_the_contract(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in FETCHED:
        lay_out(name, tmp_path, monkeypatch)
    data = load_data(name, tmp_path)
    assert_keeps_the_contract(data)
    assert len(set(data.classes)) == len(data.classes)
    if name in FETCHED:
        assert data.train_images.shape[-2:] == (size_of(name).side,) * 2
        if name != "eurosat":  # whose classes are its folders
            assert len(data.classes) == size_of(name).classes


@pytest.mark.parametrize("name", [name for name in FETCHED if name != "eurosat"])
def test_every_pixel_and_label_is_where_it_was(laid: LaidOut, name: str) -> None:
    data = load_data(name, Path("data"))
    for (pixels, labels), found, of in zip((laid.train, laid.test), pixels_of(data), ("train", "test"), strict=True):
        np.testing.assert_array_equal(found, pixels)
        assert getattr(data, f"{of}_labels").tolist() == labels


@pytest.mark.usefixtures("laid")
@pytest.mark.parametrize("name", ["eurosat"])
def test_eurosats_test_images_are_a_fifth_of_each_class_and_always_the_same(name: str) -> None:
    first, again = load_data(name, Path("data")), load_data(name, Path("data"))
    assert first.fingerprint == again.fingerprint
    assert torch.bincount(first.test_labels).tolist() == [2] * 10
    colours = [images[:, 0, 0, 0].tolist() for images in (first.train_images, first.test_images)]
    assert sorted(colours[0] + colours[1]) == list(range(100))
    assert [colour // 10 for colour in colours[0]] == first.train_labels.tolist()
    assert [colour // 10 for colour in colours[1]] == first.test_labels.tolist()


@fetched
def test_a_missing_data_set_says_where_it_was_looked_for_and_what_to_type(name: str, tmp_path: Path) -> None:
    place = (tmp_path / "nowhere" / source(name).folder).resolve()
    with pytest.raises(StateError, match=rf"is not in {place}: .* missing\. .*--data-dir DIR.* [MG]B\): add --download"):
        load_data(name, tmp_path / "nowhere")


@fetched
def test_a_truncated_file_is_found(laid: LaidOut, name: str) -> None:
    content = laid.victim.read_bytes()
    laid.victim.write_bytes(content[: len(content) // 2])
    with pytest.raises(StateError, match=r"damaged .*add --download"):
        load_data(name, Path("data"))


@pytest.mark.parametrize("name", ["eurosat", "flowers102", "pets"])
def test_a_lost_picture_is_found(laid: LaidOut, name: str) -> None:
    laid.victim.unlink()
    with pytest.raises(StateError, match=rf"damaged or incomplete: .*delete .*{source(name).folder} and add --download"):
        load_data(name, Path("data"))


@fetched
def test_a_download_that_fails_says_so(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr("urllib.request.urlretrieve", no_network)
    with pytest.raises(StateError, match=rf"could not be downloaded to {tmp_path}.*no network"):
        load_data(name, tmp_path, download=True)


@fetched
def test_what_torchvision_downloads_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def lay_it_out(*_: Any, **__: Any) -> None:
        if not done:
            lay_out(name, tmp_path, monkeypatch)
        done.append(name)

    kinds = [kind for _, kind in inspect.getmembers(datasets, inspect.isclass)]
    for kind in kinds:
        for method in ("download", "_download"):
            if hasattr(kind, method):
                monkeypatch.setattr(kind, method, lay_it_out)
    assert_keeps_the_contract(load_data(name, tmp_path, download=True))
    assert done


@pytest.mark.parametrize("name", ["fashion-mnist", "eurosat", "pets", "stl10"])
def test_another_number_of_images_than_the_official_one_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = DATASETS[name]
    lay_out(name, tmp_path, monkeypatch)
    monkeypatch.setitem(DATASETS, name, official)
    size = size_of(name)
    with pytest.raises(StateError, match=rf"instead of the official {size.train:,} training and {size.test:,} test"):
        load_data(name, tmp_path)


@pytest.fixture
def odd_picture(tmp_path: Path) -> Callable[[int, int], Path]:
    def make(height: int, width: int) -> Path:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return picture(tmp_path / f"{height}x{width}.png", pixels)

    return make


@pytest.mark.parametrize(("height", "width"), [(90, 60), (40, 64), (20, 20)])
def test_pictures_become_the_same_squares_as_a_persons_own(
    odd_picture: Callable[[int, int], Path], height: int, width: int
) -> None:
    path = odd_picture(height, width)
    square = torchvision_sets.central_square(path, 32)
    ((_, own),) = read_images([path], size=32)
    np.testing.assert_array_equal(square, own.permute(1, 2, 0).numpy())
    with Image.open(path) as whole:
        side = min(whole.size)
        left, top = (whole.width - side) // 2, (whole.height - side) // 2
        central = whole.crop((left, top, left + side, top + side)).resize((32, 32), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(central).astype(int) - square).mean() < 1  # the shorter side resized, the central square


def test_grey_and_turned_pictures_become_upright_rgb(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 240, 4, dtype=np.uint8)[:, None], (1, 60))
    turned = Image.fromarray(ramp)
    exif = turned.getexif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "turned.png", exif=exif)
    square = torchvision_sets.central_square(tmp_path / "turned.png", 60)
    assert square.shape == (60, 60, 3)
    np.testing.assert_array_equal(square, np.repeat(ramp[::-1, :, None], 3, -1))


@fetched
def test_random_images_stand_in_with_number_size_and_unlabelled_part(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unlabelled = 40 if size_of(name).unlabelled else 0
    resize(name, monkeypatch, train=220, test=210, unlabelled=unlabelled)
    data = random_data(name)
    assert_keeps_the_contract(data)
    assert (len(data.train_images), len(data.test_images)) == (220, 210)
    assert int((data.train_labels < 0).sum()) == unlabelled


def test_a_missing_data_set_ends_a_command_with_3_and_no_traceback(ssl: Cli) -> None:
    result = ssl("pretrain --dataset pets --data-dir nowhere")
    assert result.code == 3
    assert "Oxford-IIIT Pet is not in" in result.err
    assert "Traceback" not in result.err
    assert ssl("pretrain --dataset pet").code == 2
