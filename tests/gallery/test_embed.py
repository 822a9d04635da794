"""ssl embed and ssl neighbours: what they write is what the encoder makes of the images, and who is nearest is drawn."""

import csv
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from torch import Tensor

from sslcli.data.folder import own_images
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.data.sets import shapes
from sslcli.errors import StateError
from sslcli.evaluation.classifiers import load_classifier
from sslcli.evaluation.features import outputs
from sslcli.export import reading
from sslcli.figures import projector
from sslcli.gallery import predictions as predict_command
from sslcli.plans.pretraining import load_pretrained
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.device import autocast
from tests.conftest import TINY, Cli, Refused
from tests.kept_figures import keep_figures

Done = Callable[[str], Run]
FILES = {"h.npy", "images.csv", "h.tsv", "names.tsv", "sprite.png", "projector_config.pbtxt"}


@pytest.fixture
def pretrained(done_once: Done) -> Run:
    return done_once(f"pretrain {TINY} --precision fp32 --knn-every 0")


@pytest.fixture
def own(tmp_path: Path) -> list[Path]:
    """Three test images of the data set, written out as files; one name is hard to write in a table."""
    images = load_data("shapes", tmp_path).test_images[:3].permute(0, 2, 3, 1).numpy()
    folder = tmp_path / "own"
    folder.mkdir()
    names = ["first.png", 'a,\t"odd" name, longer than what fits.png', "third.bmp"]
    for name, pixels in zip(names, images, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return [folder / name for name in names]


def h_of(net: torch.nn.Module, images: Tensor, data: ImageData) -> Tensor:
    return outputs(net, images, normalise=data.normalise, autocast=autocast(torch.device("cpu"), "fp32"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("part", ["test", "train"])
def test_embed_writes_h_of_a_data_sets_images_with_their_labels(
    ssl: Cli, pretrained: Run, registry: Registry, part: str
) -> None:
    result = ssl(f"embed --part {part}")
    assert result.code == 0, result.err
    folder = Path(f"results/embeddings/{pretrained.id}/{part}")
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(name in result.err for name in (f"wrote in {folder}: ", *FILES))
    assert f"next, type: tensorboard --logdir {folder}" in result.err
    data = load_data("shapes", Path("data"))
    images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
    h = np.load(folder / "h.npy")
    assert h.dtype == np.float32
    np.testing.assert_allclose(h, h_of(load_pretrained(registry, pretrained), images, data).numpy(), rtol=1e-5, atol=1e-6)
    written = rows(folder / "images.csv")
    assert [row["path"] for row in written] == [f"shapes/{part}/{i}" for i in range(len(images))]
    assert [row["label"] for row in written] == [data.classes[i] for i in labels.tolist()]
    assert f"{len(h)} images, {h.shape[1]} numbers each" in result.out


def test_own_pictures_have_the_h_of_the_same_test_images_in_any_run_of_the_encoder(
    ssl: Cli, done: Done, pretrained: Run, own: list[Path]
) -> None:
    probe = done("probe --epochs 1 --precision fp32")
    assert ssl(f"embed --run {probe.id}").code == 0
    expected = np.load(f"results/embeddings/{probe.id}/test/h.npy")[:3]
    line = " ".join(f"'{path}'" for path in own)
    for run in (pretrained, probe):
        assert ssl(f"embed --run {run.id} --images {line}").code == 0
        folder = Path(f"results/embeddings/{run.id}/images")
        np.testing.assert_allclose(np.load(folder / "h.npy"), expected, rtol=1e-4, atol=1e-5)
        assert rows(folder / "images.csv") == [{"path": str(path), "label": ""} for path in own]
    assert ssl(f"embed --images {own[0].parent} --out elsewhere").code == 0
    assert [Path(row["path"]).name for row in rows(Path("elsewhere/images.csv"))] == sorted(path.name for path in own)


@pytest.mark.usefixtures("pretrained")
def test_tensorboards_projector_reads_what_embed_wrote(ssl: Cli, own: list[Path]) -> None:
    assert ssl(f"embed --images {own[0].parent} --out out").code == 0
    config = ProjectorConfig()
    text_format.Parse(Path("out/projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    names = Path("out", embedding.metadata_path).read_text().splitlines()
    assert names[0] == "path\tlabel"
    assert [line.count("\t") for line in names] == [1] * 4
    h = np.loadtxt(Path("out", embedding.tensor_path), delimiter="\t")
    np.testing.assert_allclose(h, np.load("out/h.npy"), rtol=1e-4, atol=1e-6)
    assert list(embedding.sprite.single_image_dim) == [32, 32]
    with Image.open(Path("out", embedding.sprite.image_path)) as sprite:
        assert sprite.size == (64, 64)
        third = np.asarray(sprite)[32:, :32]
    with Image.open(sorted(own)[2]) as picture:
        np.testing.assert_array_equal(third, np.asarray(picture))
    no_runs = SimpleNamespace(list_runs=lambda *_, **__: [])
    plugin = ProjectorPlugin(TBContext(logdir="out", data_provider=no_runs))
    plugin._determine_is_active()
    assert plugin.is_active()
    assert list(plugin._configs["."].embeddings[0].tensor_shape) == list(h.shape)


def test_a_sprite_has_all_images_and_becomes_no_larger_than_a_browser_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.broadcast_to(np.arange(7, dtype=np.uint8)[:, None, None, None] * 30, (7, 20, 20, 3))
    whole, side = projector.sprite([partial(images.__getitem__, place) for place in range(len(images))])
    assert (whole.size, side) == ((60, 60), 20)
    monkeypatch.setattr(projector, "LARGEST", 32)
    small, side = projector.sprite([partial(images.__getitem__, place) for place in range(len(images))])
    assert (small.size, side) == ((30, 30), 10)
    for made, size in ((whole, 20), (small, 10)):
        middles = np.asarray(made)[size // 2 :: size, size // 2 :: size, 0].flatten().tolist()
        assert middles == [0, 30, 60, 90, 120, 150, 180, 255, 255]


def test_of_many_images_the_projector_gets_some_evenly_and_that_is_said(
    ssl: Cli, pretrained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "MOST", 9)
    monkeypatch.setattr("sslcli.gallery.embeddings.MOST", 9)
    result = ssl("embed")
    assert "9 of them for the projector" in result.err
    folder = Path(f"results/embeddings/{pretrained.id}/test")
    names = [line.split("\t")[0] for line in (folder / "names.tsv").read_text().splitlines()[1:]]
    assert names == [f"shapes/test/{i}" for i in np.linspace(0, 79, 9).astype(int)]
    assert len(np.load(folder / "h.npy")) == 80


def test_embed_predict_and_neighbours_read_pictures_in_one_way() -> None:
    assert reading.images_in_turn is own_images.images_in_turn
    assert predict_command.read_images is own_images.read_images


@pytest.mark.usefixtures("pretrained")
def test_more_pictures_than_the_projector_shows_are_not_held_and_look_the_same(
    ssl: Cli, own: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ssl(f"embed --images {own[0].parent} --out whole").code == 0
    monkeypatch.setattr("sslcli.gallery.embeddings.MOST", 2)
    monkeypatch.setattr("sslcli.data.folder.picture_stream.SOME", 1)
    result = ssl(f"embed --images {own[0].parent} --out few")
    assert result.code == 0, result.err
    assert Path("few/sprite.png").read_bytes() == Path("whole/sprite.png").read_bytes()
    assert Path("few/images.csv").read_bytes() == Path("whole/images.csv").read_bytes()
    np.testing.assert_allclose(np.load("few/h.npy"), np.load("whole/h.npy"), rtol=1e-3, atol=1e-5)


def test_files_and_folders_are_read_in_the_order_in_which_they_are_named(own: list[Path], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    Image.effect_noise((32, 32), 9).convert("RGB").save(tmp_path / "more" / "in.png")
    names = [str(own[2]), str(tmp_path / "more"), str(own[0])]
    read = own_images.read_images(names, size=32)
    assert [path.name for path, _ in read] == ["third.bmp", "in.png", "first.png"]
    assert [len(some) for some in own_images.images_in_turn(names, size=32)] == [1, 1, 1]
    with pytest.raises(StateError, match=r"gone\.png: there is no such file"):
        next(own_images.images_in_turn([*names, "gone.png"], size=32))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    return keep_figures(monkeypatch, "gallery.neighbours")


def test_neighbours_are_the_nearest_training_images_with_their_cosines(
    ssl: Cli, done: Done, pretrained: Run, own: list[Path], figures: dict[str, Figure], registry: Registry
) -> None:
    line = " ".join(f"'{path}'" for path in own)
    result = ssl(f"neighbours {line} --k 3")
    assert result.code == 0, result.err
    assert "wrote results/predictions/neighbours.png" in result.err
    assert f"next, type: ssl embed --run {pretrained.id} --images" in result.err
    data = load_data("shapes", Path("data"))
    encoder = load_pretrained(registry, pretrained)
    queries, bank = (h_of(encoder, images, data) for images in (data.test_images[:3], data.train_images))
    (figure,) = figures.values()
    block = figure.subfigs[1]
    assert figure.subfigs[0].axes[1].get_title() == 'a,?"odd" name…\nwhat fits.png'
    for number, (path, query) in enumerate(zip(own, queries, strict=True)):
        cosines = [float(query @ other / query.norm() / other.norm()) for other in bank]
        best = sorted(range(len(bank)), key=lambda i: -cosines[i])[:3]
        said = ", ".join(f"{data.classes[data.train_labels[i]]} {cosines[i]:.3f} (train {i})" for i in best)
        assert f"{path}: {said}" in result.out
        for axes, i in zip(block.axes[3 * number : 3 * number + 3], best, strict=True):
            shown = axes.images[0].get_array()
            np.testing.assert_array_equal(shown, data.train_images[i].permute(1, 2, 0).numpy())
            assert axes.get_title() == f"{data.classes[data.train_labels[i]]}\n{cosines[i]:.3f}"
            assert axes.spines["left"].get_linestyle() == "-"
    assert "✗" not in figure.get_supxlabel()
    probe = done("probe --epochs 1 --precision fp32")
    assert load_classifier(registry, probe)[1]["image_size"] == 32
    assert ssl(f"neighbours {line} --k 3 --run {probe.id}").out == result.out


@pytest.mark.usefixtures("pretrained")
def test_neighbours_among_some_are_drawn_by_seed(ssl: Cli, own: list[Path]) -> None:
    lines = [ssl(f"neighbours {own[0]} --among 20 --k 4 --seed {seed}").out for seed in (1, 1, 2)]
    assert lines[0] == lines[1] != lines[2]
    assert len(set(re.findall(r"train (\d+)", lines[0]))) == 4


def test_a_training_image_without_a_label_says_so(
    ssl: Cli, own: list[Path], monkeypatch: pytest.MonkeyPatch, done: Done
) -> None:
    original = shapes.load

    def load(data_dir: Path, *, download: bool) -> ImageData:
        data = original(data_dir, download=download)
        data.train_labels[:] = -1
        return data

    done(f"pretrain {TINY} --precision fp32 --knn-every 0")
    monkeypatch.setattr("sslcli.export.reading.data_of_run", lambda *_: load(Path("data"), download=False))
    assert ssl(f"neighbours {own[0]} --k 1").out.count(": no label ") == 1
    assert ssl("embed --part train --out out").code == 0
    assert {row["label"] for row in rows(Path("out/images.csv"))} == {""}


def test_what_is_wrong_is_said(ssl: Cli, refused: Refused, own: list[Path]) -> None:
    for line in ("embed", f"neighbours {own[0]}"):
        result = ssl(line)
        assert (result.code, "type: ssl study, or: ssl pretrain" in result.err) == (3, True)
    assert ssl(f"pretrain {TINY} --precision fp32 --knn-every 0").code == 0
    refused(
        ("neighbours", 2, "no picture was named"),
        ("neighbours nothing.png", 3, "no such file"),
        (f"neighbours {own[0]} --out {own[0]}", 2, "is one of the input pictures"),
        (f"neighbours {own[0]} --out a.jpg", 2, "names that end in .png"),
        (f"neighbours {own[0]} --k 5 --among 4", 2, "at most the 4 training images"),
        (f"neighbours {own[0]} --run nosuch", 3, "is called 'nosuch'"),
        ("embed some.png", 2, "type --images before a picture"),
        ("embed --images nothing.png", 3, "no such file"),
        (f"embed --images {own[0]} --out {own[0]}", 3, "is a file; accepted is a folder"),
        ("embed --part all", 2, "test"),
        ("embed --project nowhere", 3, "there is no such folder"),
    )


def test_a_file_that_names_a_number_as_a_picture_is_refused(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("images: [1]\n")
    for command in ("predict", "embed", "neighbours"):
        result = ssl(f"{command} --config options.yaml")
        assert result.code == 2
        assert "--images takes a list of texts, not [1]" in result.err
