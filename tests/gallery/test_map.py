"""The map and the nearest images: what they show is what the encoders make of the images, and the files name both runs."""

import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from sslcli.data.loading import load_data
from sslcli.data.sets import shapes
from sslcli.data.split import split
from sslcli.evaluation.classifiers import load_classifier
from sslcli.evaluation.features import outputs
from sslcli.evaluation.neighbours import nearest, share_of_class
from sslcli.evaluation.projection import PERPLEXITY, flatten
from sslcli.evaluation.projection import Map as FlatMap
from sslcli.figures.representations import MARK, Panel, draw_class_maps, draw_map, free_places
from sslcli.gallery import representations
from sslcli.options.pictures import Map
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.device import autocast
from tests.conftest import TINY, Cli, Once
from tests.kept_figures import keep_figures, write_nothing

PROBE = "--epochs 2 --batch-size 32 --precision fp32"
FOLDER = Path("results/figures/linear_eval")


@pytest.fixture
def pair(done: Callable[[str], Run], once: Once[tuple[Run, Run]]) -> tuple[Run, Run]:
    """A pretrained and a scratch linear evaluation."""

    def make_pair() -> tuple[Run, Run]:
        done(f"pretrain {TINY} --precision fp32")
        return done(f"probe {PROBE}"), done(f"probe {PROBE} --init scratch")

    return once(make_pair)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are saved."""
    return keep_figures(monkeypatch, "gallery.representations")


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that would be saved: for tests of what is in them, not of the files."""
    return keep_figures(monkeypatch, "gallery.representations", write=write_nothing)


def blobs(count: int, dim: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Representations of three classes far from each other, and the classes."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    centres = 4 * torch.randn(3, dim, generator=random)
    return centres[labels] + torch.randn(count, dim, generator=random), labels


def test_images_of_one_cluster_stay_together_on_the_map() -> None:
    h, labels = blobs(80)
    flat = flatten(h, seed=1)
    assert flat.points.shape == (80, 2)
    near = NearestNeighbors(n_neighbors=6).fit(flat.points).kneighbors(return_distance=False)
    assert (labels[torch.from_numpy(near)] == labels[:, None]).all()


def test_a_seed_means_one_map_and_perplexity_fits_the_images() -> None:
    h, _ = blobs(40)
    first, again = flatten(h, seed=1), flatten(h, seed=1)
    np.testing.assert_array_equal(first.points, again.points)
    assert first.perplexity == 13
    assert flatten(h[:10], seed=1).perplexity == 3
    assert flatten(blobs(120)[0], seed=1).perplexity == PERPLEXITY
    assert (first.components, flatten(h[:10], seed=1).components) == (20, 10)


@pytest.mark.parametrize("dim", [1, 2])
def test_short_representations_have_a_map_too(dim: int) -> None:
    assert np.isfinite(flatten(torch.randn(30, dim, generator=torch.Generator().manual_seed(0)), seed=1).points).all()


def test_a_collapsed_encoder_puts_all_images_in_one_place() -> None:
    flat = flatten(torch.ones(30, 8), seed=1)
    assert not flat.points.any()
    panel = Panel("collapsed", flat.points, np.arange(30) % 3)
    draw_map([panel], classes=["a", "b", "c"], title="t", subtitle="s").savefig("collapsed.png")


def test_the_nearest_are_those_of_a_slow_literal_search() -> None:
    random = torch.Generator().manual_seed(0)
    bank, queries = torch.randn(50, 6, generator=random) + 1, torch.randn(9, 6, generator=random) + 1
    found = nearest(bank, queries, k=4)
    for query, row in zip(queries, found.tolist(), strict=True):
        cosines = [float(query @ other / query.norm() / other.norm()) for other in bank]
        assert row == sorted(range(50), key=lambda i: -cosines[i])[:4]
    labels, wanted = torch.arange(50) % 3, torch.arange(9) % 3
    alike = [int(labels[i]) == int(wanted[q]) for q, row in enumerate(found.tolist()) for i in row]
    assert share_of_class(found, labels, wanted) == sum(alike) / len(alike)


def test_names_are_placed_where_they_cover_no_other_name_and_no_marker() -> None:
    anchors = np.array([[0.5, 0.5], [0.5, 0.51], [0.52, 0.5], [0.0, 1.0], [0.51, 0.53], [0.99, 0.0]])
    half = np.tile([0.06, 0.02], (6, 1))
    places = free_places(anchors, half)
    assert (places >= half - 1e-9).all()
    assert (places <= 1 - half + 1e-9).all()
    for i in range(6):
        assert all((np.abs(places[i] - other) >= half[i] * 2 - 1e-6).any() for other in places[:i])
        assert all((np.abs(places[i] - anchor) >= half[i] + MARK - 1e-6).any() for anchor in anchors)


def test_every_class_has_a_look_and_a_name_of_its_own() -> None:
    labels = np.arange(200) % 20
    points = np.random.default_rng(0).normal(size=(200, 2))
    figure = draw_map([Panel("p", points, labels)], classes=[f"class{i}" for i in range(20)], title="t", subtitle="s")
    (axes,) = figure.axes
    looks = {(tuple(c.get_facecolor()[0][:3]), c.get_paths()[0].vertices.tobytes()) for c in axes.collections[:20]}
    assert len(looks) == 20
    assert [text.get_text() for text in axes.texts] == [f"class{i}" for i in range(20)]
    for label, text in enumerate(axes.texts):
        assert text.xy == pytest.approx(np.median(points[labels == label], 0))  # type: ignore[attr-defined]


def test_in_a_small_map_one_class_is_dark_and_all_lie_where_they_do_in_the_others() -> None:
    labels = np.arange(60) % 6
    points = np.random.default_rng(0).normal(size=(60, 2))
    classes = [f"class{i}" * (1 + 5 * (i == 3)) for i in range(6)]
    figure = draw_class_maps(
        [Panel("one", points, labels), Panel("two", points, labels)], classes=classes, title="t", subtitle="s"
    )
    figure.draw_without_rendering()
    for part in figure.subfigs:
        shown = [axes for axes in part.axes if axes.get_title()]
        assert len(shown) == 6
        for label, axes in enumerate(shown):
            pale, dark = axes.collections
            assert np.asarray(dark.get_offsets()) == pytest.approx(points[labels == label])
            assert np.asarray(pale.get_offsets()) == pytest.approx(points[labels != label])
            assert (
                np.dot(dark.get_facecolor()[0][:3], (0.3, 0.59, 0.11))
                < 0.4
                < 0.8
                < np.dot(  # in grey, too
                    pale.get_facecolor()[0][:3], (0.3, 0.59, 0.11)
                )
            )
        boxes = [axes.title.get_window_extent() for axes in shown]
        assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))


def test_long_names_of_classes_are_shortened_and_cover_no_other() -> None:
    classes = [f"{letter * 30}\n{letter.upper() * 30}" for letter in "abcde"]
    points = np.random.default_rng(0).normal(size=(50, 2))
    figure = draw_map([Panel("one", points, np.arange(50) % 5)], classes=classes, title="t", subtitle="s")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without its line
    assert [text.get_text() for text in axes.texts] == [f"{letter * 11}…{letter.upper() * 11}" for letter in "abcde"]
    assert all(axes.get_window_extent().contains(*corner) for box in boxes for corner in box.corners())
    assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))


def test_ssl_map_draws_both_pictures_and_says_what_comes_next(
    ssl: Cli, pair: tuple[Run, Run], figures: dict[str, Figure]
) -> None:
    result = ssl("map --queries 3 --neighbours 4")
    assert result.code == 0, result.err
    assert "next, type: ssl report" in result.err
    for name in ("map.png", "neighbours.png"):
        assert str(FOLDER / name) in result.err
        with Image.open(FOLDER / name) as picture:
            text = picture.text  # type: ignore[attr-defined]
        assert all(run.id in text["Description"] for run in pair)
    data = load_data("shapes", Path("data"))
    for part, run in zip(figures["linear_eval/map.png"].subfigs, pair, strict=True):
        assert run.id in part.get_suptitle()
        assert [axes.get_title() for axes in part.axes] == list(shapes.OUTLINES)
        for label, axes in enumerate(part.axes):
            pale, dark = (len(points.get_offsets()) for points in axes.collections)
            assert (pale + dark, dark) == (80, int((data.test_labels == label).sum()))
    note = figures["linear_eval/map.png"].get_supxlabel()
    assert "perplexity 26.3" in note
    assert "distances between clusters, their sizes and the axes have no meaning" in note
    blocks = figures["linear_eval/neighbours.png"].subfigs
    assert [len(block.axes) for block in blocks] == [3, 12, 12]
    assert [block.get_suptitle().split("\n")[-1] for block in blocks[1:]] == [run.id for run in pair]


def test_neighbours_are_training_images_and_their_share_is_over_all_the_test_images(
    ssl: Cli, pair: tuple[Run, Run], unwritten: dict[str, Figure], registry: Registry
) -> None:
    result = ssl("map --queries 4 --neighbours 3")
    assert result.code == 0, result.err
    data = load_data("shapes", Path("data"))
    part = split(data.train_labels, seed=1).train
    shares = []
    for run, block in zip(pair, unwritten["linear_eval/neighbours.png"].subfigs[1:], strict=True):
        classifier, _ = load_classifier(registry, run)
        h, bank = (
            outputs(classifier.encoder, images, normalise=data.normalise, autocast=autocast(torch.device("cpu"), "fp32"))
            for images in (data.test_images, data.train_images[part])
        )
        near = NearestNeighbors(n_neighbors=3, metric="cosine").fit(bank.numpy()).kneighbors(h.numpy(), return_distance=False)
        alike = data.train_labels[part][torch.from_numpy(near)] == data.test_labels[:, None]
        share = float(alike.float().mean())
        shares.append(f"{100 * share:.1f} %")
        assert f"{run.id}: kNN accuracy" in result.out
        assert f"{share:.2%} of the 3 nearest" in result.out
        shown = {axes.images[0].get_array().tobytes() for axes in block.axes}  # type: ignore[union-attr]
        trained_on = {image.permute(1, 2, 0).numpy().tobytes() for image in data.train_images[part]}
        assert shown <= trained_on
    title = f"{shares[0]} of neighbours share the class (scratch {shares[1]})"
    assert unwritten["linear_eval/neighbours.png"].get_suptitle() == title


@pytest.mark.usefixtures("pair")
def test_a_neighbour_of_another_class_has_a_cross_and_a_broken_frame(ssl: Cli, unwritten: dict[str, Figure]) -> None:
    assert ssl("map --queries 4").code == 0
    query, *found = unwritten["linear_eval/neighbours.png"].subfigs
    names = [axes.get_title() for axes in query.axes]
    crossed = 0
    for block in found:
        for number, axes in enumerate(block.axes):
            other = axes.get_title().removeprefix("✗ ") != names[number // 5]
            assert axes.get_title().startswith("✗ ") == other
            assert (axes.spines["left"].get_linestyle() != "-") == other
            crossed += other
    assert 0 < crossed < 40


@pytest.mark.usefixtures("pair")
def test_a_seed_means_one_picture(
    registry: Registry,
) -> None:
    seen = []
    for seed in (3, 3, 4):
        written = representations.save_map(registry, Map(seed=seed, n=40, queries=1))
        assert written == [registry.root / FOLDER / name for name in ("map.png", "neighbours.png")]
        seen.append([path.read_bytes() for path in written])
    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))


@pytest.mark.usefixtures("pair")
def test_methods_share_the_work_on_their_scratch_run(
    ssl: Cli, done: Callable[[str], Run], unwritten: dict[str, Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    done(f"pretrain --method vicreg {TINY} --precision fp32")
    done(f"probe {PROBE}")
    flattened: list[torch.Tensor] = []

    def kept(h: torch.Tensor, *, seed: int) -> FlatMap:
        flattened.append(h)
        return flatten(h, seed=seed)

    monkeypatch.setattr(representations, "flatten", kept)
    result = ssl("map --n 40 --queries 1")
    assert (result.code, len(flattened), result.out.count("kNN accuracy")) == (0, 3, 3), result.err
    panels = [[part.get_suptitle() for part in figure.subfigs] for name, figure in unwritten.items() if "map" in name]
    assert [len(of_pair) for of_pair in panels] == [2, 2]
    assert panels[0][0] != panels[1][0]
    assert panels[0][1] == panels[1][1]


@pytest.mark.usefixtures("pretrained")
def test_what_is_missing_is_named_with_the_command_that_makes_it(ssl: Cli, done: Callable[[str], Run]) -> None:
    result = ssl("map")
    assert (result.code, "type: ssl probe" in result.err) == (3, True)
    done("probe --protocol knn --precision fp32")
    assert "no finished linear evaluation to draw" in ssl("map").err
    lonely = done(f"probe {PROBE}")
    result = ssl("map")
    assert result.code == 3
    assert re.search(rf"{lonely.id} has no partner.*type: ssl probe .*--init scratch", result.err)


@pytest.mark.usefixtures("pair")
def test_other_data_and_too_many_neighbours_are_refused(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ssl("map --neighbours 13").code == 2
    assert ssl("map --study nothing").code == 3
    monkeypatch.setattr(shapes, "TEST", 60)
    result = ssl("map")
    assert (result.code, "is not the data that it was trained on" in result.err) == (3, True)


def test_the_accuracy_of_a_part_of_the_images_says_so(
    ssl: Cli, pair: tuple[Run, Run], figures: dict[str, Figure], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(representations, "BANK", 50)
    result = ssl("map --n 40 --queries 3 --neighbours 4")
    assert result.code == 0, result.err
    words = "of 40 of the 80 test images, with 50 of the 220 training images"
    assert result.out.count(words) == 2
    for part, run in zip(figures["linear_eval/map.png"].subfigs, pair, strict=True):
        assert words in part.get_suptitle()
        assert run.id in part.get_suptitle()
    assert words in figures["linear_eval/map.png"].get_supxlabel()
    assert "over 40 of the 80 test images" in figures["linear_eval/neighbours.png"].get_supxlabel()
    for name in ("map.png", "neighbours.png"):
        with Image.open(FOLDER / name) as picture:
            assert words in picture.text["Description"]  # type: ignore[attr-defined]
    assert ssl("report --out page.html").code == 0
    page = Path("page.html").read_text()
    assert words in page
    assert (
        "The kNN accuracy above a map is that of the images in its heading; the tables have that of the kNN protocol." in page
    )


@pytest.mark.usefixtures("pair")
def test_the_accuracy_of_all_images_says_so_too(ssl: Cli, unwritten: dict[str, Figure]) -> None:
    assert "of all 80 test images, with all 220 training images" in ssl("map").out
    assert "of all 80 test images, with all 220 training images" in unwritten["linear_eval/map.png"].subfigs[0].get_suptitle()
