"""The representations of pretrained and scratch side by side, as a map and as nearest images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from sslcli.console.messages import say
from sslcli.data.batches import generator
from sslcli.data.image_data import ImageData
from sslcli.data.on_disk import chosen
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.knn import knn_accuracy
from sslcli.evaluation.naming import folder_name
from sslcli.evaluation.neighbours import nearest, share_of_class
from sslcli.evaluation.projection import Map as FlatMap
from sslcli.evaluation.projection import flatten
from sslcli.evaluation.protocols import usual
from sslcli.figures.canvas import save_picture
from sslcli.figures.grids import Pixels, pixels_of
from sslcli.figures.representations import MOST_MAPS, Found, Panel, draw_class_maps, draw_map, draw_neighbours
from sslcli.options.pictures import Map
from sslcli.plans.data_access import data_of_run
from sslcli.runs.next_step import evaluation_command, partner_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_pairs, study_runs
from sslcli.training.device import choose_device

BANK = 10_000  # training images to search for neighbours; one core then takes under a minute
K = 10  # of the kNN accuracy


@dataclass(frozen=True)
class Sample:
    """The chosen images, as positions (n,) in the test images and (m,) in the training images."""

    data: ImageData
    test: Tensor
    bank: Tensor
    training: int  # images of the training split, from which the bank is drawn

    @property
    def in_words(self) -> str:
        """The images that its numbers are measured on."""
        return f"of {_part(len(self.test), len(self.data.test_labels))} test images, with {self.bank_in_words}"

    @property
    def bank_in_words(self) -> str:
        """The images of the bank."""
        return f"{_part(len(self.bank), self.training)} training images"

    @property
    def labels(self) -> Tensor:
        """The classes (n,) of the test images."""
        return self.data.test_labels[self.test]

    @property
    def bank_labels(self) -> Tensor:
        """The classes (m,) of the bank."""
        return self.data.train_labels[self.bank]


def _part(count: int, whole: int) -> str:
    return f"{count:,} of the {whole:,}" if count < whole else f"all {whole:,}"


@dataclass(frozen=True)
class Seen:
    """A run's representations of a sample: h (n, d), the nearest of the bank (n, k), and two fractions of them."""

    run: Run
    h: Tensor
    neighbours: Tensor
    knn: float
    share: float
    seed: int

    @cached_property
    def map(self) -> FlatMap:
        """The places of the test images in two dimensions: seconds of t-SNE, once for each encoder."""
        return flatten(self.h, seed=self.seed)


def save_map(registry: Registry, command: Map) -> list[Path]:
    """Write map.png and neighbours.png of a study's newest pair of linear evaluations, of each method; returns their paths.

    A StateError if there is no such pair, its data are not there, or not those that it was trained on.
    """
    seen: dict[str, Seen] = {}  # methods share their scratch run
    return [path for pair in _newest_pairs(registry, command.study) for path in _draw_pair(registry, pair, command, seen)]


def _draw_pair(registry: Registry, runs: list[Run], command: Map, before: dict[str, Seen]) -> list[Path]:
    pair = [registry.load(run) for run in runs]
    sample = _sample(registry, pair[0], command)
    command = command.at_most("neighbours", len(sample.bank))
    if command.neighbours > len(sample.bank):
        raise UsageError(f"--neighbours {command.neighbours}: accepted is at most the {len(sample.bank)} training images")
    for record in pair:
        if record.id not in before:
            before[record.id] = one = _see(registry, record, sample, command)
            print(
                f"{record.id}: kNN accuracy {one.knn:.2%} (k = {K}), "
                f"{one.share:.2%} of the {command.neighbours} nearest are of the query's class; both {sample.in_words}"
            )
    seen = [before[record.id] for record in pair]
    folder = registry.path(f"results/figures/{folder_name(replace(pair[0], label_fraction=None))}")
    return [_draw_map(seen, sample, command, folder), _draw_neighbours(seen, sample, command, folder)]


def _newest_pairs(registry: Registry, study: str | None) -> list[list[Run]]:
    """For each method: the study's newest finished linear evaluation with the most labels, and its scratch partner."""
    pairs = newest_pairs(
        [run for run in study_runs(registry, study) if run.protocol == usual().key and run.status == "finished"]
    )
    if not pairs:
        advice = evaluation_command(registry)
        raise StateError(f"there is no finished linear evaluation to draw; to get one, type: {advice}")
    of_method = list({pair[0].encoder_method: pair for pair in reversed(pairs)}.values())[::-1]  # the most labels come first
    whole = [pair for pair in of_method if len(pair) > 1]
    if not whole:
        lonely = pairs[0][0]
        advice = partner_command(registry, lonely)
        raise StateError(f"{lonely.id} has no partner to compare with; to make it, type: {advice}")
    return whole


def _sample(registry: Registry, record: Run, command: Map) -> Sample:
    """Load a run's data and draw a sample by seed; `n` may exceed the number of test images."""
    data = data_of_run(registry, record, command.data_dir)
    random = generator(command.seed, "map")
    test = torch.randperm(len(data.test_labels), generator=random)[: command.n]
    part = data.split(seed=record.seed or 0).train
    bank = part[torch.randperm(len(part), generator=random)[:BANK]]
    return Sample(data, test, bank, len(part))


def _see(registry: Registry, record: Run, sample: Sample, command: Map) -> Seen:
    """An encoder's representations and nearest neighbours. Cosines use h without standardisation, as in every kNN here."""
    say(f"{record.id}: computing representations of {len(sample.test) + len(sample.bank):,} images")
    classifier, artifact = load_classifier(registry, record)
    of = outputs_as_in(record, artifact, choose_device(command.device))
    h = of(classifier.encoder, sample.data.test_images[sample.test])
    bank = of(classifier.encoder, chosen(sample.data.train_images, sample.bank))
    found = nearest(bank, h, k=command.neighbours)
    knn = knn_accuracy(bank, sample.bank_labels, h, sample.labels, k=K)
    share = share_of_class(found, sample.bank_labels, sample.labels)
    return Seen(record, h, found, knn, share, command.seed % 2**32)


def _draw_map(seen: list[Seen], sample: Sample, command: Map, folder: Path) -> Path:
    say(f"map of {len(sample.test):,} test images by t-SNE, for each encoder")
    maps = [one.map for one in seen]
    panels = [
        Panel(
            f"{one.run.init}: kNN accuracy in h {one.knn:.2%}\n{sample.in_words}\n{one.run.id}",
            flat.points,
            sample.labels.numpy(),
        )
        for one, flat in zip(seen, maps, strict=True)
    ]
    first = seen[0].run
    few = len(sample.data.classes) <= MOST_MAPS
    marks = "dark: the class above the map" if few else "names and large markers at each class's median point"
    subtitle = (
        f"t-SNE of h, standardised and reduced to {maps[0].components} principal components; perplexity "
        f"{maps[0].perplexity:.3g}, seed {command.seed}; {marks}\n"
        "t-SNE shows only which images are close: distances between clusters, their sizes and the axes have no meaning\n"
        f"kNN accuracy: {sample.in_words}, the {K} nearest in all dimensions of h; "
        "ssl probe --protocol knn uses all test images and all labels"
    )
    figure = (draw_class_maps if few else draw_map)(
        panels, classes=sample.data.classes, subtitle=subtitle,
        title=f"Map of the representations h of {len(sample.test):,} test images ({first.backbone} on {first.dataset})",
    )  # fmt: skip
    return _save(figure, folder / "map.png", seen, f"kNN accuracy {sample.in_words}", [one.knn for one in seen])


def _draw_neighbours(seen: list[Seen], sample: Sample, command: Map, folder: Path) -> Path:
    data, classes = sample.data, sample.data.classes
    shown = range(min(command.queries, len(sample.test)))
    queries = [(pixels_of(data.test_images[i]), classes[data.test_labels[i]]) for i in sample.test[: len(shown)].tolist()]

    def rows(one: Seen) -> list[list[tuple[Pixels, str]]]:
        places = [sample.bank[one.neighbours[row]].tolist() for row in shown]
        return [[(pixels_of(data.train_images[i]), classes[data.train_labels[i]]) for i in line] for line in places]

    shares = [f"{100 * one.share:.1f} %" for one in seen]
    figure = draw_neighbours(
        queries, [Found(f"{one.run.init}\n{one.run.id}", rows(one)) for one in seen],
        title=f"{shares[0]} of neighbours share the class ({seen[1].run.init} {shares[1]})",
        subtitle=f"fractions over {_part(len(sample.test), len(data.test_labels))} test images; "
        f"neighbours by cosine of h: the {command.neighbours} nearest of {sample.bank_in_words}; "
        f"queries are test images; both chosen by seed {command.seed}",
    )  # fmt: skip
    return _save(
        figure,
        folder / "neighbours.png",
        seen,
        f"neighbours of the query's class {sample.in_words}",
        [one.share for one in seen],
    )


def _save(figure: Figure, path: Path, seen: list[Seen], what: str, values: list[float]) -> Path:
    runs = ", ".join(f"{one.run.id} {value:.4f}" for one, value in zip(seen, values, strict=True))
    save_picture(figure, path, description=f"Runs, with {what}: {runs}")
    return path
