"""What the comparison says, on runs made up for it."""

from typing import Any

import pytest

from sslcli.comparison.answer import answer
from sslcli.comparison.comparison import newest, results
from sslcli.comparison.differences import difference_of, pair_up
from sslcli.comparison.rows import tables
from sslcli.console.tables import print_rows
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli


def evaluation(init: str, accuracy: float, **known: Any) -> Run:
    values = {"experiment": "linear_eval", "status": "finished", "pair": "p", "seed": 1, "label_fraction": 1.0, **known}
    run = Run(id=f"{init}-{accuracy}", init=init, **values)
    run.metrics = {"test_acc": accuracy, "best_test_acc": accuracy + 0.01, "test_images": 10_000}
    return run


@pytest.mark.parametrize(
    ("pretrained", "scratch", "words"),
    [
        (0.65, 0.40, "yes, by 25.0 points (95 % interval 23.6 to 26.3; 65.00% against 40.00%)"),
        (0.88, 0.90, "no, it costs 2.0 points"),
        (0.8908, 0.8918, "no difference that can be told from chance (-0.1 points,"),
        (0.8918, 0.8908, "no difference that can be told from chance (+0.1 points,"),
    ],
)
def test_a_difference_is_called_a_gain_only_if_its_interval_excludes_zero(
    pretrained: float, scratch: float, words: str
) -> None:
    found = difference_of([(evaluation("pretrained", pretrained), evaluation("scratch", scratch))])
    assert found.difference == pytest.approx(pretrained - scratch)
    assert words in answer([found])


def test_pairs_are_runs_with_equal_options_and_the_newest_of_each_counts() -> None:
    old, new = evaluation("pretrained", 0.6), evaluation("pretrained", 0.7)
    scratch, other = evaluation("scratch", 0.4), evaluation("scratch", 0.5, pair="q")
    pairs, lonely = pair_up(newest([old, scratch, other, new], {}))
    assert [(a.id, b.id) for a, b in pairs] == [(new.id, scratch.id)]
    assert lonely == [other]


def test_a_seed_whose_pretraining_was_repeated_counts_once() -> None:
    known = {"setup": "s", "protocol": "linear"}
    runs = [
        evaluation("pretrained", 0.60, parent="first", **known),
        evaluation("pretrained", 0.70, parent="again", **known),
        evaluation("scratch", 0.40, **known),
        evaluation("pretrained", 0.80, parent="second", pair="q", **known | {"seed": 2}),
        evaluation("scratch", 0.50, pair="q", **known | {"seed": 2}),
    ]
    setups: dict[str, str | None] = dict.fromkeys(("first", "again", "second"), "pretraining")
    chosen = newest(runs, setups)
    rows = tables(chosen, results(chosen, setups).differences, setups)["linear evaluation"]
    shown = [(row["init"], row["seeds"], row["test_acc"]) for row in rows]
    assert shown == [
        ("pretrained", "1, 2", "75.00% ± 7.07"), ("scratch", "1, 2", "45.00% ± 7.07"), ("difference", "1, 2", "+30.00 points")
    ]  # fmt: skip
    everything = tables(runs, results(runs, setups).differences, setups)["linear evaluation"]
    assert [row["seeds"] for row in everything] == ["1", "1, 2", "1, 2", "1, 2"]


def test_a_pair_needs_an_accuracy_and_a_number_of_images_in_common() -> None:
    pretrained, scratch = evaluation("pretrained", 0.6), evaluation("scratch", 0.4)
    scratch.metrics["test_images"] = 80
    assert pair_up([pretrained, scratch]) == ([], [pretrained, scratch])
    scratch.metrics = {"test_acc": 0.4}
    pretrained.metrics = {"best_test_acc": 0.6}
    assert pair_up([pretrained, scratch]) == ([], [pretrained, scratch])


def test_the_newest_study_is_shown_unless_runs_outside_it_make_a_newer_pair(registry: Registry, ssl: Cli) -> None:
    def add(init: str, accuracy: float, **known: Any) -> None:
        made = vars(evaluation(init, accuracy, **known))
        registry.create(f"{init}-x", **{key: value for key, value in made.items() if key not in ("id", "created")})

    for init, accuracy in (("pretrained", 0.6), ("scratch", 0.4)):
        add(init, accuracy, study="first", protocol="linear")
        add(init, accuracy + 0.1, study="first", protocol="linear", at_epoch=1, pair=f"e{init}")
    add("pretrained", 0.9, pair="r", protocol="linear")
    shown = ssl("compare")
    assert "yes, by 20.0 points" in shown.out
    assert "showing study first; there are also: 1 run of no study" in shown.err
    assert ssl("compare --study first --all").out.count("-x-") == 4
    add("scratch", 0.5, pair="r", protocol="linear")
    assert "yes, by 40.0 points" in ssl("compare").out


def test_a_newer_study_without_a_finished_evaluation_is_named(registry: Registry, ssl: Cli) -> None:
    for init, accuracy in (("pretrained", 0.6), ("scratch", 0.4)):
        made = vars(evaluation(init, accuracy, study="first", protocol="linear"))
        registry.create(f"{init}-x", **{key: value for key, value in made.items() if key not in ("id", "created")})
    assert ssl("compare").err == ""
    registry.create("second-x", experiment="pretrain", status="running", study="second")
    for line in ("compare", "report", "report --svg svg"):
        told = " ".join(ssl(line).err.split())
        assert told.count("showing study first: second has no finished evaluation yet") == 1, line
        assert "type: ssl status --study second" in told, line
        assert "second" not in ssl(f"{line} --study first").err


def test_two_differences_of_one_kind_are_told_apart_by_their_runs() -> None:
    scratch = evaluation("scratch", 0.4)
    sentence = answer([difference_of([(evaluation("pretrained", accuracy), scratch)]) for accuracy in (0.5, 0.6)])
    assert "linear evaluation (pretrained-0.5), yes" in sentence
    assert "linear evaluation (pretrained-0.6), yes" in sentence


def test_few_labels_are_said_in_per_cent() -> None:
    few = [evaluation(init, accuracy, label_fraction=0.125) for init, accuracy in (("pretrained", 0.6), ("scratch", 0.4))]
    assert "on 12.5 % of the labels, yes" in answer([difference_of([(few[0], few[1])])])


def test_without_a_chosen_accuracy_the_best_over_epochs_is_compared() -> None:
    runs = [evaluation("pretrained", 0.6), evaluation("scratch", 0.4)]
    for run in runs:
        del run.metrics["test_acc"]
    found = difference_of([(runs[0], runs[1])])
    assert (found.metric, found.pretrained) == ("best_test_acc", 0.61)
    assert "In linear evaluation (best epoch on the test images), yes, by 20.0 points" in answer([found])


def test_tables_show_control_characters_and_markup_literally(capsys: pytest.CaptureFixture[str]) -> None:
    for style in ("table", "markdown"):
        print_rows([{"run": "a[red]b\x1b[31mc|d"}], {"run": "run"}, style=style)
        text = capsys.readouterr().out
        assert "\x1b" not in text
        assert "a[red]b?[31mc" in text


def test_a_piped_table_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"run": "x" * 150, "init": "y" * 90}], {"run": "run", "init": "init"}, style="table")
    assert "x" * 150 + "   " + "y" * 90 in capsys.readouterr().out
