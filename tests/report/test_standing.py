"""The order of the encoders in three sentences, which images were tested, and how the rates were chosen."""

from typing import Any

import pytest

from sslcli.comparison.ranked import Ranked, Ranking
from sslcli.report.rates import rate_in_words, shared_rates
from sslcli.report.standing import highest, standing, who
from sslcli.report.tested import IN_A_FOLD, which_tested
from sslcli.runs.run import Run

ALL = ((0, 1), (0, 2), (1, 2))
PLACES = {"linear": "linear_eval", "knn": "knn", "finetune": "finetune"}


def ranked(protocol: str, means: dict[str, float], apart: tuple[tuple[int, int], ...], **known: Any) -> Ranking:
    """A ranking of encoders with these accuracies, the best first."""
    methods = tuple(
        Ranked(method=name, seeds=(1,), mean=mean, sd=None, difference=None, low=None, high=None, interval=None, is_worse=False,
               runs=(name,))
        for name, mean in means.items()
    )  # fmt: skip
    values: dict[str, Any] = {"dataset": "d", "label_fraction": 1.0, "at_epoch": None, "metric": "test_acc", "tail": 0.05}
    return Ranking(
        experiment=PLACES[protocol], protocol=protocol, comparisons=3, methods=methods, noun="encoder", apart=apart,
        **values | known,
    )  # fmt: skip


def said(*rankings: Ranking) -> list[str]:
    return ["".join(sentence) for sentence in standing(rankings)]


LINEAR = ranked("linear", {"lite0": 0.9604, "own pretraining": 0.8416, "scratch": 0.5594}, ALL)
KNN = ranked("knn", {"lite0": 0.9406, "own pretraining": 0.7871, "scratch": 0.5198}, ALL)
FINETUNE = ranked("finetune", {"own pretraining": 0.8718, "scratch": 0.7692, "lite0": 0.6667}, ())


def test_three_evaluations_are_three_sentences_that_say_the_order_and_who_cannot_be_told_apart() -> None:
    assert said(LINEAR, KNN, FINETUNE) == [
        "In linear evaluation lite0 is best (96.0 %), then own pretraining 84.2 % and scratch 55.9 %; "
        "every two can be told apart",
        "kNN says the same (94.1, 78.7 and 52.0 %)",
        "In fine-tuning no encoder is shown to be the best: own pretraining 87.2 %, scratch 76.9 % and lite0 66.7 %; "
        "no two can be told apart",
    ]
    assert standing([LINEAR])[0][0] == "In linear evaluation lite0 is best"
    assert standing([]) == []


def test_the_highest_accuracy_of_several_evaluations_is_named_with_its_encoder() -> None:
    images = {"lite0": "202 labelled images in 10 folds", "own pretraining": "39 test images"}
    sentence = (
        "The highest of these accuracies is that of lite0 in linear evaluation: 96.0 % of the 202 labelled images in 10 folds."
    )
    assert highest([FINETUNE, KNN, LINEAR], images) == sentence
    assert highest([LINEAR], images) == ""


def test_who_tells_own_and_continued_pretraining_and_what_comes_from_elsewhere() -> None:
    names = {"pretrained": "own pretraining", "pretrained-from-lite0-1234abcd": "continued from lite0", "file-b-1": "b"}
    runs = [
        evaluation("knn", "pretrained", backbone="resnet9", method="simclr"),
        evaluation("knn", "file-b-1", backbone="timm:resnet50"),
    ]  # fmt: skip
    assert who(runs, names) == (
        "Own pretraining is resnet9, pretrained here by simclr; "
        "b is resnet50 with weights from elsewhere (their files under Recipe); "
        "continued from lite0 was pretrained here, starting from those weights."
    )


@pytest.mark.parametrize(
    ("apart", "lead", "tail"),
    [
        (((0, 1), (0, 2)), "a is best (90.0 %), then", "b and c cannot be told apart"),
        (((0, 2), (1, 2)), "no encoder is shown to be the best: a 90.0 %,", "a and b cannot be told apart"),
        (((0, 2),), "no encoder is shown to be the best", "a and b cannot be told apart, b and c cannot be told apart"),
    ],
)
def test_where_some_can_be_told_apart_the_others_are_named(apart: tuple[tuple[int, int], ...], lead: str, tail: str) -> None:
    (sentence,) = said(ranked("knn", {"a": 0.9, "b": 0.8, "c": 0.7}, apart))
    assert sentence.startswith(f"In kNN {lead}")
    assert sentence.endswith(f"; {tail}")


def test_of_two_encoders_and_of_many_pairs_the_words_are_short() -> None:
    two = {"a": 0.9, "b": 0.8}
    assert said(ranked("knn", two, ((0, 1),))) == ["In kNN a is best (90.0 %), then b 80.0 %; the two can be told apart"]
    (sentence,) = said(ranked("knn", two, ()))
    assert sentence.endswith("the two cannot be told apart")
    (sentence,) = said(ranked("knn", dict.fromkeys("abcd", 0.5), ((0, 3),)))
    assert sentence.endswith("; 5 of the 6 pairs cannot be told apart")


def test_encoders_without_a_common_seed_are_said_to_be_so() -> None:
    three = {"a": 0.9, "b": 0.8, "c": 0.7}
    (sentence,) = said(ranked("knn", three, ((0, 1),), unseen=((0, 2), (1, 2))))
    assert sentence.endswith("; a and c have no seed in common, b and c have no seed in common")
    (sentence,) = said(ranked("knn", three, (), unseen=((0, 2),)))
    assert sentence.endswith("; a and b cannot be told apart; b and c cannot be told apart; a and c have no seed in common")


def test_of_more_than_three_findings_the_rest_is_counted() -> None:
    others = [ranked("finetune", {"b": 0.5, "a": 0.4}, (), label_fraction=part) for part in (1.0, 0.5, 0.1)]
    found = said(ranked("linear", {"a": 0.5, "b": 0.4}, ()), *others)
    assert len(found) == 3
    assert found[-1].endswith("; 1 more evaluation under Results")


def evaluation(protocol: str, init: str, **known: Any) -> Run:
    return Run(id=f"{protocol}-{init}", experiment=PLACES[protocol], protocol=protocol, init=init, status="finished", **known)


def test_the_evaluations_in_folds_and_those_of_the_test_are_named_with_their_images() -> None:
    folds = {"test_acc": 0.8, "test_images": 202, "folds": 10}
    runs = [evaluation("linear", "scratch", metrics=folds), evaluation("knn", "scratch", metrics=folds),
            evaluation("finetune", "scratch", metrics={"test_acc": 0.7, "test_images": 39})]  # fmt: skip
    assert which_tested(runs) == [
        "Linear evaluation and kNN: tested on the 202 labelled images in 10 folds.",
        "Fine-tuning: tested on the 39 test images.",
        IN_A_FOLD,
    ]
    assert which_tested(runs[2:]) == []


def test_a_shared_rate_is_said_to_be_chosen_for_no_encoder_and_searched_rates_are_listed() -> None:
    names = {"pretrained": "own pretraining", "file-lite0-12345678": "lite0"}
    shared = [evaluation("finetune", init, options={"lr": 0.1, "search_lr": False}) for init in names]
    words = rate_in_words(shared, "finetune", names)
    assert "All encoders had the same learning rate, 0.1. It was not chosen for each of them, and another network may" in words
    assert "--set finetune.search_lr=true" in words
    searched = [
        evaluation("finetune", init, options={"lr": None, "search_lr": True}, metrics={"rate": rate})
        for init, rate in zip(names, (0.06, 0.006), strict=True)
    ]
    assert "for each encoder on validation images, from the same four: own pretraining 0.06, lite0 0.006." in rate_in_words(
        searched, "finetune", names
    )
    assert rate_in_words(shared[:1], "finetune", names) == ""
    lost = [searched[0], evaluation("finetune", "file-lite0-12345678", metrics={"test_acc": 0.5}, options={"lr": 0.1})]
    assert rate_in_words(lost, "finetune", names) == ""
    few = [evaluation("finetune", init, label_fraction=part, metrics={"rate": 0.1 * part})
           for init in names for part in (1.0, 0.1)]  # fmt: skip
    assert rate_in_words(few, "finetune", names).endswith(
        "own pretraining on 100 % of the labels 0.1, own pretraining on 10 % of the labels 0.01, "
        "lite0 on 100 % of the labels 0.1, lite0 on 10 % of the labels 0.01."
    )
    assert rate_in_words([evaluation("linear", init, metrics={"rate": 1.0}) for init in names], "linear", names) == ""
    assert shared_rates(shared) == [
        "In fine-tuning all encoders had the same learning rate, which was not chosen for each of them."
    ]
    for none in (searched, shared[:1], lost, few, []):
        assert shared_rates(none) == []
