"""A page on a person's own pictures: how many there are, one name for each encoder, and what to type next."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import Line, write_manifest
from sslcli.evaluation.test_logits import FILE, IN_FOLDS, Kept, keep
from sslcli.options.probe import Probe
from sslcli.report.counts import counts
from sslcli.report.page import make
from sslcli.report.pictures import KINDS
from sslcli.report.quality import quality_figures
from sslcli.report.sections import next_steps, pictures
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.docs.pages import build
from tests.report.test_report import read

THEIRS = "file-lite0-12345678"
CLASSES = ["cat", "dog", "owl"]
LABELS = [0] * 10 + [1] * 8 + [2] * 6
IMAGES = len(LABELS)


def lines() -> list[Line]:
    """24 labelled pictures, 20 for training and 4 for the test, 30 without a label, and a copy of a test picture."""
    parts = ["test" if number % 6 == 0 else "train" for number in range(IMAGES)]
    labelled = [Line(f"{n}", parts[n], CLASSES[label], f"{n}.jpg") for n, label in enumerate(LABELS)]
    return labelled + [Line(f"u{n}", "train", "", f"u{n}.jpg") for n in range(30)] + [Line("0", "test", "", "copy.jpg")]


def evaluated(registry: Registry, init: str, wrong: int, **known: Any) -> Run:
    """A linear evaluation in two folds, of which the first `wrong` labelled pictures are wrong."""
    options = Probe(epochs=30, folds=2, init="t.pth" if init == THEIRS else init).options()
    options |= {"dataset": "folder:../photos", "labels": "../few.csv", "backbone": known["backbone"]}
    run = registry.create(
        init, experiment="linear_eval", protocol="linear", status="finished", study="s", init=init, seed=1, label_fraction=1.0,
        dataset="folder:../photos", options=options, **known,
    )  # fmt: skip
    right = [label if place >= wrong else (label + 1) % 3 for place, label in enumerate(LABELS)]
    of_folds = Kept(np.eye(3, dtype=np.float32)[right], np.array(LABELS), np.arange(IMAGES))
    keep(registry.path(f"{run.folder}/{IN_FOLDS}"), of_folds)
    keep(registry.path(f"{run.folder}/{FILE}"), Kept(of_folds.logits[:4], of_folds.labels[:4], of_folds.indices[:4]))
    write_manifest(registry.path(f"{run.folder}/{MANIFEST}"), lines())
    run.metrics = {
        "test_acc": 0.75,
        "test_images": 4,
        "folds_acc": 1 - wrong / IMAGES,
        "folds_images": IMAGES,
        "folds_count": 2,
    }
    run.data = {
        "classes": CLASSES,
        "sha256": "d" * 64,
        "init": {"file": "lite0.pth", "sha256": "ab" * 32} if init == THEIRS else {},
    }
    run.command = "ssl study --beside timm:tf_efficientnet_lite0=lite0.pth"
    registry.save(run)
    return run


@pytest.fixture
def study(registry: Registry) -> dict[str, Run]:
    """Own pretraining, scratch, and a better encoder from elsewhere, on a folder of pictures."""
    return {
        "own": evaluated(registry, "pretrained", 12, pair="p", backbone="resnet9", method="simclr"),
        "scratch": evaluated(registry, "scratch", 20, pair="p", backbone="resnet9"),
        "theirs": evaluated(registry, THEIRS, 0, pair="q", backbone="timm:tf_efficientnet_lite0"),
    }


def test_the_first_lines_have_the_images_the_labels_the_classes_and_the_parts(
    registry: Registry, study: dict[str, Run]
) -> None:
    told = counts(registry, list(study.values()))
    assert told == [
        "55 images; 24 of them have a label, of 3 classes: 17 train a classifier, 3 validate it, 4 test it. 30 without a "
        "label are for pretraining and for no test. 1 more is a copy of a test image and left out."
    ]
    text = read(make(registry, "s")).text
    assert text.index(told[0]) < text.index("The answer")


def test_a_named_data_set_has_its_test_images_and_classes(registry: Registry) -> None:
    run = registry.create("r", experiment="knn", status="finished", dataset="shapes", init="scratch")
    run.metrics, run.data = {"test_acc": 0.5, "test_images": 1200}, {"classes": CLASSES}
    registry.save(run)
    assert counts(registry, [run]) == ["1,200 test images of 3 classes."]


def test_the_answer_ranks_the_encoders_before_anything_is_compared_with_scratch(
    registry: Registry, study: dict[str, Run]
) -> None:
    text = " ".join(read(make(registry, "s")).text.split())
    ranked = (
        "In linear evaluation no encoder is shown to be the best: lite0 100.0 %, own pretraining 50.0 % and scratch 16.7 %; "
        "lite0 and own pretraining cannot be told apart, own pretraining and scratch cannot be told apart."
    )
    assert ranked in text
    assert text.index(ranked) < text.index("compared with a start from scratch?")
    assert "has the highest accuracy" not in text  # it is said once
    assert "Own pretraining is resnet9, pretrained here by simclr; lite0 is " in text
    assert "The intervals in the tables of encoders allow for all their comparisons, and so does who can be told apart;" in text
    assert "Linear evaluation: tested on the 24 labelled images in 2 folds." in text
    assert study["own"].study == "s"


def test_an_encoder_from_elsewhere_has_one_name_on_the_page_and_its_long_ones_in_recipe_and_provenance(
    registry: Registry, study: dict[str, Run]
) -> None:
    text = make(registry, "s").read_text(encoding="utf-8")
    before, recipe = text.split('<section id="recipe"')
    told = re.sub(re.escape(study["theirs"].id), "RUN", before)
    assert "lite0" in told
    for long in (THEIRS, "timm:", "12345678", "lite0.pth"):
        assert long not in told, long
    assert recipe.count("timm:tf_efficientnet_lite0</th>") + recipe.count("<td>timm:tf_efficientnet_lite0") == 1
    assert f"linear evaluation, {THEIRS}" not in recipe


def test_what_to_type_next_names_the_best_encoder_and_every_command_can_be_typed(
    registry: Registry, study: dict[str, Run]
) -> None:
    text = make(registry, "s").read_text(encoding="utf-8")
    section = text[text.index('<section id="next"') : text.index('<section id="recipe"')]
    typed = re.findall(r'<code class="typed">ssl (.*?)</code>', section)
    best = study["theirs"].id
    assert typed == [
        f"suggest --run {best} --n 30",
        f"suggest --run {best} --n 30 --for-test --labels results/labels/next.csv --out results/labels/next.csv",
        f"predict --run {best} --images ../photos --out all-labels.csv",
        f"card {best} --transfer none --moved folder:../camera-b",
        "data check --dataset folder:../photos --labels ../few.csv --labels-too",
    ]
    for line in typed:
        build(line)
    words = " ".join(section.split())
    assert "gives each of the 31 images without a label a class and a confidence." in words
    expected = (
        "Expect about 0 of 100 to be wrong (95 % interval 0 to 32), if the others are like these: of the 24 labelled images in "
        "2 folds, 0 were. "
    )
    assert "the most accurate in folds here that can classify other images" in words
    assert expected + "ssl predict uses none of the folds" in words
    assert "but one that had 1 of its 4 test images wrong. Trust the folds: they tested more images." in words
    assert "in sub-folders named as their classes (cat, dog, owl)" in words
    assert 'href="#next"' in text
    gaps = text[text.index('<section id="gaps"') :]
    assert "Images from elsewhere, like those of another camera, were not tested" in gaps
    assert "calibration (ECE) were not measured" not in gaps  # the pictures of folds show it


def test_without_encoders_from_elsewhere_ones_own_is_used_and_others_and_folds_are_proposed(registry: Registry) -> None:
    for init in ("pretrained", "scratch"):
        run = evaluated(registry, init, 12, pair="p", backbone="resnet9")
        run.metrics = {"test_acc": 0.75, "test_images": 4}
        registry.save(run)
    words = " ".join(read(make(registry, "s")).text.split())
    assert "They use pretrained, by run" in words
    assert "add --beside torchvision:resnet50 --download to the command under Recipe" in words
    assert "Or repeat the study with --folds 10" in words
    assert (
        "Expect about 25 of 100 to be wrong (95 % interval 5 to 70), if the others are like these: of the 4 test images, 1 was."
    ) in words
    assert "of the folds" not in words


def test_what_classifies_other_pictures_is_chosen_by_validation_on_most_labels_and_never_by_the_test(
    registry: Registry,
) -> None:
    made = {}
    for init, test, val, more in (
        ("pretrained", 0.75, 0.9, {}), ("scratch", 1.0, 0.2, {}),
        ("pretrained", 1.0, 1.0, {"label_fraction": 0.1, "pair": "p10"}),
    ):  # fmt: skip
        run = evaluated(registry, init, 12, pair="p", backbone="resnet9")
        run.metrics = {"test_acc": test, "val_acc": val, "test_images": 4}
        vars(run).update(more)
        registry.save(run)
        made[run.id] = run
    other = registry.create(
        "o", experiment="linear_eval", protocol="linear", status="finished", study="s", init="pretrained", seed=1,
        label_fraction=1.0, dataset="shapes", pair="x", metrics={"test_acc": 1.0, "val_acc": 1.0, "test_images": 1000},
    )  # fmt: skip
    words = " ".join(read(make(registry, "s")).text.split())
    best = next(iter(made))
    assert f"by run {best}: the most accurate on validation images here that can classify other images" in words
    assert f"--run {other.id}" not in words


def test_a_class_is_named_if_chance_cannot_explain_how_often_it_is_wrong(registry: Registry, study: dict[str, Run]) -> None:
    folder = study["theirs"].folder

    def said(wrong: list[int]) -> str:
        right = [(label + 1) % 3 if place in wrong else label for place, label in enumerate(LABELS)]
        keep(
            registry.path(f"{folder}/{IN_FOLDS}"),
            Kept(np.eye(3, dtype=np.float32)[right], np.array(LABELS), np.arange(IMAGES)),
        )
        words = " ".join(read(make(registry, "s")).text.split())
        return words.partition("24 labelled images in 2 folds, ")[2].partition("ssl predict uses")[0]

    assert "Of those that are “owl”, 4 of 6 were. " in said([18, 19, 20, 21])
    for chance in ([], [0], [20], [0, 10, 18, 19], [0, 1, 2, 10, 11, 18, 19]):
        assert "Of those that are" not in said(chance), chance


def test_of_equally_hard_classes_one_is_called_worse_in_at_most_5_percent_of_the_studies(
    registry: Registry, study: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, images, classes, named = np.random.default_rng(1), 200, 3, 0
    material = SimpleNamespace(registry=registry)
    for _ in range(400):
        labels = draws.integers(classes, size=images)
        given = np.where(draws.random(images) < 0.1, (labels + 1) % classes, labels)
        kept = Kept(np.eye(classes, dtype=np.float32)[given], labels, np.arange(images))
        monkeypatch.setattr(next_steps, "kept_of", lambda *_, kept=kept: kept)
        named += bool(next_steps.worst_class(study["theirs"], material))  # type: ignore[arg-type]
    assert named / 400 < 0.07


def test_where_folds_test_all_each_kind_of_picture_says_which_images_it_shows_and_the_first_and_the_predictions_more() -> None:
    names = ("figures/linear_eval/test_acc.png", "figures/linear_eval/map.png", "predictions/linear_pretrained.png")
    shown = SimpleNamespace(
        kept=[SimpleNamespace(name=f"results/{name}") for name in names], names={},
        measured=SimpleNamespace(
            runs=[SimpleNamespace(metrics={"test_images": 39})], rows=[SimpleNamespace(folds=10)],
        ),
    )  # fmt: skip
    notes = {kind.key: pictures.note(kind, shown) for kind in KINDS}  # type: ignore[arg-type]
    assert notes["curves"] == "The test images here are the 39 of the test part; the tables of folds count all labelled images."
    assert (
        notes["predictions"]
        == "The test images here are the 39 of the test part, classified by one classifier of each encoder."
    )
    assert notes["map"] == "The test images here are the 39 of the test part."
    assert notes["confusion"] == ""
    shown.measured.rows[0].folds = None
    assert not any(pictures.note(kind, shown) for kind in KINDS)  # type: ignore[arg-type]


def test_a_page_of_a_named_data_set_says_nothing_of_what_to_type_next(registry: Registry, study: dict[str, Run]) -> None:
    for run in study.values():
        run.dataset, run.options = "cifar10", run.options | {"dataset": "cifar10"}
        registry.save(run)
    assert "#next" not in make(registry, "s").read_text(encoding="utf-8")


def test_confusions_show_the_encoders_from_elsewhere_on_the_images_of_the_tables(
    registry: Registry, study: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[str], list[int]]] = []

    def draw(judged: Any, **words: Any) -> Any:
        from sslcli.figures.canvas import new_figure

        drawn.append(([one.label for one in judged], [int(one.quality.confusion.sum()) for one in judged]))
        figure = new_figure(1, 1)
        figure.suptitle(words["title"])
        return figure

    for name in ("draw_confusion", "draw_reliability", "draw_risk_coverage"):
        monkeypatch.setattr(f"sslcli.report.quality.{name}", draw)
    chosen = [Run(**{**vars(run), "metrics": {"test_acc": 0.5, "test_images": IMAGES, "folds": 2}}) for run in study.values()]
    pictures = quality_figures(registry, chosen)
    assert drawn == [(["own pretraining", "scratch", "lite0"], [IMAGES] * 3)] * 3
    assert all(study["theirs"].id in picture.description for picture in pictures)
