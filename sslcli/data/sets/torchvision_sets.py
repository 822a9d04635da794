"""Data sets of torchvision, one entry each: where their files are, and how these become one tensor.

For CIFAR, SVHN and the images of STL-10 the checksum of every file is known, and verified at every start. For Fashion-MNIST,
EuroSAT and the pets torchvision knows only the checksums of the archives, verified at the download; for flowers102 also of
labels and split. The unpacked files must then be readable and have the official number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100, STL10, SVHN, EuroSAT, FashionMNIST, Flowers102, OxfordIIITPet

from sslcli.data import size_of
from sslcli.data.image_data import ImageData
from sslcli.data.sets.fetching import Source
from sslcli.data.split import split

Labelled = tuple[Tensor, Tensor]
"""Images (N, 3, H, W) uint8 and labels (N,) int64."""


def _data(train: Labelled, test: Labelled, classes: Sequence[str]) -> ImageData:
    return ImageData(
        train_images=train[0], train_labels=train[1], test_images=test[0], test_labels=test[1], classes=tuple(classes)
    )


def _cifar(name: str, kind: Any, *, title: str, download: str) -> Source:
    """CIFAR (Krizhevsky 2009), the python version, 32x32 pixels."""

    def part(root: str, *, train: bool) -> Labelled:
        found = kind(root, train=train)
        return torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(found.targets)

    def read(root: str) -> ImageData:
        return _data(part(root, train=True), part(root, train=False), kind(root, train=False).classes)

    return Source(
        name=name, title=title, download=download, folder=kind.base_folder, read=read,
        files=lambda: [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])],
        fetch=partial(kind, download=True),
    )  # fmt: skip


cifar10 = _cifar("cifar10", CIFAR10, title="CIFAR-10", download="170 MB")
cifar100 = _cifar("cifar100", CIFAR100, title="CIFAR-100", download="169 MB")


def _read_stl10(root: str) -> ImageData:
    """Read without torchvision, which would copy the 2.9 GB of these 105,000 images of 96x96."""
    folder, side = Path(root) / STL10.base_folder, size_of("stl10").side

    def images(*names: str) -> Tensor:
        parts = [np.memmap(folder / name, np.uint8, "r").reshape(-1, 3, side, side) for name in names]
        made = torch.empty(sum(map(len, parts)), 3, side, side, dtype=torch.uint8)
        for here, part in zip(torch.split(made, [len(part) for part in parts]), parts, strict=True):
            here.numpy()[:] = part.transpose(0, 1, 3, 2)  # the files are stored by columns
        return made

    def labels(name: str) -> Tensor:
        return torch.from_numpy(np.fromfile(folder / name, np.uint8).astype(np.int64)) - 1

    train = images("train_X.bin", "unlabeled_X.bin")
    known = labels("train_y.bin")
    train_labels = torch.cat([known, known.new_full((len(train) - len(known),), -1)])
    classes = (folder / STL10.class_names_file).read_text(encoding="utf-8").split()
    return _data((train, train_labels), (images("test_X.bin"), labels("test_y.bin")), classes)


stl10 = Source(
    name="stl10", title="STL-10", download="2.6 GB", folder=STL10.base_folder, read=_read_stl10,
    files=lambda: [*STL10.train_list, *STL10.test_list, (STL10.class_names_file, None)],
    fetch=partial(STL10, split="test", download=True),
)  # fmt: skip
"""STL-10 (Coates, Ng and Lee 2011): 5,000 labelled training images, then 100,000 unlabelled ones, with label -1."""


def _read_svhn(root: str) -> ImageData:
    def part(which: str) -> Labelled:
        found = SVHN(root, split=which)
        return torch.from_numpy(np.ascontiguousarray(found.data)), torch.from_numpy(found.labels)

    return _data(part("train"), part("test"), [str(digit) for digit in range(10)])


svhn = Source(
    name="svhn", title="SVHN", download="246 MB", folder=".", read=_read_svhn,
    files=lambda: [SVHN.split_list[part][1:] for part in ("train", "test")],
    fetch=lambda root: [SVHN(root, split=part, download=True) for part in ("train", "test")],
)  # fmt: skip
"""SVHN (Netzer et al. 2011), cropped digits, without the 531,131 extra ones."""


def _read_fashion_mnist(root: str) -> ImageData:
    def part(*, train: bool) -> Labelled:
        found = FashionMNIST(root, train=train)
        return found.data[:, None].expand(-1, 3, -1, -1).contiguous(), found.targets

    return _data(part(train=True), part(train=False), FashionMNIST.classes)


fashion_mnist = Source(
    name="fashion-mnist", title="Fashion-MNIST", download="31 MB", folder="FashionMNIST/raw", read=_read_fashion_mnist,
    files=lambda: [(name.removesuffix(".gz"), None) for name, _ in FashionMNIST.resources],
    fetch=partial(FashionMNIST, download=True),
)  # fmt: skip
"""Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): grey pictures, repeated in red, green and blue."""


def central_square(path: Path, side: int) -> NDArray[np.uint8]:
    """A picture as (side, side, 3): upright, the shorter side resized with antialiasing, then the central square."""
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    return np.asarray(ImageOps.fit(upright, (side, side), Image.Resampling.BICUBIC))


def _decoded(files: Sequence[tuple[Path, int]], side: int) -> Labelled:
    """Pictures, decoded on all cores (Pillow releases the GIL), and their labels."""
    images = torch.empty(len(files), side, side, 3, dtype=torch.uint8)
    with ThreadPoolExecutor() as pool:
        for place, pixels in enumerate(pool.map(lambda file: central_square(file[0], side), files)):
            images[place] = torch.from_numpy(pixels.copy())
    return images.permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in files])


def _read_flowers102(root: str) -> ImageData:
    def part(*which: str) -> Labelled:
        sets = [Flowers102(root, split=name) for name in which]
        files = [file for found in sets for file in zip(found._image_files, found._labels, strict=True)]
        return _decoded(files, size_of("flowers102").side)

    names = getattr(Flowers102, "classes", [str(number) for number in range(1, 103)])  # torchvision 0.21 has no class names
    return _data(part("train", "val"), part("test"), names)


flowers102 = Source(
    name="flowers102", title="Oxford 102 Flowers", download="345 MB", folder="flowers-102", read=_read_flowers102,
    files=lambda: [("jpg", None), *(Flowers102._file_dict[key] for key in ("label", "setid"))],
    fetch=partial(Flowers102, download=True),
)  # fmt: skip
"""Oxford 102 Flowers (Nilsback and Zisserman 2008); its validation images are training images here."""


def _read_eurosat(root: str) -> ImageData:
    found = EuroSAT(root)
    files = [(Path(path), label) for path, label in found.samples]
    parts = split(torch.tensor([label for _, label in files]), seed=0, val_fraction=0.2)
    train, test = (_decoded([files[i] for i in part.tolist()], size_of("eurosat").side) for part in (parts.train, parts.val))
    return _data(train, test, found.classes)


eurosat = Source(
    name="eurosat", title="EuroSAT", download="94 MB", folder="eurosat", read=_read_eurosat,
    files=lambda: [("2750", None)], fetch=partial(EuroSAT, download=True),
)  # fmt: skip
"""EuroSAT in RGB (Helber et al. 2019). It has no official test images, so a fifth of each class is held out."""


def _read_pets(root: str) -> ImageData:
    def part(which: str) -> tuple[Labelled, list[str]]:
        found = OxfordIIITPet(root, split=which)
        return _decoded(list(zip(found._images, found._labels, strict=True)), size_of("pets").side), found.classes

    (train, classes), (test, _) = part("trainval"), part("test")
    return _data(train, test, classes)


pets = Source(
    name="pets", title="Oxford-IIIT Pet", download="811 MB", folder="oxford-iiit-pet", read=_read_pets,
    files=lambda: [(name, None) for name in ("images", "annotations/trainval.txt", "annotations/test.txt")],
    fetch=partial(OxfordIIITPet, download=True),
)  # fmt: skip
"""Oxford-IIIT Pet (Parkhi et al. 2012): 37 breeds of cats and dogs."""
