"""Small data sets laid out on disk as torchvision expects the official ones, with the checksums that fit them."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, CIFAR100, STL10, SVHN, FashionMNIST, Flowers102

from sslcli.data import DATASETS, size_of
from sslcli.data.image_data import ImageData

Pixels = NDArray[np.uint8]
Labelled = tuple[Pixels, list[int]]


@dataclass
class LaidOut:
    """What was written: images (N, H, W, 3) and labels of training and test, and a file whose damage must be found."""

    train: Labelled
    test: Labelled
    victim: Path


def part(count: int, side: int, *, seed: int, classes: int = 10) -> Labelled:
    """Random images and labels that count up."""
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return pixels, [i % classes for i in range(count)]


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def picture(path: Path, pixels: Pixels) -> Path:
    """A picture without loss, whatever the name ends in; Pillow goes by the content."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="png")
    return write(path, buffer.getvalue())


def cifar(kind: type[Any], key: str) -> Callable[[Path, pytest.MonkeyPatch], LaidOut]:
    def lay_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
        folder, parts = root / kind.base_folder, {}
        for seed, attribute in enumerate(("train_list", "test_list")):
            images: list[Pixels] = []
            labels: list[int] = []
            listed = []
            for number, (name, _) in enumerate(getattr(kind, attribute)):
                pixels, of = part(20, 32, seed=10 * seed + number)
                rows = pixels.transpose(0, 3, 1, 2).reshape(20, -1)
                listed.append((name, md5(write(folder / name, pickle.dumps({"data": rows, key: of})))))
                images, labels = [*images, pixels], labels + of
            monkeypatch.setattr(kind, attribute, listed)
            parts[attribute] = np.concatenate(images), labels
        names = {kind.meta["key"]: [f"class{i}" for i in range(size_of("cifar100" if kind is CIFAR100 else "cifar10").classes)]}
        meta = write(folder / kind.meta["filename"], pickle.dumps(names))
        monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})
        return LaidOut(parts["train_list"], parts["test_list"], folder / kind.train_list[0][0])

    return lay_out


def stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
    folder = root / STL10.base_folder
    train, test, unlabelled = (part(10, 96, seed=1), part(5, 96, seed=2), part(7, 96, seed=3))
    write(folder / "class_names.txt", "\n".join(f"class{i}" for i in range(10)).encode())
    files = {"train": train, "test": test, "unlabeled": unlabelled}
    for name, (pixels, labels) in files.items():
        write(folder / f"{name}_X.bin", pixels.transpose(0, 3, 2, 1).tobytes())
        write(folder / f"{name}_y.bin", bytes(label + 1 for label in labels))
    for attribute in ("train_list", "test_list"):
        listed = [(name, md5(folder / name)) for name, _ in getattr(STL10, attribute)]
        monkeypatch.setattr(STL10, attribute, listed)
    whole = np.concatenate([train[0], unlabelled[0]]), train[1] + [-1] * 7
    return LaidOut(whole, test, folder / "unlabeled_X.bin")


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
    parts, listed = {"train": part(12, 32, seed=1), "test": part(6, 32, seed=2)}, dict(SVHN.split_list)
    for name, (pixels, labels) in parts.items():
        url, file, _ = listed[name]
        root.mkdir(exist_ok=True)
        savemat(root / file, {"X": pixels.transpose(1, 2, 3, 0), "y": np.array([[label or 10] for label in labels], np.uint8)})
        listed[name] = [url, file, md5(root / file)]
    monkeypatch.setattr(SVHN, "split_list", listed)
    return LaidOut(parts["train"], parts["test"], root / "test_32x32.mat")


def fashion_mnist(root: Path, _: pytest.MonkeyPatch) -> LaidOut:
    folder, parts = root / "FashionMNIST" / "raw", {"train": part(12, 28, seed=1), "t10k": part(6, 28, seed=2)}
    grey = {name: (np.repeat(pixels[..., :1], 3, -1), labels) for name, (pixels, labels) in parts.items()}
    for name, (pixels, labels) in grey.items():
        sizes = b"".join(int(size).to_bytes(4, "big") for size in (len(pixels), 28, 28))
        write(folder / f"{name}-images-idx3-ubyte", b"\0\0\x08\x03" + sizes + pixels[..., 0].tobytes())
        write(folder / f"{name}-labels-idx1-ubyte", b"\0\0\x08\x01" + sizes[:4] + bytes(labels))
    assert len(FashionMNIST.classes) == 10
    return LaidOut(grey["train"], grey["t10k"], folder / "t10k-images-idx3-ubyte")


def flowers102(root: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
    folder, (pixels, labels) = root / "flowers-102", part(12, size_of("flowers102").side, seed=1, classes=102)
    for place, image in enumerate(pixels, 1):
        picture(folder / "jpg" / f"image_{place:05d}.jpg", image)
    savemat(folder / "imagelabels.mat", {"labels": np.array([label + 1 for label in labels])})
    savemat(folder / "setid.mat", {"trnid": [2, 3, 4], "valid": [1, 5, 6], "tstid": list(range(7, 13))})
    known = {key: (name, md5(folder / name)) for key, (name, _) in Flowers102._file_dict.items() if key != "image"}
    monkeypatch.setattr(Flowers102, "_file_dict", known)
    train = [1, 2, 3, 0, 4, 5]
    return LaidOut((pixels[train], [labels[i] for i in train]), (pixels[6:], labels[6:]), folder / "jpg" / "image_00009.jpg")


def eurosat(root: Path, _: pytest.MonkeyPatch) -> LaidOut:
    """Ten images a class, of one colour that tells them apart: which two are for testing is the code's to say."""
    folder, side = root / "eurosat" / "2750", size_of("eurosat").side
    for place in range(100):
        colour = np.array([place, 255 - place, 7], np.uint8)
        picture(folder / f"Class{place // 10}" / f"Class{place // 10}_{place}.jpg", np.tile(colour, (side, side, 1)))
    everything = np.tile(np.array([[[place, 255 - place, 7]] for place in range(100)], np.uint8)[:, None], (1, side, side, 1))
    labels = [place // 10 for place in range(100)]
    return LaidOut((everything[:80], labels[:80]), (everything[80:], labels[80:]), folder / "Class3" / "Class3_31.jpg")


def pets(root: Path, _: pytest.MonkeyPatch) -> LaidOut:
    folder, parts = root / "oxford-iiit-pet", {}
    for seed, name in enumerate(("trainval", "test")):
        parts[name] = part(37, size_of("pets").side, seed=seed, classes=37)
        lines = []
        for place, (image, label) in enumerate(zip(*parts[name], strict=True)):
            picture(folder / "images" / f"breed_{label}_{name}{place}.jpg", image)
            lines.append(f"breed_{label}_{name}{place} {label + 1} 1 1")
        write(folder / "annotations" / f"{name}.txt", "\n".join(lines).encode())
    return LaidOut(parts["trainval"], parts["test"], folder / "images" / "breed_5_test5.jpg")


LAYOUTS: dict[str, Callable[[Path, pytest.MonkeyPatch], LaidOut]] = {
    "cifar10": cifar(CIFAR10, "labels"),
    "cifar100": cifar(CIFAR100, "fine_labels"),
    "stl10": stl10,
    "svhn": svhn,
    "fashion-mnist": fashion_mnist,
    "flowers102": flowers102,
    "eurosat": eurosat,
    "pets": pets,
}
"""Data set to the function that lays a small one out below a folder."""


def resize(name: str, monkeypatch: pytest.MonkeyPatch, **changed: int) -> None:
    """Another official size."""
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], size=replace(size_of(name), **changed)))


def lay_out(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> LaidOut:
    """A small data set on disk, which then counts as the official one."""
    made = LAYOUTS[name](root, monkeypatch)
    resize(name, monkeypatch, train=len(made.train[1]), test=len(made.test[1]))
    return made


def pixels_of(data: ImageData) -> tuple[Pixels, Pixels]:
    """Training and test images (N, H, W, 3)."""
    train, test = (images.permute(0, 2, 3, 1).numpy() for images in (data.train_images, data.test_images))
    return train, test
