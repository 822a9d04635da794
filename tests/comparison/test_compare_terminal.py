"""What ssl compare prints in a terminal: lines that fit, the answer first and short, ids that can be typed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from sslcli.comparison.answer import brief_answer
from sslcli.comparison.printing import print_tables
from sslcli.console.messages import wrapped
from sslcli.evaluation.statistics import InitDifference, paired
from sslcli.runs.registry import Registry
from tests.conftest import Cli
from tests.made_differences import made_difference

ROOT = Path(__file__).parents[2]
PUBLISHED = Registry(ROOT)
STUDIES = sorted({run.study for run in PUBLISHED.runs() if run.study})
PRINTED = re.compile(r"^<!-- printed: ssl (?P<line>compare.*?) -->\n```text\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("columns", ["100", None])
@pytest.mark.parametrize("more", ["", " --all"])
@pytest.mark.parametrize("study", STUDIES)
def test_every_published_study_fits_100_columns_and_its_answer_comes_first_in_three_lines(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, study: str, more: str, columns: str | None
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    shown = ssl(f"compare --project {ROOT} --study {study}{more}")
    assert shown.code == 0
    assert max(map(len, (shown.out + shown.err).splitlines())) <= 100
    answer, *tables = shown.out.split("\n\n")
    assert answer.startswith("Does pretraining help?")
    assert len(answer.splitlines()) <= 3
    assert "Means over" in answer or "One seed" in answer
    assert not any("Does pretraining" in table for table in tables)


@pytest.mark.parametrize("study", STUDIES)
def test_every_figure_of_a_difference_stands_in_the_table(ssl: Cli, study: str) -> None:
    line = f"compare --project {ROOT} --study {study}"
    shown = ssl(line).out
    for found in json.loads(ssl(f"{line} --format json").out)["differences"]:
        rows = [row for row in shown.splitlines() if f"{100 * found['low']:+.2f} to {100 * found['high']:+.2f}" in row]
        assert any(row.lstrip(" 0123456789").startswith("difference") for row in rows)
        assert any(f"{100 * found['difference']:+.2f}" in row for row in rows)
        assert f"{found['pretrained']:.2%}" in shown
        assert f"{found['scratch']:.2%}" in shown


def test_a_shortened_id_is_the_end_of_one_run_alone_and_can_be_typed(ssl: Cli) -> None:
    shown = ssl(f"compare --project {ROOT} --study cifar10-cpu").out
    endings = re.findall(r"…([\w-]+)", shown)
    assert len(endings) > 40
    for ending in endings:
        (run,) = [run for run in PUBLISHED.runs() if run.id.endswith(f"-{ending}")]
        assert PUBLISHED.find(ending).id == run.id
    assert endings[0] in ssl(f"runs show {endings[0]} --project {ROOT}").out


def test_ids_that_end_alike_are_shortened_to_what_tells_them_apart(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ["pretrained-a-x1", "pretrained-b-x1", "scratch", "scratch-x2"]
    rows = [{"init": "pretrained", "test_acc": 0.5, "runs": [name], "setting": "x" * 70} for name in ids]
    print_tables({"kNN": rows}, ids=ids, room=100)
    assert re.findall(r"…(\S+)", capsys.readouterr().out) == ["a-x1", "b-x1", "scratch", "x2"]


def test_a_setting_of_many_words_is_folded_also_where_the_output_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    rows = [{"init": init, "test_acc": 0.5, "runs": [f"{init}-1"], "setting": words} for init in ("pretrained", "scratch")]
    print_tables({"kNN": rows}, ids=["pretrained-1", "scratch-1"], room=100)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    assert re.findall(r"word\d+", shown) == words.split() * 2


def test_a_row_of_seeds_names_its_runs_and_how_many_more_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"pretrained-{'x' * 80}-{number}" for number in range(5)]
    print_tables({"kNN": [{"init": "pretrained", "test_acc": 0.5, "runs": ids}]}, ids=ids, room=100)
    assert "…0, …1, …2 +2" in capsys.readouterr().out


def test_in_80_columns_no_published_table_is_folded(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = ssl(f"compare --project {ROOT} --study cifar10-cpu").out
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("95 % interval") == 5
    assert "…v6tb +1" in shown


def said(differences: list[InitDifference]) -> str:
    lines = brief_answer(differences, 100)
    assert len(lines) <= 3
    return " ".join(lines)


def test_a_brief_answer_says_every_interval_while_there_is_room() -> None:
    assert "In kNN, yes, by 10.0 points (95 % interval 8.0 to 12.0; 60.00% against 50.00%)." in said([made_difference(0.1)])
    few = [made_difference(value, experiment=name, protocol=None) for name, value in (("knn", 0.1), ("linear_eval", 0.2))]
    assert said([*few, made_difference(-0.01, experiment="finetune", protocol=None)]).startswith(
        "Does pretraining help? Yes: kNN +10.0 points (95 % interval +8.0 to +12.0), linear evaluation +20.0 (+18.0 to +22.0). "
        "No difference that can be told from chance: fine-tuning -1.0 (-3.0 to +1.0). One seed: "
    )
    assert "No, it costs accuracy: kNN on 10 % of the labels -10.0 (-12.0 to -8.0). One seed: " in said(
        [replace(few[1], label_fraction=0.5), made_difference(-0.1, label_fraction=0.1)]
    )


def test_a_longer_answer_names_what_is_no_gain_and_the_longest_counts() -> None:
    gains = [made_difference(0.1 + share, label_fraction=share) for share in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]
    found = said([*gains, made_difference(0.01, label_fraction=0.01)])
    assert "Yes in 7 of 8 comparisons, by 20.0 to 80.0 points." in found
    assert "told from chance: kNN on 1 % of the labels +1.0 points (95 % interval -1.0 to +3.0)." in found
    chance = [made_difference(0.01, label_fraction=share / 20) for share in range(1, 20)]
    found = said([*gains, *chance, made_difference(-0.1)])
    assert "Yes in 7 of 27 comparisons, by 20.0 to 80.0 points." in found
    assert "No, it costs accuracy in 1 of 27 comparisons" in found
    assert "told from chance in 19 of 27 comparisons." in found


def test_accuracies_that_were_chosen_on_the_test_images_are_named() -> None:
    found = [made_difference(0.1, metric="best_test_acc", label_fraction=share) for share in (1.0, 0.5, 0.1)]
    assert "Accuracies are of the best epoch on the test images." in said(found)
    assert "Some accuracies are of the best epoch on the test images." in said(
        [*found[:2], made_difference(0.1, label_fraction=0.2)]
    )


def test_the_names_of_many_studies_that_are_not_shown_fit_too(ssl: Cli, registry: Registry) -> None:
    known = {"experiment": "knn", "protocol": "knn", "status": "finished", "metrics": {"test_acc": 0.5, "test_images": 80}}
    for number in range(12):
        registry.create("run", **known, init="scratch", pair=f"p{number}", study=f"a-study-with-a-name-{number}")
    registry.create("run", **known, init="scratch", pair="p")
    shown = ssl("compare").err
    assert max(map(len, shown.splitlines())) <= 100
    assert "showing study a-study-with-a-name-11; there are also: 1 run of no study, study a-study-with-a-name-10" in " ".join(
        shown.split()
    )


def test_a_command_to_type_stays_in_one_line() -> None:
    command = "ssl probe --epochs 30 --init scratch"
    lines = wrapped(f"run-1 has no partner: there is no scratch run; to make it, type: {command}", 60)
    assert lines[-1] == f"type: {command}"
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("style", ["json", "csv", "markdown"])
def test_what_other_programs_read_is_not_narrowed(ssl: Cli, style: str) -> None:
    line = f"compare --project {ROOT} --study speedrun --format {style}"
    shown = ssl(line).out
    assert "pretrained-resnet9-wide-cifar10-s1-cyy3" in shown
    if style == "json":
        whole = json.loads(shown)
        assert whole.keys() >= {"rows", "differences", "answer", "without_duplicates"}
        assert whole["answer"].endswith("Means over 3 seeds; the intervals are over seeds and test images.")
        assert "runs" not in whole["rows"][0]
    if style == "markdown":
        assert "| data set | backbone | epochs | labels | init | method | seed | test accuracy | 95 % interval |" in shown
        assert "| +25.74 points | +24.01 to +27.47 | +25.67 points |" in shown
        assert "\n" not in shown[shown.index("Does pretraining help?") :].rstrip()


def test_others_weights_stand_beside_scratch_with_their_difference_and_interval(ssl: Cli, registry: Registry) -> None:
    known = {"experiment": "linear_eval", "protocol": "linear", "status": "finished", "dataset": "cifar10"}
    inits = {"pretrained": 7000, "scratch": 4000, "file-moco-v2-800ep-pretrain-0a1b2c3d": 8000}
    made = [
        registry.create(f"{init}-resnet50-cifar10-s1", **known, init=init, pair="p", setup="s", seed=1, label_fraction=1.0,
                        metrics={"test_acc": right / 10_000, "test_images": 10_000})
        for init, right in inits.items()
    ]  # fmt: skip
    made[2].both_right = {made[1].id: 3500}
    registry.save(made[2])
    shown = ssl("compare").out
    assert max(map(len, shown.splitlines())) <= 100
    expected = paired(8000, 4000, 3500, 10_000)
    theirs, below = shown[shown.rindex("\nmoco-v2-800ep-pretrain ") + 1 :].splitlines()[:2]
    assert "80.00%" in theirs
    assert below.split()[:5] == [
        "difference", "+40.00", f"{100 * expected.low:+.2f}", "to", f"{100 * expected.high:+.2f}"
    ]  # fmt: skip
    assert "linear evaluation (moco-v2-800ep-pretrain) +40.0 (" in " ".join(shown.split())


PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
QUOTED = [(page.name, match) for page in PAGES for match in PRINTED.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("page", "quoted"), QUOTED, ids=[page for page, _ in QUOTED])
def test_the_lines_that_a_page_quotes_are_those_that_the_published_runs_give(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, page: str, quoted: re.Match[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    shown = ssl(f"{quoted['line']} --project {ROOT}").out.splitlines()
    lines = [line for line in quoted["text"].splitlines() if line.strip() not in ("", "…")]
    places = [shown.index(line) for line in lines]
    assert len(lines) > 3, page
    assert places == sorted(places)


def test_the_readme_quotes_compare() -> None:
    assert any(page == "README.md" for page, _ in QUOTED)
