"""Other test pictures of CIFAR's classes, from made files laid out as the published ones."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from sslcli.data.sets.shifted import SHIFTED, corrupted_archive
from sslcli.errors import StateError

LABELS = torch.tensor([3, 1, 0, 2])
CLASSES = ("airplane", "cat")


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def write_archive(folder: Path, images: torch.Tensor, labels: torch.Tensor) -> None:
    folder.mkdir(parents=True)
    for name in CORRUPTIONS:
        made = torch.cat([corrupt(images, name, severity=severity, seed=1) for severity in SEVERITIES])
        np.save(folder / f"{name}.npy", made.permute(0, 2, 3, 1).numpy())
    np.save(folder / "labels.npy", labels.repeat(5).numpy().astype(np.uint8))


def test_the_archive_gives_the_rows_of_a_severity(tmp_path: Path) -> None:
    write_archive(tmp_path / "CIFAR-10-C", pictures(4), LABELS)
    archive = corrupted_archive("cifar10", tmp_path, LABELS)
    assert archive is not None
    rows = torch.tensor([2, 0])
    wanted = corrupt(pictures(4), "fog", severity=4, seed=1)[rows]
    assert torch.equal(archive.images("fog", severity=4, rows=rows), wanted)


def test_without_the_folder_or_for_another_data_set_there_is_no_archive(tmp_path: Path) -> None:
    assert corrupted_archive("cifar10", tmp_path, LABELS) is None
    (tmp_path / "CIFAR-10-C").mkdir()
    assert corrupted_archive("shapes", tmp_path, LABELS) is None


def test_an_archive_of_other_images_or_with_a_short_file_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "CIFAR-10-C"
    write_archive(folder, pictures(4), LABELS)
    with pytest.raises(StateError, match="does not hold the labels of the 4 test images of cifar10"):
        corrupted_archive("cifar10", tmp_path, LABELS.flip(0))
    archive = corrupted_archive("cifar10", tmp_path, LABELS)
    assert archive is not None
    np.save(folder / "snow.npy", np.zeros((7, 32, 32, 3), np.uint8))
    with pytest.raises(StateError, match=r"snow\.npy is not whole: it holds uint8 \(7, 32, 32, 3\)"):
        archive.images("snow", severity=1, rows=torch.tensor([0]))
    (folder / "fog.npy").unlink()
    with pytest.raises(StateError, match=r"fog\.npy is missing"):
        archive.images("fog", severity=1, rows=torch.tensor([0]))
    (folder / "frost.npy").write_bytes(b"no array")
    with pytest.raises(StateError, match=r"frost\.npy is damaged"):
        archive.images("frost", severity=1, rows=torch.tensor([0]))


def test_cifar_10_1_is_read_with_its_labels_and_drawn_by_the_seed(tmp_path: Path) -> None:
    read = SHIFTED["cifar10"]["CIFAR-10.1"]
    assert read(tmp_path, CLASSES, 5, 1) is None
    (tmp_path / "CIFAR-10.1").mkdir()
    images, labels = pictures(6), torch.tensor([0, 1, 0, 1, 1, 0])
    np.save(tmp_path / "CIFAR-10.1" / "cifar10.1_v6_data.npy", images.permute(0, 2, 3, 1).numpy())
    np.save(tmp_path / "CIFAR-10.1" / "cifar10.1_v6_labels.npy", labels.numpy().astype(np.int32))
    found = read(tmp_path, CLASSES, 5, 1)
    assert found is not None
    places = [next(row for row in range(6) if torch.equal(images[row], one)) for one in found[0]]
    assert len(set(places)) == 5
    assert found[1].tolist() == labels[places].tolist()
    np.save(tmp_path / "CIFAR-10.1" / "cifar10.1_v6_labels.npy", np.full(6, 7))
    with pytest.raises(StateError, match="is not whole"):
        read(tmp_path, CLASSES, 5, 1)


def test_of_cinic_10_only_what_is_not_cifars_is_read(tmp_path: Path) -> None:
    read = SHIFTED["cifar10"]["CINIC-10"]
    assert read(tmp_path, CLASSES, 5, 1) is None
    for label, name in enumerate(CLASSES):
        (tmp_path / "CINIC-10" / "test" / name).mkdir(parents=True)
        for file, grey in (("n01-1.png", 50 + label), ("cifar10-train-3.png", 200)):
            Image.new("RGB", (32, 32), (grey,) * 3).save(tmp_path / "CINIC-10" / "test" / name / file)
    found = read(tmp_path, CLASSES, 5, 1)
    assert found is not None
    assert sorted(zip(found[0][:, 0, 0, 0].tolist(), found[1].tolist(), strict=True)) == [(50, 0), (51, 1)]
    with pytest.raises(StateError, match="there is no folder dog"):
        read(tmp_path, (*CLASSES, "dog"), 5, 1)
    (tmp_path / "CINIC-10" / "test" / "cat" / "n01-1.png").write_bytes(b"no picture")
    with pytest.raises(StateError, match="is not whole"):
        read(tmp_path, CLASSES, 5, 1)
