"""Event files of any program: the points are those that TensorBoard shows, and every tag has a figure and a name of its own."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter

from sslcli.commands.plots import _label
from sslcli.pictures import fonts
from sslcli.pictures.canvas import new_figure, save_picture, wrapped
from sslcli.training import events
from sslcli.training.events import read_scalars
from sslcli.training.log import Log
from sslcli.training.tags import name_of, names_of, plain
from tests.conftest import Cli

Steps = list[tuple[int, float]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that `ssl plots` saves, by their paths' last two parts."""
    saved: dict[str, Figure] = {}

    def save(figure: Figure, path: Path, *, description: str) -> None:
        saved["/".join(path.parts[-2:])] = figure
        save_picture(figure, path, description=description)

    monkeypatch.setattr("sslcli.commands.plots.save_picture", save)
    return saved


def ordinary(step: int, tag: str, value: float) -> Event:
    return Event(wall_time=float(step), step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))


def as_tensor(step: int, tag: str, value: object, *, plugin: str | None = "scalars") -> Event:
    """A scalar as newer writers have it; where `plugin` is None without what it is, as after a tag's first point."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin)) if plugin else None
    found = Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=metadata)
    return Event(wall_time=float(step), step=step, summary=Summary(value=[found]))


def start(step: int) -> Event:
    return Event(wall_time=float(step), step=step, session_log=SessionLog(status=SessionLog.START))


def write_file(folder: Path, name: str, found: list[Event], *, version: str | None = "brain.Event:2", at: float = 0) -> None:
    """An event file of this name, begun `at` this time, with these events."""
    folder.mkdir(parents=True, exist_ok=True)
    head = [Event(wall_time=at, file_version=version)] if version else [Event(wall_time=at)]
    (folder / f"tfevents.{name}").write_bytes(b"".join(record(event.SerializeToString()) for event in [*head, *found]))


def record(content: bytes) -> bytes:
    length = len(content).to_bytes(8, "little")
    return length + masked_crc32c(length).to_bytes(4, "little") + content + masked_crc32c(content).to_bytes(4, "little")


def tensorboard_has(folder: Path) -> dict[str, Steps]:
    """The finite points of each tag in TensorBoard's own reader, by step."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    found = {tag: [(step, value) for step, value in points if math.isfinite(value)] for tag, points in found.items()}
    return {tag: sorted(points, key=lambda point: point[0]) for tag, points in found.items() if points}


def a_curve(steps: range, offset: float = 0.0, tag: str = "loss") -> list[Event]:
    return [ordinary(step, tag, step + offset) for step in steps]


LATER = 0.5  # added to what a later session writes
SESSIONS = {
    "a restart": [a_curve(range(16)), [start(10), *a_curve(range(10, 21), LATER)]],
    "a restart at a step between two": [a_curve(range(0, 30, 10)), [start(15), *a_curve(range(20, 50, 10), LATER)]],
    "a run resumed twice": [
        a_curve(range(16)), [start(10), *a_curve(range(10, 13), LATER)], [start(5), *a_curve(range(5, 9), 2 * LATER)]
    ],
    "a restart from the start": [a_curve(range(5)), [start(0), *a_curve(range(3), LATER)]],
    "a restart that wrote nothing yet": [a_curve(range(5)), [start(2)]],
    "a restart within a file": [[*a_curve(range(5)), start(3), *a_curve(range(3, 6), LATER)]],
    "a restart of many tags": [
        [*a_curve(range(9)), *a_curve(range(9), tag="acc")], [start(4), *a_curve(range(4, 6), LATER)]
    ],
    "the same step twice": [[*a_curve(range(3)), ordinary(2, "loss", 9.0)]],
    "steps out of order in one session": [[*a_curve(range(4, 8)), *a_curve(range(4), LATER)]],
    "numbers that are none": [
        [ordinary(0, "loss", math.nan), ordinary(1, "loss", 1.0), ordinary(2, "loss", math.inf), ordinary(3, "loss", -math.inf)]
    ],
    "a restart from a point that is no number": [a_curve(range(9)), [start(5), ordinary(5, "loss", math.nan)]],
    "huge steps": [[ordinary(2**62 + step, "loss", 1.0 + step) for step in range(0, 3000, 1000)]],
    "steps below zero": [[ordinary(step, "loss", 1.0) for step in range(-3, 3)]],
    "an empty tag": [[ordinary(0, "", 1.0)]],
}  # fmt: skip


def write_sessions(folder: Path, sessions: list[list[Event]]) -> None:
    for number, session in enumerate(sessions):
        write_file(folder, f"{number}", session, at=float(number))


@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=list(SESSIONS))
def test_the_points_are_those_of_tensorboard(tmp_path: Path, sessions: list[list[Event]]) -> None:
    write_sessions(tmp_path, sessions)
    assert read_scalars(tmp_path).series == tensorboard_has(tmp_path) != {}


@pytest.mark.parametrize("sessions", SESSIONS.values(), ids=list(SESSIONS))
def test_tensors_are_read_as_plain_values_are(tmp_path: Path, sessions: list[list[Event]]) -> None:
    """TensorBoard's reader knows no restart in tensors, so the plain values say what is right."""
    write_sessions(tmp_path / "plain", sessions)
    write_sessions(tmp_path / "tensors", [[in_tensors(event) for event in session] for session in sessions])
    assert read_scalars(tmp_path / "tensors").series == tensorboard_has(tmp_path / "plain")


def in_tensors(event: Event) -> Event:
    """The event as newer writers have it."""
    found = [(value.tag, value.simple_value) for value in event.summary.value]
    return as_tensor(event.step, *found[0]) if found else event


TENSORS = {
    "one number in a list": ([[as_tensor(0, "a", 1.0), as_tensor(1, "a", [3.0])]], {"a": [(0, 1.0), (1, 3.0)]}),
    "what it is said in the first file alone": (
        [[as_tensor(0, "a", 1.0)], [as_tensor(1, "a", 2.0, plugin=None)]], {"a": [(0, 1.0), (1, 2.0)]}
    ),
    "beside plain values": (
        [[ordinary(0, "a", 1.0), as_tensor(1, "a", 2.0), ordinary(0, "b", 0.5)]], {"a": [(0, 1.0), (1, 2.0)], "b": [(0, 0.5)]}
    ),
    "of other kinds of number": ([[as_tensor(0, "a", np.float16(1.5)), as_tensor(0, "b", np.int64(7))]],
                                 {"a": [(0, 1.5)], "b": [(0, 7.0)]}),
}  # fmt: skip


@pytest.mark.parametrize(("sessions", "expected"), TENSORS.values(), ids=list(TENSORS))
def test_a_tensor_of_one_number_is_a_scalar(tmp_path: Path, sessions: list[list[Event]], expected: dict[str, Steps]) -> None:
    write_sessions(tmp_path, sessions)
    assert read_scalars(tmp_path).series == expected


OLD = {
    "steps that go back": [*a_curve(range(16)), *a_curve(range(10, 20), LATER)],
    "steps that go back twice": [*a_curve(range(9)), *a_curve(range(5, 7), LATER), *a_curve(range(2, 3), 2 * LATER)],
    "steps that go back of one tag": [*a_curve(range(9), tag="acc"), *a_curve(range(9)), *a_curve(range(5, 7), LATER)],
    "a session's start": [*a_curve(range(16)), start(3), *a_curve(range(10, 20), LATER)],
    "the same step twice": [*a_curve(range(3)), ordinary(2, "loss", 9.0)],
}


@pytest.mark.parametrize("version", ["brain.Event:1", None, "no version", "brain.Event:2.5"])
@pytest.mark.parametrize("session", OLD.values(), ids=list(OLD))
def test_files_of_before_sessions_are_read_by_tensorboards_older_rule(
    tmp_path: Path, session: list[Event], version: str | None
) -> None:
    write_file(tmp_path, "0", session, version=version)
    assert read_scalars(tmp_path).series == tensorboard_has(tmp_path)


def test_points_that_a_restart_took_back_are_counted(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(16)))
    write_file(tmp_path, "1", [start(10), *a_curve(range(10, 21), LATER)], at=1)
    found = read_scalars(tmp_path)
    assert found.points == {"loss": [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 21)]}
    (loss,) = found.losses
    assert "6 points that a restart from an earlier step took back" in loss


def test_the_real_writers_restarts_are_read_as_tensorboard_reads_them(tmp_path: Path) -> None:
    for purge_step, steps in ((None, range(20)), (12, range(12, 15)), (7, range(7, 30))):
        with SummaryWriter(str(tmp_path), purge_step=purge_step, filename_suffix=f".{len(steps):02d}") as writer:
            for step in steps:
                writer.add_scalar("loss", step / len(steps), step)
                writer.add_scalar("acc", step, step)
    names = sorted(path.name for path in tmp_path.iterdir())
    for path, number in zip(sorted(tmp_path.iterdir(), key=events._began), (1, 2, 3), strict=True):
        path.rename(tmp_path / f"{number}.tfevents")
    assert len(names) == 3
    found = read_scalars(tmp_path).series
    assert found == tensorboard_has(tmp_path)
    assert [step for step, _ in found["loss"]] == list(range(30))


def test_a_restart_that_does_not_say_so_takes_back_what_it_goes_through_again(tmp_path: Path) -> None:
    write_file(tmp_path, "0", [*a_curve(range(16)), *a_curve(range(16), tag="other")], at=100)
    write_file(tmp_path, "1", a_curve(range(10, 13), LATER), at=200)
    found = read_scalars(tmp_path)
    assert found.series["loss"] == [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 13)]
    assert found.series["other"] == [(s, s) for s in range(16)]
    assert any("6 points" in loss for loss in found.losses)
    write_file(tmp_path, "2", a_curve(range(4, 6), 2 * LATER), at=300)
    assert read_scalars(tmp_path).series["loss"] == [(s, s) for s in range(4)] + [(4, 5.0), (5, 6.0)]


def test_files_count_in_the_order_in_which_they_were_begun(tmp_path: Path) -> None:
    write_file(tmp_path, "b-first", a_curve(range(16)), at=100)
    write_file(tmp_path, "a-second", [start(10), *a_curve(range(10, 13), LATER)], at=200)
    assert read_scalars(tmp_path).series["loss"] == [(s, s) for s in range(10)] + [(s, s + LATER) for s in range(10, 13)]


def test_a_file_that_goes_on_where_the_last_ended_loses_nothing(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(5)), at=100)
    write_file(tmp_path, "1", a_curve(range(5, 9)), at=200)
    assert read_scalars(tmp_path).series == {"loss": [(s, s) for s in range(9)]}
    assert not read_scalars(tmp_path).losses


def test_an_empty_file_and_a_record_cut_off_hinder_nothing(tmp_path: Path) -> None:
    write_file(tmp_path, "0", a_curve(range(16)), at=100)
    write_file(tmp_path, "1", [start(10), *a_curve(range(10, 13), LATER)], at=200)
    (tmp_path / "tfevents.2").touch()
    path = tmp_path / "tfevents.1"
    path.write_bytes(path.read_bytes()[:-5])
    found = read_scalars(tmp_path)
    assert found.series["loss"] == [(s, s) for s in range(10)] + [(10, 10 + LATER), (11, 11 + LATER)]
    assert [loss for loss in found.losses if "tfevents.2" in loss] == []
    assert any("tfevents.1: cut off or damaged" in loss for loss in found.losses)


@pytest.mark.parametrize("value", ["text", b"bytes", [1.0, 2.0], [], 1j], ids=str)
def test_a_tensor_that_is_not_one_number_is_said_and_not_drawn(tmp_path: Path, value: object) -> None:
    write_file(tmp_path, "0", [as_tensor(0, "odd", value), *a_curve(range(2))])
    found = read_scalars(tmp_path)
    assert found.series.keys() == {"loss"}
    assert any("1 points are not drawn of odd" in loss for loss in found.losses)


def test_a_histogram_is_no_scalar(tmp_path: Path) -> None:
    write_file(tmp_path, "0", [as_tensor(0, "weights", 1.0, plugin="histograms")])
    assert read_scalars(tmp_path).series == {}


def test_a_run_of_ours_that_goes_on_from_a_checkpoint_has_each_step_once(tmp_path: Path) -> None:
    for begin, value in ((0, 1.0), (5, 2.0)):
        keywords = {"steps": 10, "epoch_steps": 5, "batch_size": 1, "record_every": 1}
        with Log("run", events=tmp_path, start=begin, **keywords) as log:  # type: ignore[arg-type]
            for step in range(begin + 1, 9 + begin // 5):
                log.step(step, loss=value, lr=0.1)
    expected = [(step, 1.0) for step in range(1, 6)] + [(step, 2.0) for step in range(6, 10)]
    assert read_scalars(tmp_path).series["train/loss_step"] == expected
    assert tensorboard_has(tmp_path)["train/loss_step"] == expected


LABELS = {
    "eval/accuracy": "eval accuracy (%)", "acceleration": "acceleration", "acc": "accuracy (%)", "vacc": "vacc",
    "test_acc": "test accuracy (%)", "acc/acc": "accuracy accuracy (%)", "Train_Loss_step": "train loss step",
    "valAcc": "val accuracy (%)", "accrual/rate": "accrual rate", "train/accuracy": "train accuracy (%)",
    "acc_loss": "accuracy loss", "sync": "sync", "val/knn": "val knn (%)", "Eval/Accuracy": "eval accuracy (%)",
    "accuracy_of_acc": "accuracy of accuracy (%)", "eval_accuracy": "eval accuracy (%)", "lr-Adam/pg1": "lr adam pg1",
}  # fmt: skip


@pytest.mark.parametrize(("tag", "label"), LABELS.items())
def test_a_label_has_whole_words_replaced_alone(tag: str, label: str) -> None:
    assert _label(tag) == label


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
    monkeypatch.setattr(fonts, "_SAID", [])
    monkeypatch.setattr(fonts, "families_with", lambda letters: ([], letters))
    with SummaryWriter("tb/run") as writer:
        for tag in ("损失", "精度", "loss"):
            writer.add_scalar(tag, 1.0, 0)
    result = ssl("plots --logdir tb")
    assert result.code == 0
    assert "Glyph" not in result.err
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
    assert result.err.count("no font of this machine") == 1


def test_letters_are_taken_from_another_font_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = frozenset(map(chr, range(128)))
    monkeypatch.setattr(fonts, "_letters_of", lambda path: frozenset("ж") | usual if "LiberationSans" in path else usual)
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


@pytest.fixture(autouse=True)
def _said_in_each_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_SAID", [])
