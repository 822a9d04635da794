"""A person's own pictures as a data set: what is found in a folder, how it is kept, and the commands on it."""

import csv
import errno
import hashlib
import json
import mmap
import multiprocessing
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from sslcli import load_encoder
from sslcli.bench.minutes import settle_minutes
from sslcli.data import image_data
from sslcli.data.batches import ahead
from sslcli.data.folder import picture_cache
from sslcli.data.folder import reading as folder
from sslcli.data.folder.catalogue import list_pictures
from sslcli.data.folder.entry import Entry
from sslcli.data.folder.label_file import read_labels
from sslcli.data.folder.manifest import read_manifest
from sslcli.data.folder.partition import sample_parts
from sslcli.data.folder.picture_cache import Decoded, decode
from sslcli.data.folder.reading import Reading, load_folder, sides, usual_side
from sslcli.data.loading import load_data
from sslcli.data.on_disk import Stored, chosen
from sslcli.errors import StateError, UsageError
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import plan
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint
from tests.benchmarks.pictures import hold_to_same, write_out
from tests.conftest import NEEDS_ONNX, Cli

Done = Callable[[str], Run]
CLASSES = {"red": (200, 60, 50), "blue": (50, 80, 200)}
RUN = "--backbone resnet9-small --batch-size 16 --epochs 1"


def draw_picture(path: Path, colour: tuple[int, int, int], number: int) -> None:
    """A noisy picture of a colour, another one for each number."""
    random = np.random.default_rng(number)
    height, width = random.integers(24, 60, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.integers(-40, 40, (height, width, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with 30 pictures in each of two classes."""
    root = tmp_path / "My Pictures ü"
    for label, (name, colour) in enumerate(CLASSES.items()):
        for number in range(30):
            draw_picture(root / name / f"{number}.{('png', 'jpg', 'webp')[number % 3]}", colour, 100 * label + number)
    return root


def listed(root: Path) -> dict[str, tuple[str | None, str | None]]:
    return {entry.path: (entry.label, entry.part) for entry in list_pictures(root).entries}


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


def test_folders_name_classes_and_parts(tmp_path: Path) -> None:
    assert listed(touch(tmp_path / "flat", "a.png", "b.JPG")) == {"a.png": (None, None), "b.JPG": (None, None)}
    one = touch(tmp_path / "one", "all/a.png", "all/deep/b.png")
    assert listed(one) == {"all/a.png": (None, None), "all/deep/b.png": (None, None)}
    nested = touch(tmp_path / "nested", "cat/a.png", "cat/x/b.png", "dog/c.png", "d.png")
    assert listed(nested) == {
        "cat/a.png": ("cat", None), "cat/x/b.png": ("cat", None), "dog/c.png": ("dog", None), "d.png": (None, None),
    }  # fmt: skip
    parts = touch(tmp_path / "parts", "train/cat/a.png", "Test/dog/b.png", "val/cat/c.png", "train/d.png", "unlabelled/e.png",
                  "train/dog/f.png", "masks/g.png", "h.png")  # fmt: skip
    assert listed(parts) == {
        "train/cat/a.png": ("cat", "train"), "Test/dog/b.png": ("dog", "test"), "val/cat/c.png": ("cat", "val"),
        "train/d.png": (None, "train"), "unlabelled/e.png": (None, "train"), "train/dog/f.png": ("dog", "train"),
    }  # fmt: skip


@pytest.mark.parametrize("beside", [[], ["unlabelled/e.png"], ["Unlabeled/x/e.png"]])
def test_of_a_folder_train_without_a_test_the_test_is_still_to_be_drawn(tmp_path: Path, beside: list[str]) -> None:
    root = touch(tmp_path, "train/cat/a.png", "train/dog/b.png", *beside)
    assert list_pictures(root).notes == []
    assert listed(root) == {
        "train/cat/a.png": ("cat", None), "train/dog/b.png": ("dog", None), **dict.fromkeys(beside, (None, None))
    }  # fmt: skip


def test_a_folder_train_beside_what_is_no_part_is_a_class_and_said_to_be_one(tmp_path: Path) -> None:
    root = touch(tmp_path, "train/cat/a.png", "train/dog/b.png", "dev/cat/c.png")
    assert {label for label, _ in listed(root).values()} == {"train", "dev"}
    (note,) = list_pictures(root).notes
    assert note == "the folder 'train' is taken as a class, beside 'dev'; parts are called train, test, val and unlabelled"
    vehicles = touch(tmp_path / "vehicles", "train/1.png", "bus/2.png")
    assert list_pictures(vehicles).notes == []
    assert {label for label, _ in listed(vehicles).values()} == {"train", "bus"}


def test_hidden_files_and_what_lies_outside_are_left_out_and_any_name_is_kept(tmp_path: Path) -> None:
    root = touch(tmp_path / "root", "猫/ a\nb.png", ".hidden/c.png", ".d.png", "notes.txt", "猫/e.gif")
    touch(tmp_path / "outside", "f.png")
    strange = os.fsdecode(b"caf\xe9.png")
    touch(root, strange)
    (root / "link.png").symlink_to(tmp_path / "outside" / "f.png")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to(root)
    (root / "inside.png").symlink_to(root / "猫" / "e.gif")
    (root / "broken.png").symlink_to(root / "nowhere")
    found = list_pictures(root)
    assert [entry.path for entry in found.entries] == sorted(["猫/ a\nb.png", "猫/e.gif", "inside.png", strange])
    others = dict(found.others)
    assert others["link.png"] == others["folder"] == "a link that leaves the folder"
    assert others["notes.txt"] == "not a picture by its name"
    assert set(others) == {"link.png", "folder", "notes.txt", "broken.png"}


def test_a_csv_file_names_classes_and_parts(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text('path,label,split\n./a.png,cat,train\n"b ""x"", y.png",dog,valid\nc.png,cat,\nd.png,,test\n')
    assert read_labels(file) == {
        "a.png": Entry("a.png", "cat", "train"), 'b "x", y.png': Entry('b "x", y.png', "dog", "val"),
        "c.png": Entry("c.png", "cat", None), "d.png": Entry("d.png", None, "test"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line is ''"), ("name,class\na,b\n", "accepted is path,label or path,label,split"),
        ("path,label\na.png\n", "line 2: 1 values, but the first line has 2"), ("path,label\n,cat\n", "line 2: no path"),
        ("path,label\na,b\n./a,c\n", "line 3: 'a' a second time"),
        ("path,label,split\na,b,later\n", "line 2: split 'later'; accepted: train, val, test"),
    ],
)  # fmt: skip
def test_a_csv_file_that_is_wrong_says_where(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_labels(tmp_path / "labels.csv")


def test_a_fifth_of_each_class_is_drawn_for_the_test_and_stays_when_pictures_come() -> None:
    digests = [hashlib.sha256(f"{number}".encode()).hexdigest() for number in range(400)]
    entries = [Entry(f"{i}", "ab"[i % 4 == 0] if i % 10 else None) for i in range(400)]
    drawn = sample_parts(entries, digests)
    for label in "ab":
        of_class = [entry for entry in drawn if entry.label == label]
        assert sum(entry.part == "test" for entry in of_class) == round(0.2 * len(of_class))
    assert all(entry.part == "train" for entry in drawn if entry.label is None)
    tested = {entry.path for entry in drawn if entry.part == "test"}
    more = {entry.path for entry in sample_parts(entries[:360], digests[:360]) if entry.part == "test"}
    assert len(tested & more) > 0.85 * len(more)
    few = sample_parts([Entry(f"{i}", "a" if i < 3 else "b") for i in range(5)], digests[:5])
    assert [entry.part for entry in few].count("test") == 1  # two pictures of a class both train


def test_all_copies_of_a_test_picture_are_tested_whatever_their_class_and_val_is_the_test_where_there_is_none() -> None:
    entries = [Entry(f"{i}", "ab"[i % 2]) for i in range(40)] + [Entry(f"copy {i}", "ba"[i % 2]) for i in range(40)]
    entries += [Entry(f"unlabelled copy {i}") for i in range(40)]
    digests = [hashlib.sha256(f"{i % 40}".encode()).hexdigest() for i in range(120)]
    drawn = sample_parts(entries, digests)
    tested = {digest for entry, digest in zip(drawn, digests, strict=True) if entry.part == "test"}
    trained = {digest for entry, digest in zip(drawn, digests, strict=True) if entry.part != "test"}
    assert len(tested) >= 8
    assert not tested & trained
    given = sample_parts([Entry("a", "x", "train"), Entry("b", "x", "val")], digests[:2])
    assert [entry.part for entry in given] == ["train", "test"]


def in_cache(root: Path, caches: Path, *, workers: int = 1, side: int = 8) -> Decoded:
    paths = [entry.path for entry in list_pictures(root).entries]
    return decode(root, paths, side=side, fit="crop", caches=caches, workers=workers, progress=lambda _: None)


def build(root: str, caches: str) -> None:
    """In a process of its own: build a cache, and leave a mark for each build that was begun."""
    whole = picture_cache.build_cache

    def marked(partial: Path, *rest: object) -> None:
        (Path(caches) / f"built by {os.getpid()}").touch()
        whole(partial, *rest)  # type: ignore[arg-type]

    picture_cache.build_cache = marked  # type: ignore[assignment]
    in_cache(Path(root), Path(caches))


def test_a_second_start_decodes_nothing_and_a_changed_file_makes_another_cache(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_cache(pictures, tmp_path / "cache")
    assert first.images.shape == (60, 3, 8, 8)
    wanted = first.images.reshape(60, 3, -1) / 255
    assert np.allclose(first.moments, np.stack([wanted.mean(2), (wanted**2).mean(2)], 1))
    with monkeypatch.context() as patched:
        patched.setattr(picture_cache, "build_cache", None)
        again = in_cache(pictures, tmp_path / "cache")
    assert np.array_equal(again.images, first.images)
    assert (again.digests, again.problems) == (first.digests, [""] * 60)
    shutil.copy(pictures / "red" / "0.png", pictures / "red" / "3.png")
    changed = in_cache(pictures, tmp_path / "cache")
    assert changed.folder != first.folder
    assert changed.digests.count(changed.digests[changed.paths.index("red/0.png")]) == 2


def test_a_new_cache_takes_the_place_of_the_one_before_it_and_of_what_a_killed_build_left(
    pictures: Path, tmp_path: Path
) -> None:
    caches = tmp_path / "cache"
    shutil.copytree(pictures, tmp_path / "another")
    before, another = in_cache(pictures, caches), in_cache(tmp_path / "another", caches)
    larger = decode(pictures, before.paths, side=9, fit="crop", caches=caches, workers=1, progress=lambda _: None)
    before.folder.with_suffix(".skipped.csv").touch()
    pixels = before.images.copy()
    for name in ("killed", "at work"):
        (caches / f"{name}.partial").mkdir()
    shutil.copy(pictures / "red" / "0.png", pictures / "red" / "3.png")
    with FileLock(caches / "at work.lock"):
        changed = in_cache(pictures, caches)
    kept = {path.name for path in caches.iterdir() if not path.name.endswith(".lock")}
    assert kept == {changed.folder.name, another.folder.name, larger.folder.name, "at work.partial"}
    assert np.array_equal(before.images, pixels)  # who has it open keeps it


def test_several_processes_decode_what_one_does(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_cache, "FEW", 0)
    alone, together = in_cache(pictures, tmp_path / "one"), in_cache(pictures, tmp_path / "two", workers=2)
    assert np.array_equal(alone.images, together.images)
    assert alone.digests == together.digests


def test_of_two_builders_one_builds_and_what_a_killed_one_left_is_built_anew(pictures: Path, tmp_path: Path) -> None:
    caches = tmp_path / "cache"
    key = in_cache(pictures, caches).folder.name
    (caches / key).rename(caches / f"{key}.partial")
    (caches / f"{key}.partial" / "images.u8").write_bytes(b"half")
    forks = multiprocessing.get_context("fork")
    builders = [forks.Process(target=build, args=(str(pictures), str(caches))) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert [builder.exitcode for builder in builders] == [0, 0]
    assert len(list(caches.glob("built by *"))) == 1
    assert not (caches / f"{key}.partial").exists()
    assert in_cache(pictures, caches).images.max() > 0


def test_a_damaged_cache_and_a_full_disk_are_said(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssl: Cli
) -> None:
    found = in_cache(pictures, tmp_path / "cache")
    (found.folder / "index.json").write_text("{")
    with pytest.raises(StateError, match=r"is damaged .* delete it"):
        in_cache(pictures, tmp_path / "cache")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture_cache, "reserve", full)
    result = ssl(f"pretrain --dataset 'folder:{pictures}' {RUN}")
    assert result.code == 3
    assert "60 pictures of 36 x 36 pixels need 0.0 GB" in result.err
    assert "No space left on device" in result.err


@pytest.mark.parametrize(
    ("shorter", "given", "wanted"),
    [((20, 20, 20), {}, (32, 32)), ((32,), {}, (32, 32)), ((50, 63, 300), {}, (48, 55)), ((64,), {}, (64, 64)),
     ((4000, 3000), {}, (224, 256)), ((230,), {}, (224, 230)), ((300,), {"image_size": 32}, (32, 37)),
     ((20,), {"image_size": 96}, (96, 96)), ((300,), {"fit": "pad"}, (224, 224))],
)  # fmt: skip
def test_the_size_follows_the_median_of_the_pictures(
    shorter: tuple[int, ...], given: dict[str, Any], wanted: tuple[int, int], tmp_path: Path
) -> None:
    for side in shorter:
        Image.new("RGB", (side, side + 5)).save(tmp_path / f"{side}.png")
    assert sides(usual_side(tmp_path, [f"{side}.png" for side in shorter]), Reading(**given)) == wanted


def test_broken_pictures_are_named_in_a_file_and_more_than_a_tenth_stops(pictures: Path, tmp_path: Path, ssl: Cli) -> None:
    (pictures / "red" / "notes.txt").write_text("no picture")
    for number in range(3):
        (pictures / "red" / f"bad{number}.png").write_bytes(b"\x89PNG" * number)
    said: list[str] = []
    data = load_folder(pictures, tmp_path / "cache", Reading(say=said.append))
    assert len(data.train_images) + len(data.test_images) == 60
    assert "3 of 63 pictures cannot be read, 1 other files are not pictures" in said[0]
    file = re.search(r"named in (.+?\.csv)", said[0])
    assert file
    text = Path(file[1]).read_text()
    assert all(f"red/bad{number}.png" in text for number in range(3))
    assert "red/notes.txt,not a picture by its name" in text
    for number in range(5):
        (pictures / "blue" / f"bad{number}.png").write_bytes(b"x")
    result = ssl(f"pretrain --dataset 'folder:{pictures}' {RUN}")
    assert result.code == 3
    assert "8 of 68 pictures cannot be read" in result.err
    assert "blue/bad0.png" in result.err


@pytest.mark.usefixtures("rough_pictures")
def test_a_folder_of_classes_goes_through_the_study_and_can_be_moved(
    pictures: Path, done: Done, ssl: Cli, registry: Registry, tmp_path: Path
) -> None:
    parent = done(f"pretrain --dataset 'folder:{pictures.name}' {RUN} --name mine")
    assert parent.dataset == parent.options["dataset"] == "folder:My Pictures ü"
    assert parent.id.startswith("simclr-resnet9-small-folder-my-pictures-u-s1-")
    assert parent.options["image_size"] == 32
    assert parent.metrics["val_knn"] >= 0
    runs = [done(f"probe --epochs 2 {init}") for init in ("", "--init scratch")]
    done("finetune --epochs 1")
    assert runs[0].pair == runs[1].pair
    assert runs[0].data["sha256"] == parent.data["sha256"]
    assert runs[0].data["test_seen_in_pretraining"] == 0
    assert runs[0].metrics["test_images"] == 12
    kept = read_manifest(registry.path(f"{runs[0].folder}/images.csv.gz"))
    assert sum(line.part == "test" for line in kept) == 12
    assert {line.label for line in kept} == set(CLASSES)
    assert json.loads(ssl("compare --format json").out)["differences"]
    for line in (
        "runs verify --numbers --from-checkpoint", "views --run mine", "predict --n 4", "map --n 10",
        f"data check --dataset 'folder:{pictures.name}'", "compare --without-duplicates", "bench probe --epochs 1 --no-presets",
    ):  # fmt: skip
        assert (result := ssl(line)).code == 0, result.err
    (tmp_path / "moved").mkdir()
    for name in ("registry.yaml", "runs", pictures.name):
        shutil.move(tmp_path / name, tmp_path / "moved" / name)
    result = ssl("probe --epochs 2 --seed 1 --name again --project moved")
    assert result.code == 0, result.err
    assert Registry(tmp_path / "moved").find("again").pair == runs[0].pair


def test_pretraining_without_labels_then_few_labels_from_a_file(pictures: Path, done: Done, ssl: Cli, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for path in sorted(pictures.rglob("*.*")):
        flat.mkdir(exist_ok=True)
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    parent = done(f"pretrain --dataset folder:flat {RUN}")
    assert "val_knn" not in parent.metrics
    assert parent.metrics["val_rank"] > 0
    refused = ssl("probe --epochs 2")
    assert refused.code == 2
    assert "has no labels" in refused.err
    assert "--labels FILE.csv" in refused.err
    lines = [f"{path.name},{path.name.split('-')[0]}" for path in sorted(flat.iterdir())[::2]]
    (tmp_path / "few.csv").write_text("\n".join(["path,label", *lines]))
    result = ssl("probe --epochs 2 --labels few.csv")
    assert result.code == 0, result.err
    assert "WARNING" in result.err
    assert "was pretrained on 6 of the 6 test pictures" in result.err
    scratch = done("probe --epochs 2 --labels few.csv --init scratch")
    assert scratch.options["labels"] == "few.csv"
    clean = done(f"pretrain --dataset folder:flat {RUN} --labels few.csv")
    assert done(f"probe --epochs 2 --encoder {clean.id}").data["test_seen_in_pretraining"] == 0
    unknown = tmp_path / "unknown.csv"
    unknown.write_text("path,label\nnowhere.png,red\n")
    result = ssl("probe --labels unknown.csv")
    assert result.code == 2
    assert "1 of its 1 paths are not in the folder; the first is 'nowhere.png'" in result.err


def test_given_parts_are_respected(pictures: Path, tmp_path: Path) -> None:
    root = tmp_path / "parts"
    for path in sorted(pictures.rglob("*.*")):
        number = int(path.stem)
        part = "test" if number < 6 else "val" if number < 10 else "train"
        (root / part / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / part / path.parent.name / path.name)
    data = load_folder(root, tmp_path / "cache", Reading(image_size=16))
    assert (len(data.train_labels), len(data.test_labels)) == (48, 12)
    for seed in (1, 2):
        parts = data.split(seed=seed)
        assert torch.equal(parts.val, data.given_val)
        assert (len(parts.train), len(parts.val)) == (40, 8)
    assert {line.part for line in data.manifest if line.path.startswith("val/")} == {"val"}
    assert data.first(3).given_val is None
    labels = tmp_path / "labels.csv"
    names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.*"))]
    labels.write_text("\n".join(["path,label", *(f"{name},{number % 3}" for number, name in enumerate(names))]))
    renamed = load_folder(root, tmp_path / "cache", Reading(image_size=16, labels=labels))
    assert renamed.classes == ("0", "1", "2")
    assert {line.part for line in renamed.manifest if line.path.startswith("test/")} == {"test"}


def test_pictures_that_stay_in_their_file_give_the_same_bits(
    pictures: Path, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = f"pretrain --dataset 'folder:{pictures.name}' {RUN} --precision fp32", "probe --epochs 2", "finetune --epochs 1"
    held = [done(line) for line in lines]
    monkeypatch.setattr(folder, "IN_MEMORY", 0)
    in_file = [done(line) for line in lines]
    for one, other in zip(held, in_file, strict=True):
        names = ("last", "last") if one.experiment == "pretrain" else ("best", "best")
        first, second = (load_checkpoint(registry, run, name)["model"] for run, name in zip((one, other), names, strict=True))
        assert all(torch.equal(first[name], second[name]) for name in first)
        same = {key: value for key, value in one.metrics.items() if key != "seconds"}
        assert same == {key: value for key, value in other.metrics.items() if key != "seconds"}


def test_cifar10_written_out_as_pictures_is_the_same_data_set(small_cifar: Path, tmp_path: Path) -> None:
    official = load_data("cifar10", small_cifar)
    write_out(official, tmp_path / "files")
    hold_to_same(official, load_folder(tmp_path / "files", tmp_path / "cache", Reading()))
    with pytest.raises(AssertionError):
        hold_to_same(official, load_folder(tmp_path / "files", tmp_path / "cache", Reading(image_size=16)))


class Asked(mmap.mmap):
    """A mapped file that notes which parts of it are to be fetched."""

    parts: list[tuple[int, int]]

    def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
        assert option == mmap.MADV_WILLNEED
        self.parts.append((start, start + length))
        super().madvise(option, start, length)


def test_images_in_a_file_are_read_by_row(tmp_path: Path) -> None:
    pixels = torch.randint(256, (5, 3, 50, 50), dtype=torch.uint8)
    (tmp_path / "pixels").write_bytes(pixels.numpy().tobytes())
    with (tmp_path / "pixels").open("rb") as opened:
        file = Asked(opened.fileno(), 0, access=mmap.ACCESS_READ)
    file.parts = []
    stored = Stored(torch.tensor(np.frombuffer(file, np.uint8)).view(pixels.shape), torch.tensor([4, 0, 2]), file)
    assert stored.shape == (3, 3, 50, 50)
    assert torch.equal(stored[torch.tensor([2, 0])], pixels[[2, 4]])
    assert [end for _, end in file.parts] == [3 * 7500, 5 * 7500]
    assert all(start % mmap.PAGESIZE == 0 and 0 <= end - 7500 - start < mmap.PAGESIZE for start, end in file.parts)
    assert torch.equal(stored[1:], pixels[[0, 2]])
    assert torch.equal(stored[1], pixels[0])
    assert torch.equal(chosen(stored, torch.tensor([1, 2]))[:], pixels[[0, 2]])
    assert torch.equal(chosen(pixels, slice(2))[:], pixels[:2])


def test_what_is_read_ahead_is_what_would_be_read() -> None:
    asked: list[int] = []

    def batch_at(step: int) -> int:
        asked.append(step)
        if step == 4:
            raise RuntimeError("past the end")
        return 10 * step

    at = ahead(batch_at)
    assert [at(step) for step in (0, 1, 2, 7, 3)] == [0, 10, 20, 70, 30]  # the error of reading ahead of 3 is nobody's
    assert asked[:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("pretrain --dataset folder:nowhere", 3, "no such folder"), ("pretrain --dataset folder:", 2, "folder:…"),
        ("pretrain --dataset folder:empty", 3, "no picture in this folder"),
        ("pretrain --dataset shapes --labels x.csv --image-size 8", 2, "--labels, --image-size: for --dataset folder:PATH"),
        ("pretrain --dataset shapes --fit pad", 2, "--fit: for --dataset folder:PATH only"),
        ("pretrain --dataset folder:one --labels none.csv", 3, "there is no such file"),
        ("pretrain --dataset folder:.", 2, "the folder contains the project"),
    ],
)  # fmt: skip
def test_mistyped_folders_are_refused(line: str, code: int, message: str, ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    draw_picture(tmp_path / "one" / "a.png", CLASSES["red"], 0)
    result = ssl(line)
    assert (result.code, message in result.err) == (code, True), result.err


def test_a_named_run_on_a_folder_is_gone_on_with_from_another_place(
    pictures: Path, ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"pretrain {RUN} --run long --project"
    assert ssl(f"{line} . --dataset 'folder:{pictures.name}'").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = ssl(f"{line} .. --dataset 'folder:../{pictures.name}'")
    assert result.code == 0, result.err
    assert "is finished" in result.err
    assert ssl(f"{line} .. --dataset folder:..").code == 2


def test_a_run_that_died_before_its_list_of_pictures_gets_it_when_it_goes_on(
    pictures: Path, done: Done, registry: Registry
) -> None:
    parent = done(f"pretrain --dataset 'folder:{pictures.name}' {RUN}")
    run = done("probe --epochs 2")
    wanted = read_manifest(registry.path(f"{run.folder}/images.csv.gz"))
    for again in (parent, run):
        registry.path(f"{again.folder}/images.csv.gz").unlink()
        again.data.pop("test_seen_in_pretraining", None)
        again.status = "interrupted"
        registry.save(again)
        done(f"resume {again.id}")
        assert read_manifest(registry.path(f"{again.folder}/images.csv.gz")) == wanted
    assert registry.load(run).data["test_seen_in_pretraining"] == 0


def test_the_same_folder_named_again_keeps_its_labels(pictures: Path, done: Done, tmp_path: Path) -> None:
    names = [path.relative_to(pictures).as_posix() for path in sorted(pictures.rglob("*.*"))]
    lines = [f"{name},{'even' if number % 2 else 'odd'}" for number, name in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    done(f"pretrain --dataset 'folder:{pictures.name}' {RUN} --labels labels.csv")
    probe = done(f"probe --dataset 'folder:{pictures.name}' --protocol knn")
    assert probe.options["labels"] == "labels.csv"
    assert probe.data["classes"] == ["even", "odd"]
    assert probe.data["test_seen_in_pretraining"] == 0


@NEEDS_ONNX
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_own_pictures_are_seen_as_those_of_the_folder_were(fit: str, pictures: Path, done: Done, ssl: Cli) -> None:
    run = done(f"pretrain --dataset 'folder:{pictures.name}' {RUN} --precision fp32 --fit {fit}")
    found = {}
    for out, option in {"data": "--part train", "own": f"--images '{pictures.name}/red'"}.items():
        assert ssl(f"embed {option} --out {out}").code == 0
        lines = Path(out, "images.csv").read_text(encoding="utf-8").splitlines()[1:]
        rows = zip(csv.reader(lines), np.load(f"{out}/h.npy"), strict=True)
        found[out] = {Path(path).name: h for (path, label), h in rows if label in ("red", "")}
    assert len(found["data"]) == 24
    encoder, transform, _ = load_encoder(run.id)
    for name, h in found["data"].items():
        assert np.allclose(found["own"][name], h, atol=1e-5)
        with torch.no_grad():
            made = encoder(transform(Image.open(pictures / "red" / name))[None])[0]
        assert np.allclose(made.numpy(), h, atol=1e-4)
    for form in ("safetensors", "onnx"):
        assert (result := ssl(f"export {run.id} --format {form}")).code == 0, result.err


def test_two_folders_of_files_that_look_alike_have_their_own_pixels(tmp_path: Path) -> None:
    for name, colour in CLASSES.items():
        (tmp_path / name).mkdir()
        Image.new("RGB", (20, 20), colour).save(tmp_path / name / "a.bmp")
        os.utime(tmp_path / name / "a.bmp", (1, 1))
    found = [in_cache(tmp_path / name, tmp_path / "cache").images[0, :, 4, 4].tolist() for name in CLASSES]
    assert found == [list(colour) for colour in CLASSES.values()]


def test_a_machine_that_fails_for_a_moment_is_not_remembered_of_a_picture(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(picture_cache, "read_rgb", fail)
        with pytest.raises(OSError, match="Input/output error"):
            in_cache(pictures, tmp_path / "cache")
    assert in_cache(pictures, tmp_path / "cache").problems == [""] * 60


def test_images_on_a_numbered_device_are_not_moved_to_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class There:
        device = torch.device("cuda", 0)

        def __getitem__(self, rows: object) -> "There":
            return self

    moved: list[torch.device] = []
    monkeypatch.setattr(image_data, "hand_over", lambda tensor, device: moved.append(device) or tensor)
    image_data.pick(There(), torch.tensor([1]), torch.device("cuda"))  # type: ignore[arg-type]
    assert moved == [torch.device("cuda", 0)]  # the rows alone


@pytest.mark.parametrize(("side", "size", "crop_min", "blur"), [(40, 32, 0.2, 0.0), (130, 128, 0.08, 0.5)])
def test_views_and_stem_follow_the_size_of_the_pictures(
    side: int, size: int, crop_min: float, blur: float, tmp_path: Path, registry: Registry
) -> None:
    (tmp_path / "pictures").mkdir()
    for number in range(8):
        Image.new("RGB", (side, side + number), (number * 30, 0, 0)).save(tmp_path / "pictures" / f"{number}.png")
    command = Pretrain(dataset=f"folder:{tmp_path / 'pictures'}", batch_size=4, hue=0.05)
    options = plan(registry, command, settle_minutes=settle_minutes).options
    assert (options.image_size, options.crop_min, options.blur, options.hue) == (size, crop_min, blur, 0.05)
    assert options.stem == ("conv7-pool" if size >= 96 else "conv3")
    assert options.view_sizes == str(size)
    assert options.origins["blur"] == f"from the image size, {size}"


def test_the_size_that_is_shown_is_part_of_what_the_data_are(pictures: Path, tmp_path: Path) -> None:
    side = int(usual_side(pictures, [entry.path for entry in list_pictures(pictures).entries]))
    smaller, larger = (load_folder(pictures, tmp_path / "c", Reading(image_size=size)) for size in (side - 2, side - 1))
    assert smaller.kept_size == larger.kept_size == side
    assert smaller.fingerprint != larger.fingerprint
    usual, typed = (load_folder(pictures, tmp_path / "c", Reading(image_size=size)) for size in (None, 32))
    assert usual.fingerprint == typed.fingerprint


def test_labels_of_one_class_make_no_evaluation(pictures: Path, done: Done, ssl: Cli, tmp_path: Path) -> None:
    done(f"pretrain --dataset 'folder:{pictures}' {RUN}")
    (tmp_path / "one.csv").write_text(
        "path,label\n" + "".join(f"red/{i}.{('png', 'jpg', 'webp')[i % 3]},red\n" for i in range(20))
    )
    for line in ("probe", "probe --protocol knn", "probe --protocol logistic", "finetune"):
        refused = ssl(f"{line} --dataset 'folder:{pictures}' --labels one.csv --init scratch")
        assert refused.code == 2, line
        assert "all labelled training images are of one class" in refused.err


def test_own_pictures_may_be_all_of_the_current_folder(
    pictures: Path, done: Done, ssl: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done(f"pretrain --dataset 'folder:{pictures}' {RUN}")
    monkeypatch.chdir(pictures / "red")
    result = ssl(f"embed --images . --project '{tmp_path}'")
    assert result.code == 0, result.err
    assert "h of 30 images" in result.out


def test_pictures_that_are_fewer_than_are_usually_drawn_are_all_drawn(pictures: Path, done: Done, ssl: Cli) -> None:
    done(f"pretrain --dataset 'folder:{pictures}' {RUN}")
    done("probe --epochs 1")
    result = ssl("predict")
    assert result.code == 0, result.err
    assert "of 12)" in result.out
    refused = ssl("predict --n 16")
    assert (refused.code, "--n 16: accepted is at most the 12 test images" in refused.err) == (2, True)
