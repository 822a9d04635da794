"""ssl probe --folds: each labelled image is tested once, by a classifier that neither learned nor was chosen with its fold."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli.data.image_data import ImageData
from sslcli.data.split import Split
from sslcli.evaluation.protocols.protocol import Frozen, Outcome
from sslcli.evaluation.represented import Represented
from sslcli.evaluation.statistics import Terms, over_seeds
from sslcli.evaluation.test_logits import FILE, IN_FOLDS, read_kept
from sslcli.options.pairing import pair_key
from sslcli.options.presets import recipe_of, trainings_of
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.workflows.in_folds import evaluate_in_folds
from tests.conftest import TINY, Cli

Done = Callable[[str], Run]
TRAIN, TEST, CLASSES = 30, 12, 3


def made_data() -> ImageData:
    """Distinct pictures; training image 4 has no label, and test image 7 is a copy of training image 2."""
    images = torch.arange(TRAIN + TEST, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).clone()
    images[TRAIN + 7] = images[2]
    labels = torch.arange(TRAIN + TEST) % CLASSES
    labels[4], labels[TRAIN + 7] = -1, labels[2]
    return ImageData(
        train_images=images[:TRAIN], train_labels=labels[:TRAIN], test_images=images[TRAIN:], test_labels=labels[TRAIN:],
        classes=("a", "b", "c"),
    )  # fmt: skip


def test_each_labelled_image_is_tested_once_and_its_fold_trains_and_chooses_nothing(registry: Registry) -> None:
    data, seen = made_data(), list[Represented]()
    position = torch.arange(TRAIN + TEST).float()[:, None]  # h tells which image it is of
    parts = data.split(seed=1)
    h = Represented(position[parts.train], data.train_labels[parts.train], position[parts.val], data.train_labels[parts.val],
                    position[TRAIN:], data.test_labels, parts.train, torch.zeros(1), torch.ones(1), CLASSES)  # fmt: skip
    context: Any = type("Context", (), {"data": data})
    encoder: Any = None
    frozen = Frozen(encoder, context, 1, Split(parts.train, parts.val), h)

    def spy(of_fold: Frozen, *_: object) -> Outcome:
        seen.append(of_fold.h)
        classifier: Any = None
        return Outcome(classifier, torch.nn.functional.one_hot(of_fold.h.test_labels, CLASSES).float())

    run = Run(id="r", experiment="knn", status="running", dataset="made")
    stop: Any = None
    figures = evaluate_in_folds(registry, run, frozen, spy, folds=4, stop=stop)
    assert figures == {"folds_acc": 1.0, "folds_images": TRAIN + TEST - 1, "folds_count": 4}
    every = sorted({*range(TRAIN + TEST)} - {4})
    label_of = [*data.train_labels.tolist(), *data.test_labels.tolist()]
    assert sorted(int(place) for one in seen for place in one.test) == every
    for one in seen:
        learned, tested = {*map(int, [*one.train, *one.val])}, {*map(int, one.test)}
        assert sorted(learned | tested) == every
        assert not learned & tested
        assert (2 in tested) == (TRAIN + 7 in tested)
        assert set(one.val_labels.tolist()) == set(one.train_labels.tolist()) == {0, 1, 2}
        for of, labels in ((one.train, one.train_labels), (one.val, one.val_labels), (one.test, one.test_labels)):
            assert [label_of[int(place)] for place in of] == labels.tolist()
        assert float(one.mean) == pytest.approx(float(one.train.mean()))
    kept = read_kept(registry.path(f"{run.folder}/{IN_FOLDS}"))
    assert kept.indices.tolist() == every
    assert kept.labels.tolist() == [label_of[place] for place in every]


@pytest.fixture
def probed(done: Done, once: Any) -> list[Run]:
    """A pretraining, and its linear evaluation in four folds beside scratch."""

    def make_probed() -> list[Run]:
        done(f"pretrain {TINY}")
        return [done(f"probe --epochs 2 --batch-size 32 --folds 4 --init {init}") for init in ("pretrained", "scratch")]

    found: list[Run] = once(make_probed)
    return found


def test_folds_change_nothing_of_the_usual_evaluation_and_are_verified(
    ssl: Cli, done: Done, registry: Registry, probed: list[Run]
) -> None:
    run = probed[0]
    plain = done("probe --epochs 2 --batch-size 32")
    usual, also = (read_kept(registry.path(f"{one.folder}/{FILE}")) for one in (plain, run))
    assert np.array_equal(usual.logits, also.logits)
    assert plain.metrics.items() - {"seconds": plain.metrics["seconds"]}.items() <= run.metrics.items()
    kept = read_kept(registry.path(f"{run.folder}/{IN_FOLDS}"))
    assert (run.metrics["folds_acc"], run.metrics["folds_images"]) == (kept.right.mean(), 320)
    assert ssl("runs verify --numbers").code == 0
    record = registry.load(run)
    record.metrics["folds_acc"] = 0.5
    registry.save(record)
    assert ssl("runs verify --numbers").code != 0


def test_compare_takes_all_labelled_images_with_the_correction_for_overlap(
    ssl: Cli, registry: Registry, probed: list[Run]
) -> None:
    found = json.loads(ssl("compare --format json").out)
    (difference,) = found["differences"]
    first, second = (read_kept(registry.path(f"{run.folder}/{IN_FOLDS}")).right for run in probed)
    wanted = over_seeds([first.mean() - second.mean()], [(first != second).mean()], [], 320, terms=Terms(folds=4))
    assert [difference[name] for name in ("difference", "low", "high")] == pytest.approx(
        [wanted.value, wanted.low, wanted.high]
    )
    assert difference["interval"] == "folds"
    assert [(row["test_images"], row["folds"]) for row in found["rows"]] == [(320, 4)] * 2
    lines = ssl("compare --format csv").out.splitlines()
    assert [line.split(",")[-1] for line in lines] == ["folds", "4", "4"]
    assert "| 4 |" in ssl("compare --format markdown").out
    shown = ssl("compare")
    assert "4 folds of all labelled images" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())


def test_the_advice_to_look_for_near_copies_can_be_typed_and_is_given_until_it_was_followed(ssl: Cli, tmp_path: Path) -> None:
    for number in range(40):
        picture = tmp_path / "my photos" / "ab"[number % 2] / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 40), 40 + number).convert("RGB").save(picture)
    line = "probe --init scratch --backbone resnet9-small --protocol knn --folds 2 --dataset 'folder:my photos' --image-size 32"
    first = ssl(line)
    assert first.code == 0, first.err
    advice = next(line for line in first.err.splitlines() if "near duplicates are not known yet" in line)
    checked = ssl(advice.partition("type: ssl ")[2])
    assert checked.code == 0, checked.err
    assert "not known yet" not in ssl(f"{line} --seed 5").err


@pytest.mark.parametrize("protocol", ["knn", "logistic"])
def test_other_protocols_of_representations_are_evaluate_in_folds_too(done: Done, pretrained: Run, protocol: str) -> None:
    run = done(f"probe --protocol {protocol} --folds 2 --encoder {pretrained.id}")
    assert (run.metrics["folds_count"], run.metrics["folds_images"]) == (2, 320)


def test_the_pair_of_a_run_without_folds_is_that_of_older_runs() -> None:
    options: dict[str, object] = {"protocol": "linear", "dataset": "shapes", "backbone": "resnet9", "stem": "own", "seed": 1}
    key = pair_key("linear_eval", options, "data")
    assert pair_key("linear_eval", options | {"folds": None}, "data") == key
    assert pair_key("linear_eval", options | {"folds": 10}, "data") != key


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("--folds 1", "accepted is a whole number from 2 to 100"),
        ("--folds 4 --protocol linear-augmented", "not with --protocol linear-augmented, which trains on views of images"),
        ("--folds 4 --label-fraction 0.5", "--folds 4 with --label-fraction 0.5: accepted is one of them"),
        ("--folds 4 --protocol knn --k 300", "accepted is at most the 240 images that have labels"),
        ("--folds 4 --dataset folder:photos", "outside one fold too few pictures are left of 1 class, 'lynx' (0)"),
    ],
)
def test_what_cannot_be_evaluate_in_folds_is_refused_and_makes_no_run(
    ssl: Cli, registry: Registry, options: str, text: str
) -> None:
    from PIL import Image

    for number in range(15):  # the three of lynx are copies of one
        name = "lynx" if number < 3 else "cat"
        folder = Path("photos") / ("test" if number in (0, 3, 4) else "train") / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 32), (10 * max(number, 2), 0, 0)).save(folder / f"{number}.png")
    dataset = "" if "--dataset" in options else "--dataset shapes"
    Path("other").mkdir()
    result = ssl(f"probe --project other --init scratch {dataset} {options}")
    assert (result.code, text in result.err) == (2, True), result.err
    assert registry.runs() == []


def test_a_study_gives_its_folds_to_the_probes_that_take_them() -> None:
    command, preset = recipe_of(Study(preset="demo", folds=5))
    preset["probe"].append({"protocol": "linear-augmented"})
    probes = [arguments for kind, arguments in trainings_of(preset, command) if kind == "probe"]
    whole = [arguments for arguments in probes if arguments.get("label_fraction", 1.0) == 1]
    taken = {str(arguments.get("protocol", "linear")): arguments.get("folds") for arguments in whole}
    assert taken["linear"] == 5
    assert taken["linear-augmented"] is None
