"""What next: what a reader with own pictures asks after the answer, what the page knows of it, and the commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

import numpy as np

from sslcli.comparison.differences import folds_of, images_of
from sslcli.data import FOLDER
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.statistics import share_interval
from sslcli.report.class_sizes import kept_of
from sslcli.report.counts import picture_lines
from sslcli.report.section import Content, Material, Section
from sslcli.report.tested import tested_by
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.next_step import record_or_index
from sslcli.runs.paths import as_read
from sslcli.runs.run import Run

NAMED = 6  # classes that a sentence names
MOST_TO_LABEL = 50  # images that the page proposes to label at a time
CHANCE = 0.05  # of naming a class as worse although all are equally hard, at most


@dataclass(frozen=True)
class Step:
    """A question, what the page can say to it, the command that answers it ("" without one), and what the command does."""

    question: str
    known: str
    command: str = ""
    does: str = ""


@dataclass(frozen=True)
class Pictures:
    """A study's pictures: their folder from the project, the options that read them, and the classes.

    `unlabelled` training pictures have no label; with copies of test pictures, `without_label` have none.
    """

    dataset: str | None
    folder: str
    options: str
    classes: list[str]
    unlabelled: int
    without_label: int

    @property
    def other_camera(self) -> str:
        """A folder beside theirs, for the pictures of another camera."""
        return os.path.join(os.path.dirname(self.folder), "camera-b")


def content(material: Material) -> Content | None:
    """The steps and the encoder that they use; None unless the study is of a person's own pictures and has a classifier."""
    pictures = _pictures(material)
    if pictures is None or (chosen := best_classifier(material, pictures.dataset)) is None:
        return None
    run, name, why = chosen
    return {"steps": list(steps(run, name, pictures, material)), "best": name, "run": run.id, "why": why}


def best_classifier(material: Material, dataset: str | None) -> tuple[Run, str, str] | None:
    """The evaluation that classifies other pictures, its encoder's name, and why this one; None if none can.

    In folds it is the most accurate one: they test all labelled images, and a validation part of few labels decides little.
    Else it is, of those on most labels, the best on validation images, never on test images.
    """
    able = [
        run for run in material.chosen
        if run.dataset == dataset and run.protocol in PROTOCOLS and PROTOCOLS[run.protocol].classifies
        and "test_acc" in run.metrics
    ]  # fmt: skip
    if not able:
        return None
    if in_folds := [run for run in able if folds_of(run)]:
        best, why = max(in_folds, key=lambda run: run.metrics["test_acc"]), "the most accurate in folds"
    else:
        best = max(able, key=lambda run: (run.label_fraction or 1.0, run.metrics.get("val_acc", 0.0)))
        why = "the most accurate on validation images" if "val_acc" in best.metrics else "one of those"
    return best, material.names.get(best.init or "", best.init or ""), why


def _pictures(material: Material) -> Pictures | None:
    """The pictures of the study's first run; None if they are not a folder, or nothing of it is recorded."""
    record = next((run for run in material.measured.runs if (run.dataset or "").startswith(FOLDER) and run.options), None)
    if record is None:
        return None
    words = as_read(material.registry, record, here=material.registry.root)
    lines = picture_lines(material.registry, record)
    return Pictures(
        dataset=record.dataset, folder=words[words.index("--dataset") + 1].removeprefix(FOLDER), options=shlex.join(words),
        classes=sorted({line.label for line in lines if line.label}),
        unlabelled=sum(not line.label and line.part != "test" for line in lines),
        without_label=sum(not line.label for line in lines),
    )  # fmt: skip


def steps(run: Run, name: str, pictures: Pictures, material: Material) -> Iterator[Step]:
    """The steps, in the order in which they help."""
    yield from _of_labels(run, pictures, material) if pictures.unlabelled else _of_new_images(run, material)
    camera = shlex.quote(f"{FOLDER}{pictures.other_camera}")
    yield Step(
        "Will it hold on images from another camera?",
        "This page does not know: the tested images come from the same folder as the others. To measure it, put about 200 "
        f"images of the other camera into the folder {pictures.other_camera}, in sub-folders named as their classes"
        f"{_listed(pictures)}. 200 give an accuracy to about ±7 points.",
        f"ssl card {run.id} --transfer none --moved {camera}",
        f"It prints the accuracy of {name} there.",
    )
    yield Step(
        "Are there wrong labels?", "Not looked for here.", f"ssl data check {pictures.options} --labels-too",
        "It lists the most suspect ones first.",
    )  # fmt: skip
    if not set(material.names) - set(INIT_WORDS):
        yield Step(
            "Is another encoder better?",
            "Not measured: add --beside torchvision:resnet50 --download to the command under Recipe, and repeat it.",
        )


def _of_labels(run: Run, pictures: Pictures, material: Material) -> Iterator[Step]:
    """What to label, and what the others are, where some images have no label."""
    count, folder = min(MOST_TO_LABEL, pictures.unlabelled), shlex.quote(pictures.folder)
    yield Step(
        "Which images should I label next?",
        f"To teach a classifier: typical ones of those without a label. This command chooses {count}:",
        f"ssl suggest --run {run.id} --n {count}",
        "It writes them to results/labels/next.csv, below the labels that you have, and shows them in "
        "results/predictions/suggested.png. Fill in the column label, and repeat the study (the command is under Recipe) with "
        f"this file as --labels{', without --folds: folds would test these typical images, too' * _in_folds(material)}.",
    )
    folds = "" if _in_folds(material) else " Or repeat the study with --folds 10: then every labelled image is tested."
    yield Step(
        "How can the answer become surer?",
        f"Four times as many labels halve the intervals.{folds} For a test, label images drawn at random, not "
        "typical ones. When the file above is filled in, this command adds some to it:",
        f"ssl suggest --run {run.id} --n {count} --for-test --labels results/labels/next.csv --out results/labels/next.csv",
    )
    yield Step(
        "What are the other labels?",
        f"This command gives each of the {pictures.without_label:,} images without a label a class and a confidence. "
        f"{_expected(run, material)}",
        f"ssl predict --run {run.id} --images {folder} --out all-labels.csv",
        "In all-labels.csv look first at low confidences, and at the images marked unlike: they resemble none that it learned "
        "from.",
    )


def _of_new_images(run: Run, material: Material) -> Iterator[Step]:
    yield Step(
        "What are the labels of new images?",
        f"This command gives each image of a folder a class and a confidence. {_expected(run, material)}",
        f"ssl predict --run {run.id} --images FOLDER --out all-labels.csv",
    )


def _in_folds(material: Material) -> bool:
    return any(row.folds for row in material.measured.rows)


def _expected(run: Run, material: Material) -> str:
    """How many of its labels will be wrong, from the tested images: all, those of the worst class, and, in folds, those that
    the one classifier that labels was tested on."""
    own = next((record.metrics for record in material.measured.runs if record.id == run.id), {})
    wrong, images, folds = _wrong(run.metrics, images_of(run)), images_of(run), folds_of(run)
    low, high = (100 * end for end in share_interval(wrong, images, folds=folds))
    itself = (
        f" ssl predict uses none of the folds' classifiers, but one that had {_wrong(own, own['test_images']):,} of its "
        f"{own['test_images']:,.0f} test images wrong. Trust the folds: they tested more images."
    ) if folds is not None and "test_images" in own else ""  # fmt: skip
    return (
        f"Expect about {100 * (1 - run.metrics['test_acc']):.0f} of 100 to be wrong (95 % interval {low:.0f} to {high:.0f}), "
        f"if the others are like these: of the {tested_by(run)}, {wrong:,} {'was' if wrong == 1 else 'were'}."
        f"{worst_class(run, material)}{itself}"
    )


def _wrong(metrics: Mapping[str, float], images: float) -> int:
    return round((1 - metrics["test_acc"]) * images)


def worst_class(run: Run, material: Material) -> str:
    """The class that is most clearly worse than the others, with its wrong images; "" if chance can explain each class.

    Each class's wrong images are compared with the rate of the other classes, by a binomial test (Bonferroni). "" too if the
    logits were not kept.
    """
    kept = kept_of(material.registry, run)
    classes = record_or_index(material.registry, run).data.get("classes") or []
    if kept is None or kept.logits.shape[1] != len(classes):
        return ""
    counts, right = (np.bincount(kept.labels, weights, len(classes)) for weights in (None, kept.right))
    wrong = counts - right
    others = (wrong.sum() - wrong + 1) / (counts.sum() - counts + 2)  # with a wrong and a right one added to each
    chances = [_at_least(int(w), int(n), rate) for w, n, rate in zip(wrong, counts, others, strict=True)]
    worst = min(range(len(classes)), key=chances.__getitem__)
    if chances[worst] > CHANCE / len(classes):
        return ""
    return f" Of those that are “{classes[worst]}”, {wrong[worst]:,.0f} of {counts[worst]:,.0f} were."


def _at_least(count: int, of: int, rate: float) -> float:
    """The probability of at least `count` wrong images of `of`, if each is wrong with the probability `rate`, 0 < rate < 1."""
    tail = (
        lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1) + k * log(rate) + (of - k) * log1p(-rate)
        for k in range(count, of + 1)
    )  # fmt: skip
    return sum(map(exp, tail))


def _listed(pictures: Pictures) -> str:
    """The first classes in brackets; "" if they are not known."""
    more = ", …" * (len(pictures.classes) > NAMED)
    return f" ({', '.join(pictures.classes[:NAMED])}{more})" if pictures.classes else ""


TEMPLATE = """\
<p class="lead">Type the commands in the folder of the project, where registry.yaml is. They use {{ best }}, by run <code>{{ run }}</code>: {{ why }} here that can classify other images.</p>
<dl class="next">
{% for step in steps %}
<dt>{{ step.question }}</dt>
<dd>{{ step.known }}{% if step.command %} <code class="typed">{{ step.command }}</code> {{ step.does }}{% endif %}</dd>
{% endfor %}
</dl>
"""  # noqa: E501  (a line of the page)

SECTION = Section(key="next", heading="What next", content=content, template=TEMPLATE)
