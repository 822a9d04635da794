"""Evaluations that differ in an option which no column shows are told apart by that option, everywhere."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sslcli.comparison import options_apart
from sslcli.comparison.comparison import choose, pretrain_setups
from sslcli.comparison.options_apart import settings_in_words
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli


def add(registry: Registry, init: str, accuracy: float, *, setup: str, seed: int = 1, **known: Any) -> Run:
    values = {"experiment": "knn", "protocol": "knn", "dataset": "shapes", "label_fraction": 1.0, "backbone": "resnet9"}
    pair = f"{setup}-{seed}"
    run = registry.create(f"{init}-x", status="finished", init=init, seed=seed, setup=setup, pair=pair, **values | known)
    run.metrics = {"test_acc": accuracy, "test_images": 1000}
    registry.save(run)
    return run


def add_pair(registry: Registry, *, setup: str, seed: int = 1, gain: float = 0.2, **known: Any) -> tuple[Run, Run]:
    parent = known.pop("parent", None)
    known["options"] = known.get("options", {}) | {"seed": seed}
    first = add(registry, "pretrained", 0.5 + gain, setup=setup, seed=seed, parent=parent, **known)
    return first, add(registry, "scratch", 0.5, setup=setup, seed=seed, **known)


def words(registry: Registry) -> dict[str, str]:
    chosen = choose(registry, study=None, everything=True).runs
    return dict(settings_in_words(registry, chosen, pretrain_setups(registry, chosen)))


FEW, MANY = {"k": 10, "temperature": None, "protocol": "knn"}, {"k": 200, "temperature": 0.1, "protocol": "knn"}


@pytest.fixture
def two(registry: Registry) -> list[Run]:
    """kNN with 10 and with 200 neighbours, pretrained and scratch."""
    return [*add_pair(registry, setup="few", options=FEW), *add_pair(registry, setup="many", gain=0.3, options=MANY)]


def test_neighbours_of_another_number_are_told_apart_by_it(registry: Registry, two: list[Run]) -> None:
    expected = ["k 10, temperature none"] * 2 + ["k 200, temperature 0.1"] * 2
    assert words(registry) == {run.id: word for run, word in zip(two, expected, strict=True)}


@pytest.mark.usefixtures("two")
def test_of_very_many_settings_no_record_is_read(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_apart, "MOST_SETTINGS", 4)
    assert words(registry)
    monkeypatch.setattr(options_apart, "MOST_SETTINGS", 3)
    monkeypatch.setattr(options_apart, "record_or_index", lambda *_: pytest.fail("a record is read"))
    assert words(registry) == {}


@pytest.mark.parametrize("style", ["table", "markdown"])
def test_the_table_has_a_column_for_what_differs(ssl: Cli, two: list[Run], style: str) -> None:
    shown = ssl(f"compare --format {style}").out.strip()
    answer = next(part for part in shown.split("\n\n") if "Does pretraining" in part)
    lines = [line for line in shown.replace(answer, "").splitlines() if "k 10, temp" in line or "k 200, temp" in line]
    assert "setting" in shown
    assert len(lines) == 6  # four runs and two differences
    wordings = {
        "table": ("{} +20.0 points (95 %", "{} +30.0 ("),
        "markdown": ("{}, yes, by 20.0 points", "{}, yes, by 30.0 points"),
    }
    for words, setting in zip(wordings[style], ("k 10, temperature none", "k 200, temperature 0.1"), strict=True):
        assert words.format(f"kNN ({setting})") in " ".join(answer.split())
    assert not any(run.id in answer for run in two)


def test_json_and_csv_have_it_too(ssl: Cli, two: list[Run]) -> None:
    found = json.loads(ssl("compare --format json").out)
    assert {row["run"]: row["setting"] for row in found["rows"]}[two[3].id] == "k 200, temperature 0.1"
    assert {difference["setting"] for difference in found["differences"]} == {
        "k 10, temperature none",
        "k 200, temperature 0.1",
    }
    rows = list(csv.DictReader(io.StringIO(ssl("compare --format csv").out)))
    assert {row["run"]: row["setting"] for row in rows}[two[0].id] == "k 10, temperature none"


@pytest.mark.usefixtures("two")
def test_the_report_has_it_in_its_answer_and_its_tables(ssl: Cli, registry: Registry) -> None:
    add_pair(registry, setup="few labels", label_fraction=0.1, options=FEW)
    add_pair(registry, setup="few labels, many", label_fraction=0.1, options=MANY)
    assert ssl("report --out page.html").code == 0
    page = Path("page.html").read_text()
    assert "kNN (k 200, temperature 0.1)" in page
    assert "kNN on 10 % of the labels (k 10, temperature none)" in page
    assert page.count("k 200, temperature 0.1") >= 8


def test_settings_that_nothing_can_be_taken_for_have_no_words(ssl: Cli, registry: Registry) -> None:
    add_pair(registry, setup="few", options=FEW)
    add_pair(registry, setup="few", seed=2, options=FEW)
    add_pair(registry, setup="linear", experiment="linear_eval", protocol="linear", options={"epochs": 30})
    add_pair(registry, setup="tenth", label_fraction=0.1, options=FEW | {"k": 5})
    add_pair(registry, setup="early", at_epoch=1, options=FEW | {"k": 7})
    assert words(registry) == {}
    assert "setting" not in ssl("compare").out


def test_nothing_is_read_where_there_is_nothing_to_tell_apart(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add_pair(registry, setup="few", options=FEW)
    add_pair(registry, setup="few", seed=2, options=FEW)
    monkeypatch.setattr(options_apart, "record_or_index", None)
    assert words(registry) == {}


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"epochs": 10}, {"epochs": 30}, ("epochs 10", "epochs 30")),
        ({"lr": 0.1, "batch_size": 8}, {"lr": 0.01, "batch_size": 8}, ("lr 0.1", "lr 0.01")),
        ({"augment": True}, {"augment": False}, ("augment on", "augment off")),
        ({"image_size": 32}, {"image_size": 64}, ("image size 32", "image size 64")),
        ({"labels": "a.csv"}, {"labels": "b.csv"}, ("labels a.csv", "labels b.csv")),
        ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2},
         ("a 1, b 1, c 1, d 1 and 1 more", "a 2, b 2, c 2, d 2 and 1 more")),
        ({"device": "cpu", "epochs": 1}, {"device": "cuda", "epochs": 2}, ("epochs 1", "epochs 2")),
        ({"epochs": 1}, {"epochs": 1, "newer_option": 5}, ("", "newer option 5")),
    ],
)  # fmt: skip
def test_any_option_that_differs_is_named(
    registry: Registry, one: dict[str, Any], other: dict[str, Any], expected: tuple[str, str]
) -> None:
    kind = {"experiment": "linear_eval", "protocol": "linear"}
    runs = [add_pair(registry, setup=str(number), options=options, **kind) for number, options in enumerate((one, other))]
    found = words(registry)
    assert tuple(found.get(pair[0].id, "") for pair in runs) == expected
    assert tuple(found.get(pair[1].id, "") for pair in runs) == expected


def test_evaluations_of_other_pretrainings_are_told_apart_by_those(ssl: Cli, registry: Registry) -> None:
    parents = [
        registry.create("pre", experiment="pretrain", status="finished", setup=f"p{n}", options={"epochs": n, "seed": 1})
        for n in (5, 50)
    ]
    first, scratch = add_pair(registry, setup="s", parent=parents[0].id, options=FEW)
    second = add(registry, "pretrained", 0.9, setup="s", parent=parents[1].id, options=FEW | {"seed": 1})
    assert words(registry) == {first.id: "pretraining's epochs 5", second.id: "pretraining's epochs 50"}
    assert scratch.id not in words(registry)
    assert "kNN (pretraining's epochs 50) +40.0 (" in " ".join(ssl("compare").out.split())


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ((4.0, 4.0), ["", ""]),
        ((1.0, 4.0), ["pretraining's minutes 1", "pretraining's minutes 4"]),
        ((None, None), ["pretraining's epochs 5, pretraining's lr 0.1", "pretraining's epochs 9, pretraining's lr 0.2"]),
    ],
)
def test_of_methods_with_minutes_the_minutes_count_and_not_the_steps_that_fit_nor_the_rate_that_was_tuned(
    registry: Registry, minutes: tuple[float | None, float | None], expected: list[str]
) -> None:
    found = []
    for method, given, epochs, lr in zip(("simclr", "byol"), minutes, (5, 9), (0.1, 0.2), strict=True):
        tried = [{"run": "trial", "options": {"rate": 0.5}, "val_knn": 0.4}]
        parent = registry.create(
            "pre", experiment="pretrain", status="finished", setup=method, method=method,
            options={"method": method, "epochs": epochs, "lr": lr, "batch_size": 256},
            choices={} if given is None else {"minutes": given, "settings": tried},
        )  # fmt: skip
        found.append(add(registry, "pretrained", 0.9, setup="s", parent=parent.id, method=method, options=FEW))
    told = words(registry)
    assert [told.get(run.id, "") for run in found] == expected


def test_data_that_differ_are_said_where_no_option_does(registry: Registry) -> None:
    pairs = [add_pair(registry, setup=digit, options=FEW, data={"sha256": digit * 64}) for digit in "ab"]
    assert [words(registry)[pair[0].id] for pair in pairs] == ["data aaaaaaaaaaaa", "data bbbbbbbbbbbb"]


def test_runs_without_a_record_are_told_apart_by_their_names(ssl: Cli, registry: Registry) -> None:
    for setup in "ab":
        for run in add_pair(registry, setup=setup):
            run.status, run.options = "published", {}
            registry.save(run)
    assert words(registry) == {}
    shown = ssl("compare").out
    assert "kNN (pretrained-x-" in shown


def test_a_lonely_run_of_another_setting_is_told_apart(registry: Registry) -> None:
    first = add(registry, "pretrained", 0.7, setup="few", options=FEW)
    second = add(registry, "scratch", 0.5, setup="many", options=MANY)
    assert words(registry) == {first.id: "k 10, temperature none", second.id: "k 200, temperature 0.1"}
