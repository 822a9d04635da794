"""What the page says where one class has many more pictures than others."""

from typing import Any

import numpy as np
import pytest

from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import Line, write_manifest
from sslcli.evaluation.test_logits import FILE, IN_FOLDS, Kept, keep
from sslcli.report.class_sizes import possible_fraction, uneven
from sslcli.report.page import make
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def evaluated(registry: Registry, labels: list[int], predicted: list[int], dataset: str = "folder:p", **known: Any) -> Run:
    run = registry.create(
        "run", experiment="linear_eval", status="finished", protocol="linear", study="s", dataset=dataset,
        metrics={"test_acc": 0.5, "test_images": len(labels)}, label_fraction=1.0, seed=1, **known,
    )  # fmt: skip
    run.data = {"classes": ["cat", "dog", "owl"]}
    registry.save(run)
    logits = np.eye(3, dtype=np.float32)[predicted]
    keep(registry.path(f"{run.folder}/{FILE}"), Kept(logits, np.array(labels), np.arange(len(labels))))
    return run


def test_a_page_on_uneven_classes_says_what_the_largest_alone_would_reach(registry: Registry) -> None:
    labels = [0] * 7 + [1, 1, 2]
    pretrained = evaluated(registry, labels, [0] * 7 + [1, 0, 2], init="pretrained", pair="p")
    scratch = evaluated(registry, labels, [0] * 10, init="scratch", pair="p")
    (found,) = uneven(registry, [pretrained, scratch], {"scratch": "from nothing"})
    assert "“cat”, would be right for 70.0% of the 10 test images" in found.sentence
    assert [name for name, _ in found.means.columns] == ["encoder", "linear evaluation, 10 test images"]
    cells = [[cell.text for cell in row] for row in found.means.rows]
    assert cells == [["pretrained", "83.3"], ["from nothing", "33.3"]]  # (1 + 1/2 + 1) / 3, 1 / 3
    text = make(registry, "s").read_text()
    assert "would be right for 70.0% of the 10 test images" in text


def test_means_over_classes_of_an_evaluation_in_folds_are_of_all_labelled_images(registry: Registry) -> None:
    run = evaluated(registry, [0, 1, 2], [0, 0, 0], init="pretrained", pair="p")
    logits = np.eye(3, dtype=np.float32)[[0] * 7 + [1, 1, 0]]
    in_folds = Kept(logits, np.array([0] * 7 + [1, 1, 2]), np.arange(10))
    keep(registry.path(f"{run.folder}/{IN_FOLDS}"), in_folds)
    run.metrics = {"test_acc": 0.9, "test_images": 10, "folds": 5}
    (found,) = uneven(registry, [run], {})
    assert "would be right for 70.0% of the 10 labelled images in 5 folds" in found.sentence
    assert found.means.columns[1] == ("linear evaluation, 10 labelled images in 5 folds", True)
    assert found.means.rows[0][1].text == "66.7"  # (1 + 1 + 0) / 3


def test_each_data_set_has_its_own_classes_though_as_many_images_were_tested(registry: Registry) -> None:
    even = evaluated(registry, [0, 0, 1, 1, 2, 2], [0] * 6, dataset="shapes", init="scratch")
    cats = evaluated(registry, [0] * 5 + [1], [0] * 6, init="scratch")
    dogs = evaluated(registry, [1] * 4 + [0, 2], [1] * 6, dataset="folder:q", init="scratch")
    of_p, of_q = uneven(registry, [even, cats, dogs], {})
    assert "classes of folder:p are uneven: always naming the largest, “cat”, would be right for 83.3%" in of_p.sentence
    assert "classes of folder:q are uneven: always naming the largest, “dog”, would be right for 66.7%" in of_q.sentence
    assert [[row[1].text for row in one.means.rows] for one in (of_p, of_q)] == [["50.0"], ["33.3"]]
    assert [one.means.caption for one in (of_p, of_q)] == [
        f"Mean of the accuracies of the classes of folder:{name} (%)" for name in "pq"
    ]


def test_on_even_classes_and_without_logits_nothing_is_said(registry: Registry) -> None:
    even = evaluated(registry, [0, 0, 0, 0, 1, 1, 1, 2, 2], [0] * 9, init="scratch")
    assert uneven(registry, [even], {}) == []
    registry.path(f"{even.folder}/{FILE}").unlink()
    assert uneven(registry, [even], {}) == []


@pytest.mark.parametrize(("smallest", "fraction"), [(20, 0.1), (10, 0.2), (4, 0.5), (3, None)])
def test_the_fraction_of_the_labels_that_the_page_proposes_leaves_each_class_two(
    registry: Registry, smallest: int, fraction: float | None
) -> None:
    run = evaluated(registry, [0, 1, 2], [0, 1, 2], init="scratch")
    assert possible_fraction(registry, [run]) == 0.1  # of a named data set nothing is known, and it has many
    lines = [Line("a", "train", "cat", "1.png")] * 50 + [Line("b", "val", "owl", "2.png")] * smallest
    lines += [Line("c", "test", "dog", "3.png"), Line("d", "train", "", "4.png")]
    write_manifest(registry.path(f"{run.folder}/{MANIFEST}"), lines)
    assert possible_fraction(registry, [run]) == fraction
    text = make(registry, "s").read_text()
    advice = "too few for a part of them" if fraction is None else f"ssl finetune --label-fraction {fraction:g}"
    assert advice in text
