"""The pictures of the page: those of the project that name one of its runs, in display order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sslcli.errors import StateError
from sslcli.evaluation.protocols import evaluations, protocol_named
from sslcli.report.embedded import Picture, read_picture, read_text
from sslcli.runs.naming import dataset_word
from sslcli.runs.paths import as_read
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

FOLDERS = ("results/figures", "results/predictions", "results/data")


@dataclass(frozen=True)
class Kind:
    """A kind of picture: its chapter and heading, what it shows, and the command that makes it, after `ssl`.

    `pattern` matches its path.
    """

    key: str
    chapter: str
    heading: str
    pattern: str
    command: str
    meaning: str = ""


FIGURE = r"^(?!results/(predictions|data)/)"
"""Matches pictures outside the folders that are kinds of their own."""


def _word(name: str) -> str:
    """The pattern of a figure with this whole word in its name."""
    return rf"{FIGURE}.*(?<![a-z0-9]){name}(?![a-z0-9])[^/]*$"


KINDS = (
    Kind("over-time", "Training", "Accuracy over time", _word("accuracy_over_time"), "plots",
         "The accuracy of the frozen encoder during pretraining."),
    Kind("curves", "Training", "Curves", rf"{FIGURE}.*/(test|val|train)_[^/]*$", "plots"),
    Kind("suggested", "Pictures", "Pictures to label next", r"^results/predictions/suggested", "",
         "What ssl suggest chose, numbered as in its file."),
    Kind("predictions", "Pictures", "Predictions", r"^results/predictions/(?!calibration)", "predict",
         "The same test images for every run: the true class above, the prediction and its confidence below."),
    Kind("views", "Pictures", "Views", _word("views"), "views",
         "What pretraining sees: training images and augmented views of them."),
    Kind("map", "Pictures", "Map of the representations", _word("map"), "map",
         "Test images with similar representations lie close together. The kNN accuracy above a map is that of the images in "
         "its heading; the tables have that of the kNN protocol."),
    Kind("neighbours", "Pictures", "Nearest neighbours", _word("neighbours"), "map",
         "Test images and the training images with the most similar representations."),
    Kind("other", "Pictures", "Further pictures", "", ""),
    Kind("reliability", "Confidence", "Reliability", _word("reliability"), "probe",
         "How often predictions are right, by confidence. Points from few images are pale."),
    Kind("confusion", "Confidence", "Confusions", _word("confusion"), "probe", "Which classes are confused with which."),
    Kind("calibration", "Confidence", "Confidence of predicted labels", r"^results/predictions/calibration", "",
         "The confidence that ssl predict --out writes, before and after its temperature."),
    Kind("risk", "Confidence", "Risk and coverage", _word("risk"), "probe",
         "Errors among the images that remain if the least confident are left out."),
    Kind("data", "Data", "Data", r"^results/data/", "data check", "The pictures of the data check."),
)  # fmt: skip
"""The kinds in display order. A picture has the first kind whose pattern matches, or else the one without a pattern."""
FIRST_CURVES = ("test_acc.png", "val_knn.png", "train_loss_epoch.png", "val_acc.png", "test_loss.png")


def find_pictures(registry: Registry, runs: Sequence[Run]) -> tuple[list[Picture], list[str]]:
    """The project's pictures whose text names one of the runs, or in results/data their data; and the damaged files."""
    names = re.compile(rf"(?<![\w.-])({'|'.join(re.escape(run.id) for run in runs)})(?![\w-])")
    checked = {(dataset_word(run.dataset), run.data.get("sha256")) for run in runs if run.dataset}
    found, damaged = [], []
    for path in sorted(path for folder in FOLDERS for path in (registry.root / folder).rglob("*.png")):
        name = path.relative_to(registry.root).as_posix()
        try:
            text, stem = " ".join(read_text(path)), path.stem.rpartition("_")[0]
            of_data = name.startswith("results/data/") and any(stem == word and (sha or "") in text for word, sha in checked)
            if of_data or names.search(text):
                found.append(read_picture(path, name=name))
        except StateError:
            damaged.append(name)
    return found, damaged


def kind_of(name: str) -> Kind:
    """The kind of a picture, from its path in the project."""
    fits = (kind for kind in KINDS if kind.pattern and re.search(kind.pattern, name))
    return next(fits, next(kind for kind in KINDS if not kind.pattern))


def first_words() -> list[str]:
    """The first words in names of evaluations' pictures: the first protocol of each experiment."""
    return [protocol_named(None, name).key for name in evaluations()]


def in_order(pictures: Iterable[Picture]) -> list[Picture]:
    """Display order: by kind, then the most useful curves, then by protocol, all labels before few, then by name."""

    def place(picture: Picture) -> tuple[int, int, int, bool, str]:
        folder, _, file = picture.name.removeprefix("results/").partition("/")
        curve = FIRST_CURVES.index(Path(file).name) if Path(file).name in FIRST_CURVES else len(FIRST_CURVES)
        starts = [*first_words(), "pretrain"]
        protocol = next((rank for rank, start in enumerate(starts) if file.startswith(start)), len(starts))
        return KINDS.index(kind_of(picture.name)), curve, protocol, "_0p" in file, f"{folder}/{file}"

    return sorted(pictures, key=place)


def shown_at_once(picture: Picture) -> bool:
    """Whether a picture is visible at first; of the curves only the accuracies are."""
    return kind_of(picture.name).key != "curves" or picture.name.endswith(("test_acc.png", "val_knn.png"))


def missing(registry: Registry, pictures: Iterable[Picture], runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The missing kinds of picture, and the command that makes each; published runs cannot have pictures."""
    own = [run for run in runs if run.status != "published"]
    if not own:
        return []
    there = {kind_of(picture.name).key for picture in pictures}
    study = next((run.study for run in own if run.study), None)
    of_study = f" --study {shlex.quote(study)}" if study else ""
    pretrained = next((f" --run {run.id}" for run in own if run.experiment == "pretrain"), "")
    which = dict.fromkeys(("plots", "predict", "map"), of_study)
    which |= {"views": pretrained, "data check": f" {shlex.join(as_read(registry, own[-1], here=registry.root))}"}
    absent = [kind for kind in KINDS if kind.key not in there and kind.command]
    return [(kind.heading, f"ssl {kind.command}{which.get(kind.command, '')}") for kind in absent]
