"""Check a data set: duplicates, also between training and test, constant images, class balance."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from sslcli.console.messages import say
from sslcli.console.progress import ShareDone
from sslcli.console.tables import print_rows
from sslcli.data.check_file import PLACES, Check, Pair, read_check, test_duplicates_of, write_check
from sslcli.data.duplicates import THRESHOLD, constant_images, duplicate_pairs
from sslcli.data.folds import joined
from sslcli.data.image_data import ImageData, label_name
from sslcli.data.loading import load_data
from sslcli.evaluation.statistics import expected_half, images_for
from sslcli.figures.canvas import save_picture
from sslcli.figures.grids import pixels_of
from sslcli.figures.pairs import ShownPair, draw_pairs
from sslcli.options.pictures import DataCheck
from sslcli.paths import relative
from sslcli.plans.data_access import data_folder, reading_of
from sslcli.plans.few_labels import WIDE
from sslcli.runs.naming import dataset_word
from sslcli.runs.registry import Registry

COLUMNS = {"place": "duplicates", "exact": "exact", "near": "near", "mirrored": "near, mirrored", "disagree": "labels disagree"}
BALANCE = {"class": "class", "train": "training", "test": "test"}
DISAGREEING = {"similarity": "similarity", "kind": "kind", "first": "first image", "second": "second image"}
BETWEEN = {
    "within training": ("train", "train"),
    "within test": ("test", "test"),
    "training and test": ("train", "test"),
}
SHOWN = 4  # pairs in each half of the picture
LISTED = 40  # pairs with different labels in the terminal, at most


def check_and_show(registry: Registry, command: DataCheck, *, style: str) -> None:
    """Check the data set, print the results, and say where they are saved."""
    path = check(registry, command)
    found = read_check(path)
    show(found, style=style)
    picture = _picture_path(path)
    wrote = [path, picture] if picture.exists() else [path]
    none = "" if picture.exists() else " (no duplicates across training and test, so no picture)"
    say(f"wrote {' and '.join(map(relative, wrote))}{none}")
    if found.test_duplicates:
        say(f"next, type: {registry.command('ssl compare --without-duplicates')}")


def check(registry: Registry, command: DataCheck) -> Path:
    """Check a data set; writes results/data/<dataset>.json and the picture beside it, and returns the former's path."""
    folder, threshold = data_folder(registry, command.data_dir), command.threshold or THRESHOLD
    data = load_data(command.dataset, folder, download=command.download, reading=reading_of(registry, command))
    dataset = dataset_word(command.dataset)
    say(f"checking {dataset}: {len(data.train_images):,} training and {len(data.test_images):,} test images")
    pairs = duplicate_pairs(data, threshold=threshold, progress=ShareDone(f"check of {dataset}"))
    found = _check_of(dataset, data, pairs, threshold)
    path = registry.path(f"results/data/{dataset}.json")
    _draw(_picture_path(path), data, found)
    write_check(path, found)
    return path


def _check_of(dataset: str, data: ImageData, pairs: list[Pair], threshold: float) -> Check:
    labels = {"train": data.train_labels, "test": data.test_labels}
    images = {"train": data.train_images, "test": data.test_images}
    mean, std = data.normalisation
    return Check(
        dataset=dataset,
        fingerprint=data.fingerprint,
        sizes={where: len(images[where]) for where in PLACES},
        classes=list(data.classes),
        class_balance={where: _balance(labels[where], len(data.classes)) for where in PLACES},
        mean=[round(value, 6) for value in mean.tolist()],
        std=[round(value, 6) for value in std.tolist()],
        constant=[(where, place) for where in PLACES for place in constant_images(images[where])],
        threshold=threshold,
        pairs=pairs,
        test_duplicates=test_duplicates_of(pairs),
    )


def _balance(labels: Tensor, classes: int) -> list[int]:
    return [int(count) for count in labels[labels >= 0].bincount(minlength=classes)]


def show(check: Check, *, style: str) -> None:
    """Print a check: the counts of pairs; as table or markdown all the rest too; as JSON the content of the file."""
    rows: list[dict[str, Any]] = []
    for name, ends in BETWEEN.items():
        pairs = check.between(*ends)
        kinds = {kind: sum(pair.kind == kind for pair in pairs) for kind in ("exact", "near", "mirrored")}
        rows.append({"place": name, **kinds, "disagree": sum(pair.disagrees for pair in pairs)})
    whole = vars(check) | {"counts": check.counts}
    print_rows(rows, COLUMNS, style=style, whole=whole)
    if style in ("table", "markdown"):
        print("\n" + "\n".join(_sentences(check)))
        _show_disagreements(check, style=style)
        balance = [
            {"class": name, **{where: check.class_balance[where][label] for where in PLACES}}
            for label, name in enumerate(check.classes)
        ]
        print_rows(balance, BALANCE, style=style)
    sys.stdout.flush()


def _sentences(check: Check) -> list[str]:
    images, size = check.counts["test_images"], check.sizes["test"]

    def share(count: int) -> str:
        return f"{count} ({count / size:.2%})" if size else "0"

    channels = zip(("red", "green", "blue"), check.mean, check.std, strict=True)
    constant = [f"{where} {place}" for where, place in check.constant[:LISTED]]
    more = ", …" * (len(check.constant) > LISTED)
    unlabelled = check.sizes["train"] - sum(check.class_balance["train"])
    return [
        *([f"Training images without a label: {unlabelled:,}."] if unlabelled else []),
        *_width(check),
        f"Test images with a duplicate: {share(images['any'])}: in training {images['exact_in_train']} exact and "
        f"{images['near_in_train']} near, within test alone {images['within_test_only']}.",
        f"Test images with a duplicate in training or earlier in test (test_duplicates): {share(images['left_out'])}.",
        f"Near: a similarity of {check.threshold:g} or more, after shifts, scales and mirroring.",
        "Unreadable images: a folder's are listed when it is read; other data sets are refused if one cannot be read.",
        f"Images of one colour: {(len(constant) and ', '.join(constant) + more) or 'none'}.",
        f"Mean (standard deviation) of the training images, in [0, 1]: "
        f"{', '.join(f'{name} {mean:.4f} ({std:.4f})' for name, mean, std in channels)}.",
    ]


def _width(check: Check) -> list[str]:
    """How wide the interval of a difference will be, and how many more labels would halve it, if it is wide."""
    tested, taught = (sum(check.class_balance[where]) for where in ("test", "train"))
    if not tested or (half := expected_half(tested)) <= WIDE:
        return []
    more = math.ceil(images_for(half / 2) * (tested + taught) / tested) - tested - taught
    return [
        f"Difference of two encoders on {tested:,} test images: the 95 % interval will be about ±{100 * half:.0f} points. "
        f"About {more:,} more labels, in the same parts, would halve it."
    ]


def _show_disagreements(check: Check, *, style: str) -> None:
    disagreeing = [pair for pair in check.pairs if pair.disagrees]
    if not disagreeing:
        print("Pairs with different labels: none.")
        return
    print(f"Pairs with different labels: {len(disagreeing)}{_first(disagreeing)}:")
    ends = {"first": (1, 6), "second": (3, 7)}
    rows = [
        {"similarity": f"{pair.similarity:.4f}", "kind": pair.kind}
        | {name: f"{pair[at]} {pair[at + 1]} {check.classes[int(pair[label])]}" for name, (at, label) in ends.items()}
        for pair in disagreeing[:LISTED]
    ]
    print_rows(rows, DISAGREEING, style=style)


def _first(pairs: list[Pair]) -> str:
    return f", here the first {LISTED} (the file has all)" if len(pairs) > LISTED else ""


def _picture_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_duplicates.png")


def _draw(path: Path, data: ImageData, check: Check) -> None:
    """Save the most and the least similar pairs across training and test; without any pair, delete the picture."""
    pairs = check.between("train", "test")
    if not pairs:
        path.unlink(missing_ok=True)
        return
    apart = distinct(pairs, check.pairs)
    sections = [("The most similar", apart[:SHOWN])]
    if len(apart) > SHOWN:
        least = apart[max(SHOWN, len(apart) - SHOWN) :]
        sections.append((f"The least similar above the threshold of {check.threshold:g}", least))
    shown = [(heading, [_shown(pair, data) for pair in part]) for heading, part in sections]
    title = f"{check.dataset}: {len(pairs)} pairs of copies or near copies across training and test"
    subtitle = "Left: a training image; right: a test image, both unchanged. Mirrored: the right one matches when mirrored."
    save_picture(draw_pairs(shown, title=title, subtitle=subtitle), path, description=f"Data {check.fingerprint}")


def distinct(pairs: Sequence[Pair], links: Sequence[Pair]) -> list[Pair]:
    """The first pair of each picture, in order. Images that `links` join, directly or through others, are one picture."""
    root = joined(((link.where_a, link.i), (link.where_b, link.j)) for link in links)
    first: dict[tuple[str, int], Pair] = {}
    for pair in pairs:
        first.setdefault(root((pair.where_a, pair.i)), pair)
    return list(first.values())


def _shown(pair: Pair, data: ImageData) -> ShownPair:
    def image(where: str, place: int) -> Tensor:
        return data.train_images[place] if where == "train" else data.test_images[place]

    return ShownPair(
        first=pixels_of(image(pair.where_a, pair.i)),
        second=pixels_of(image(pair.where_b, pair.j)),
        first_caption=f"{pair.where_a} {pair.i}\n{label_name(data.classes, pair.label_a)}",
        second_caption=f"{pair.where_b} {pair.j}\n{label_name(data.classes, pair.label_b)}",
        below=f"{pair.kind}, {pair.similarity:.4f}" + ("; labels disagree" if pair.disagrees else ""),
    )
