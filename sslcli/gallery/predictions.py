"""A grid of a classifier's predictions for test images, or for your own pictures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from sslcli.comparison.arms import arm_words, others_beside
from sslcli.console.messages import say
from sslcli.data.batches import generator
from sslcli.data.folder.entry import as_text
from sslcli.data.folder.own_images import read_images
from sslcli.data.image_data import ImageData
from sslcli.data.loading import load_data
from sslcli.data.on_disk import Images
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.classifiers import load_classifier, outputs_as_in
from sslcli.evaluation.naming import folder_name, in_words
from sslcli.evaluation.protocols import PROTOCOLS, evaluations, protocol_named
from sslcli.figures.canvas import png_path, save_picture
from sslcli.figures.grids import Tile, draw_predictions, draw_predictions_beside, pixels_of, short_name
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import build_encoder
from sslcli.options.pictures import Predict
from sslcli.paths import relative
from sslcli.plans.data_access import data_of_run
from sslcli.runs.naming import inits_in_words
from sslcli.runs.next_step import evaluation_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_pairs, study_runs
from sslcli.training.checkpoint import State
from sslcli.training.device import choose_device

MOST_DRAWN = 400  # own pictures; with more, all are printed
MEANS_THE_SAME = 0.002  # a larger difference in accuracy is reported; another machine rounds differently


def save_predictions(registry: Registry, command: Predict) -> list[Path]:
    """A grid for each group of evaluations that is meant; returns the pictures' paths."""
    groups = [[registry.load(run) for run in group] for group in groups_to_draw(registry, command)]
    if command.out is not None and len(groups) > 1:
        raise UsageError(f"--out {command.out} is one picture, but {len(groups)} would be drawn; choose one with --run")

    load, written = cache(load_data), []
    for records in groups:
        data = data_of_run(registry, records[0], command.data_dir, load=load)
        path = png_path(command.out, registry.path(f"results/predictions/{_name(records, command.encoder_seed)}.png"))
        _draw_test_images(registry, records, data, command, path)
        written.append(path)
    return written


def groups_to_draw(registry: Registry, command: Predict) -> list[list[Run]]:
    """The runs of each picture: the newest pretrained and scratch of each kind, and the encoders from elsewhere beside them; or
    only the named evaluation."""
    chosen = _chosen(registry, command)
    if command.run is not None or command.encoder_seed is not None:
        return [[run] for run in chosen]
    return [pair + others_beside(registry, pair[0], chosen) for pair in newest_pairs(chosen)]


def _chosen(registry: Registry, command: Predict) -> list[Run]:
    """The evaluations to draw: the named one, or all of the study that predict classes."""
    if command.run is not None:
        chosen = [registry.find(command.run, status="finished")]
        if not _classifies(chosen[0]):
            accepted = dict.fromkeys(protocol.experiment for protocol in PROTOCOLS.values() if protocol.classifies)
            raise UsageError(
                f"--run {chosen[0].id} is a {chosen[0].experiment} run and predicts no classes; accepted: {', '.join(accepted)}"
            )
    else:
        chosen = [run for run in study_runs(registry, command.study) if run.status == "finished" and _classifies(run)]
    if command.encoder_seed is not None:
        return _scratch_probe(registry, chosen, command.encoder_seed, named=command.run is not None)
    if not chosen:
        advice = evaluation_command(registry)
        raise StateError(f"there is no finished evaluation to predict with; to get one, type: {advice}")
    return chosen


def _classifies(run: Run) -> bool:
    return run.experiment in evaluations() and protocol_named(run.protocol, run.experiment).classifies


def _scratch_probe(registry: Registry, runs: list[Run], encoder_seed: int, *, named: bool) -> list[Run]:
    """The newest probe of a scratch encoder, to combine with a wrong encoder."""
    probes = [run for run in runs if run.init == "scratch" and protocol_named(run.protocol, run.experiment).frozen][-1:]
    if not probes and named:
        run = runs[0]
        words = in_words(run.experiment, run.label_fraction, run.at_epoch, run.protocol)
        raise StateError(f"--run {run.id}: {words}, {run.init}; with --encoder-seed accepted is a probe of a scratch encoder")
    if not probes:
        advice = registry.command("ssl probe --init scratch")
        raise StateError(f"--encoder-seed needs a finished probe of a scratch encoder; to make one, type: {advice}")
    if probes[0].seed == encoder_seed:
        raise UsageError(f"--encoder-seed {encoder_seed} is {probes[0].id}'s own seed; accepted is any other seed")
    return probes


def _name(records: list[Run], encoder_seed: int | None) -> str:
    if encoder_seed is not None:
        return "scratch_preds"  # the original study's name for a picture with this mistake
    record = records[0]
    init = f"_{record.init}" if len(records) == 1 else ""
    epoch = f"_e{record.at_epoch}" if record.at_epoch else ""
    first = protocol_named(None, record.experiment)
    return f"{folder_name(record).replace(first.experiment, first.key)}{init}{epoch}"


@dataclass(frozen=True)
class Predictions:
    """Predicted classes and their confidence in [0, 1] for N images, each (N,) on the CPU, and the classes' names."""

    classes: Tensor
    confidence: Tensor
    names: list[str]


def _predict(record: Run, loaded: tuple[Classifier, State], images: Images, command: Predict) -> Predictions:
    """The predictions of a run's loaded classifier for uint8 images (N, 3, H, W)."""
    classifier, artifact = loaded
    if command.encoder_seed is not None:
        classifier.encoder = build_encoder(artifact["backbone"], stem=artifact["stem"], seed=command.encoder_seed)
    logits = outputs_as_in(record, artifact, choose_device(command.device))(classifier, images)
    confidence, classes = logits.softmax(1).max(1)
    return Predictions(classes, confidence, artifact["classes"])


def _draw_test_images(registry: Registry, records: list[Run], data: ImageData, command: Predict, path: Path) -> None:
    """Save the grid of one run or of several, and print a line of results for each."""
    total = len(data.test_labels)
    command = command.at_most("n", total)
    if command.n > total:
        raise UsageError(f"--n {command.n}: accepted is at most the {total} test images of {records[0].dataset}")
    picked = torch.randperm(total, generator=generator(command.seed, "predict"))[: command.n]
    judged = [_judge(registry, record, data, picked, command) for record in records]
    legend = "above: the true class; below: the predicted class and its confidence; ✗"
    ids, chosen = "; ".join(record.id for record in records), f"images chosen by seed {command.seed}"
    if len(judged) == 1:
        figure = draw_predictions(
            judged[0].tiles, title=f"{_title(records[0], command.encoder_seed)}\n{judged[0].figures}",
            subtitle=f"{legend} and a broken frame: wrong\n{ids}\n{judged[0].most} · {chosen}",
        )  # fmt: skip
    else:
        words = arm_words(record.init for record in records)
        names = [words[str(record.init)] for record in records]
        both = [f"{name}: {one.figures}" for name, one in zip(names, judged, strict=True)]
        figure = draw_predictions_beside(
            list(zip(*(one.tiles for one in judged), strict=True)), names=names,
            title=f"{_kind(records[0])}:\n" + ";\n".join(both),  # on the page it stands in one line
            subtitle=f"{legend}: wrong\n{ids}\n{chosen}",
        )  # fmt: skip
    told = "; ".join(f"{one.id}: test accuracy {of.accuracy:.2%}; {of.most}" for one, of in zip(records, judged, strict=True))
    save_picture(figure, path, description=f"Runs: {told}")


@dataclass(frozen=True)
class Judged:
    """A run's predictions for the drawn images, its accuracy on all, and in words: both, and the most predicted class."""

    tiles: list[Tile]
    accuracy: float
    figures: str
    most: str


def _judge(registry: Registry, record: Run, data: ImageData, picked: Tensor, command: Predict) -> Judged:
    """Classify all test images, print the run's line, and warn if something is wrong."""
    labels, total = data.test_labels, len(data.test_labels)
    say(f"{record.id}: {total:,} test images")
    found = _predict(record, load_classifier(registry, record), data.test_images, command)
    tiles = [
        Tile(pixels_of(data.test_images[i]), found.names[found.classes[i]], float(found.confidence[i]), found.names[labels[i]])
        for i in picked.tolist()
    ]
    right = found.classes == labels
    accuracy, sample = int(right.sum()) / total, int(right[picked].sum())
    counts = torch.bincount(found.classes, minlength=len(found.names))
    most = f"most predicted: {found.names[int(counts.argmax())]}, {int(counts.max()) / total:.1%} of all"
    sampled = f"sample accuracy {sample / command.n:.2%} ({sample} of {command.n})"
    print(f"{record.id}: {sampled}, full test accuracy {accuracy:.2%}, {most}")
    known = record.metrics["test_acc"]
    if command.encoder_seed is not None:
        say(f"ssl: not a result: with its own encoder, this classifier reached {known:.2%}")
    elif int(counts.max()) > (total + int(torch.bincount(labels).max())) / 2:
        say(f"ssl: {record.id} has collapsed: it predicts one class for most images; {most}")
    elif abs(accuracy - known) > MEANS_THE_SAME:
        say(f"ssl: {record.id}: the recorded test accuracy is {known:.2%}; here its checkpoint reaches {accuracy:.2%}")
    figures = f"{sample} of {command.n} right here, {accuracy:.2%} of all {total:,} test images"
    return Judged(tiles, accuracy, figures, most)


def _kind(record: Run) -> str:
    words = in_words(record.experiment, record.label_fraction, record.at_epoch, record.protocol)
    return words[:1].upper() + words[1:]


def _title(record: Run, encoder_seed: int | None = None) -> str:
    if encoder_seed is not None:
        return f"NOT A RESULT: a scratch probe's classifier\nwith the wrong random encoder (seed {encoder_seed})"
    return f"{_kind(record)}, {inits_in_words([record.init]).get(str(record.init))}"


def run_for_own_images(registry: Registry, command: Predict) -> Run:
    """The evaluation that classifies own pictures: the one that was named, else the newest pretrained linear evaluation.

    A UsageError for --encoder-seed, which is a mistake on purpose, made with test images.
    """
    if command.encoder_seed is not None:
        raise UsageError("--encoder-seed works with test images only; with --images leave it out")
    chosen = [run for group in groups_to_draw(registry, command) for run in group]
    return registry.load(next((run for run in chosen if run.init == "pretrained"), chosen[0]))


def save_own_images(registry: Registry, command: Predict) -> None:
    """Draw and print the classes of a person's own pictures."""
    names = [*(command.images or []), *(command.more or [])]
    record = run_for_own_images(registry, command)
    loaded = load_classifier(registry, record)
    size = loaded[1]["image_size"]
    read = read_images(names, size=size, kept=loaded[1].get("kept_size", size), fit=loaded[1].get("fit", "crop"), say=say)
    out = png_path(command.out, registry.path("results/predictions/images.png"), keep=[path for path, _ in read])
    found = _predict(record, loaded, torch.stack([pixels for _, pixels in read]), command)
    tiles = []
    for (path, pixels), label, confidence in zip(read, found.classes.tolist(), found.confidence.tolist(), strict=True):
        print(as_text(f"{path}: {found.names[label]} {confidence:.2%}"))
        tiles.append(Tile(pixels_of(pixels), found.names[label], confidence, name=short_name(path.name)))
    some = "" if len(tiles) <= MOST_DRAWN else f"the first {MOST_DRAWN} of "
    title = f"{_title(record)}: {some}{len(tiles)} pictures, as the encoder gets them"
    legend = f"below: the predicted class and its confidence\n{record.id}"
    figure = draw_predictions(tiles[:MOST_DRAWN], title=title, subtitle=legend)
    save_picture(figure, out, description=f"Run: {record.id}. Pictures: {', '.join(str(path) for path, _ in read)}")
    say(f"wrote {relative(out)}, by {record.id}, which knows only these classes: {', '.join(found.names)}")
