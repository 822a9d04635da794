"""Every tag of any program's event files has a figure, a title and a lawful name of its own, in letters that can be read."""

import os
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from sslcli.figures import fonts
from sslcli.figures.canvas import new_figure, wrapped
from sslcli.gallery.curves import label_of
from sslcli.training.tags import name_of, names_of, plain
from tests.conftest import Cli
from tests.kept_figures import keep_figures


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that `ssl plots` saves."""
    return keep_figures(monkeypatch, "gallery.curves")


@pytest.fixture(autouse=True)
def _said_in_each_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "SAID", [])


LABELS = {
    "eval/accuracy": "eval accuracy (%)", "acceleration": "acceleration", "acc": "accuracy (%)", "vacc": "vacc",
    "test_acc": "test accuracy (%)", "acc/acc": "accuracy accuracy (%)", "Train_Loss_step": "train loss step",
    "valAcc": "val accuracy (%)", "accrual/rate": "accrual rate", "train/accuracy": "train accuracy (%)",
    "acc_loss": "accuracy loss", "sync": "sync", "val/knn": "val knn (%)", "Eval/Accuracy": "eval accuracy (%)",
    "accuracy_of_acc": "accuracy of accuracy (%)", "eval_accuracy": "eval accuracy (%)", "lr-Adam/pg1": "lr adam pg1",
}  # fmt: skip


@pytest.mark.parametrize(("tag", "label"), LABELS.items())
def test_a_label_has_whole_words_replaced_alone(tag: str, label: str) -> None:
    assert label_of(tag) == label


def test_accuracies_of_other_programs_are_per_cent_by_whole_words(ssl: Cli, drawn: dict[str, Figure]) -> None:
    tags = {"eval/accuracy": 50, "valAcc": 50, "vacc": 0.5, "acceleration": 0.5, "val/kNN": 50}
    with SummaryWriter("tb/run") as writer:
        for tag in tags:
            writer.add_scalar(tag, 0.5, 0)
    assert ssl("plots --logdir tb").code == 0
    for tag, value in tags.items():
        (axes,) = drawn[f"tb/{name_of(tag)}.png"].axes
        assert axes.lines[0].get_ydata().tolist() == [value], tag
        assert axes.get_ylabel().endswith(" (%)") == (value == 50), tag
    assert drawn["tb/eval_accuracy.png"].get_suptitle() == "tb: eval accuracy"


def test_only_what_is_called_a_loss_is_smoothed(ssl: Cli, drawn: dict[str, Figure]) -> None:
    with SummaryWriter("tb/run") as writer:
        for step in range(300):
            writer.add_scalar("glossy", step, step)
            writer.add_scalar("train/loss", step, step)
            writer.add_scalar("trainLoss", step, step)
    assert ssl("plots --logdir tb").code == 0
    smoothed = {name: len(figure.axes[0].lines) == 2 for name, figure in drawn.items()}
    assert smoothed == {"tb/glossy.png": False, "tb/train_loss.png": True, "tb/trainloss.png": True}


BASE = "metrics/validation/" + "a_long_group_of_metrics/" * 2
APART = [
    ["损失", "精度", "κ", "ошибка"],
    [BASE + "precision", BASE + "recall"],
    ["Loss", "loss", "LOSS", "lo ss"],
    ["a/b", "a_b", "a b", "a-b", "a//b", "/a/b/"],
    ["", "/", "...", "🔥", "🎯", "\n"],
    ["train\nloss", "train loss", "train\tloss"],
    ["loss/损失", "loss/精度", "loss"],
    ["con", "nul", "AUX", "com1", "lpt9.loss", "nul.png"],
    ["loss.", "loss..", "loss"],
    ["Train_epoch", "train/loss_epoch"],
    ["précision", "precision"],
    ["x" * 60 + "a", "x" * 60 + "b", "x" * 300, "x" * 60],
    ["a" * 52 + "loss", "a" * 52 + "Loss"],
]


@pytest.mark.parametrize("tags", APART, ids=lambda tags: repr(tags[0])[:20])
def test_every_tag_has_a_figure_of_its_own_under_a_lawful_name(ssl: Cli, drawn: dict[str, Figure], tags: list[str]) -> None:
    with SummaryWriter("tb/run") as writer:
        for number, tag in enumerate(tags):
            writer.add_scalar(tag, number, 0)
    result = ssl("plots --logdir tb")
    assert result.code == 0, result.err
    paths = [line.removeprefix("results/figures/tb/") for line in result.out.splitlines()]
    assert len({*paths}) == len(tags)
    for path in paths:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.png", path)
        assert not re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", path)
        assert len(path) <= 64
        assert (Path("results/figures/tb") / path).is_file()
    values = sorted(float(figure.axes[0].lines[0].get_ydata()[0]) for figure in drawn.values())
    assert values == list(range(len(tags)))
    titles = [figure.get_suptitle().replace("\n", " ") for figure in drawn.values()]
    assert len({*titles}) == len(tags) or tags[-1] in ("\n", "train\tloss")  # what is not printed tells no titles apart
    assert "not drawn" not in result.err


def test_a_title_keeps_the_tag(ssl: Cli, drawn: dict[str, Figure]) -> None:
    with SummaryWriter("tb/run") as writer:
        for tag in ("损失", "loss (mse)", BASE + "recall", "Loss", "loss"):
            writer.add_scalar(tag, 1.0, 0)
    assert ssl("plots --logdir tb").code == 0
    titles = {figure.get_suptitle().replace("\n", "").replace(" ", "") for figure in drawn.values()}
    assert titles == {f"tb:{tag.replace(' ', '')}" for tag in ("损失", "loss (mse)", BASE + "recall", "Loss", "loss")}


def test_a_name_does_not_depend_on_the_other_runs_of_a_figure(ssl: Cli, drawn: dict[str, Figure]) -> None:
    for run, tags in (("a", ["损失", "Train/Loss"]), ("b", ["损失", "精度", "train_loss"])):
        with SummaryWriter(f"tb/{run}") as writer:
            for tag in tags:
                writer.add_scalar(tag, 1.0, 0)
    assert ssl("plots --logdir tb").code == 0
    counts = {name: len(figure.axes[0].lines) for name, figure in drawn.items()}
    assert sorted(counts.values()) == [1, 2, 2]
    assert counts["tb/train_loss.png"] == 2  # the same but for case and separators, in no run both


def test_names_are_distinct_and_stable() -> None:
    assert names_of([["loss", "Loss"]])["loss"] == "loss"
    assert names_of([["损失"]]) == {"损失": names_of([["损失", "精度"]])["损失"]}
    assert names_of([["x" * 300]]) == {"x" * 300: "x" * 60}
    assert names_of([["Loss"], ["loss"]]) == {"Loss": "loss", "loss": "loss"}
    assert len({*names_of([["a+", "b"], ["a-", "b"]]).values()}) == 3
    assert plain("Größe", empty="tag") == "grosse"


def test_folders_whose_names_are_alike_have_figures_of_their_own(ssl: Cli) -> None:
    groups = ["损失", "精度", "Run A", "run_a", "con", "x" * 200, "x" * 199 + "y", "trailing."]
    for number, group in enumerate(groups):
        for run in ("_hidden", "other"):
            with SummaryWriter(f"logs/{group}/{run}") as writer:
                writer.add_scalar("loss", number, 0)
    result = ssl("plots --logdir logs")
    assert result.code == 0, result.err
    folders = [Path(line).parent.name for line in result.out.splitlines()]
    assert len({*folders}) == len(groups)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) and name not in ("con", "nul") for name in folders)
    assert not any(name.endswith(".") for name in folders)


def test_the_legend_names_every_run(ssl: Cli, drawn: dict[str, Figure]) -> None:
    for run in ("_hidden", "other"):
        with SummaryWriter(f"logs/{run}") as writer:
            writer.add_scalar("loss", 1.0, 0)
    assert ssl("plots --logdir logs").code == 0
    (legend,) = drawn["logs/loss.png"].legends
    assert [text.get_text().strip() for text in legend.get_texts()] == ["_hidden", "other"]


def test_a_folder_whose_name_is_no_text_is_said(ssl: Cli, drawn: dict[str, Figure]) -> None:
    for run in ("cafe", "other"):
        with SummaryWriter(f"logs/{run}") as writer:
            writer.add_scalar("loss", 1.0, 0)
    os.rename(b"logs/cafe", b"logs/caf\xe9")
    result = ssl("plots --logdir logs")
    assert (result.code, "only paths in UTF-8" in result.err) == (0, True)
    assert len(drawn["logs/loss.png"].axes[0].lines) == 1


def test_letters_without_a_font_are_said_once_and_warn_of_nothing(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(fonts, "SAID", [])
    monkeypatch.setattr(fonts, "families_with", lambda letters: ([], letters))
    with SummaryWriter("tb/run") as writer:
        for tag in ("损失", "精度", "loss"):
            writer.add_scalar(tag, 1.0, 0)
    result = ssl("plots --logdir tb")
    assert result.code == 0
    assert "Glyph" not in result.err
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    assert result.err.count("no font on this machine") == 1


def test_letters_are_taken_from_another_font_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = frozenset(map(chr, range(128)))
    monkeypatch.setattr(fonts, "letters_of", lambda path: frozenset("ж") | usual if "LiberationSans" in path else usual)
    monkeypatch.setattr(fonts.fontManager, "ttflist", [Font("Other", "o.ttf"), Font("Liberation Sans", "LiberationSans.ttf")])
    fonts.families_with.cache_clear()
    assert fonts.families_with("жы") == (["Liberation Sans"], "ы")
    figure = new_figure(2, 2)
    figure.suptitle("ж")
    fonts.make_legible(figure)
    assert figure._suptitle.get_fontfamily()[-1] == "Liberation Sans"  # type: ignore[attr-defined]
    fonts.families_with.cache_clear()


class Font:
    """What matplotlib knows of a font."""

    style, weight = "normal", 400

    def __init__(self, name: str, fname: str) -> None:
        self.name, self.fname = name, fname


def test_lines_are_no_longer_than_asked() -> None:
    assert wrapped("one two three", 7) == "one two\nthree"
    assert wrapped("损" * 10, 8) == "\n".join(["损" * 4, "损" * 4, "损" * 2])
    assert wrapped("a" * 10, 4) == "aaaa\naaaa\naa"
    assert wrapped("one\ntwo", 80) == "one\ntwo"
