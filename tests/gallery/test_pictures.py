"""The pictures: each is captured as a figure, so that what it shows is checked, and read back as the file that it became."""

import json
import os
import re
import resource
import signal
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util.tensor_util import make_tensor_proto
from torch.utils.tensorboard import SummaryWriter

from sslcli.data.folder.own_images import read_images
from sslcli.data.sets import shapes
from sslcli.errors import UsageError
from sslcli.figures.canvas import save_picture
from sslcli.figures.curves import LOOKS, Curve, draw_curves
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.events import read_scalars
from tests.conftest import TINY, Cli, Once, Refused
from tests.kept_figures import keep_figures, write_nothing

Done = Callable[[str], Run]
PROBE = "--epochs 2 --batch-size 32"
FIVE = {"test_acc", "test_loss", "train_loss_epoch", "train_loss_step", "train_lr"}


drawn = pytest.mark.usefixtures("figures")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that are saved; each file is checked."""
    return keep_figures(monkeypatch, "gallery.curves", "gallery.predictions", "gallery.views", write=write_and_check)


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures that `ssl plots` would save: for tests of their points, not of the files."""
    return keep_figures(monkeypatch, "gallery.curves", write=write_nothing)


def write_and_check(figure: Figure, path: Path, *, description: str) -> None:
    save_picture(figure, path, description=description)
    check_file(path, figure)


def check_file(path: Path, figure: Figure) -> None:
    """A PNG of the figure's size under a lower-case name, not blank, with its title in the file."""
    assert re.fullmatch(r"[a-z0-9._/-]+", path.resolve().relative_to(Path.cwd()).as_posix())
    with Image.open(path) as picture:
        assert picture.size == pytest.approx(figure.get_size_inches() * 120, abs=1)
        assert picture.text["Title"] == figure.get_suptitle().encode("latin-1", "replace").decode("latin-1")  # type: ignore[attr-defined]
        pixels = np.asarray(picture.convert("L"))
    inked = (pixels < 200).mean()
    assert 0.002 < inked < 0.9
    figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height
    names = [text for axes in figure.axes for text in (axes.title, axes.xaxis.label, axes.yaxis.label) if text.get_text()]
    for text in [figure._suptitle, *names]:  # type: ignore[attr-defined]
        box = text.get_window_extent()
        assert min(box.x0, box.y0) >= -1, text.get_text()
        assert box.x1 <= width + 1, text.get_text()
        assert box.y1 <= height + 1, text.get_text()


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.fixture
def study(done: Done, once: Once[dict[str, Run]]) -> dict[str, Run]:
    """A pretrain run with kept checkpoints, and its evaluations."""

    def make_study() -> dict[str, Run]:
        runs = {"pretrain": done(f"pretrain {TINY} --epochs 3 --keep-every 1")}
        runs["linear pretrained"] = done(f"probe {PROBE}")
        runs["linear scratch"] = done(f"probe {PROBE} --init scratch")
        for epoch in (1, 2):
            runs[f"epoch {epoch}"] = done(f"probe {PROBE} --at-epoch {epoch}")
        runs["few pretrained"] = done("finetune --epochs 2 --label-fraction 0.5 --batch-size 32")
        runs["few scratch"] = done("finetune --epochs 2 --label-fraction 0.5 --batch-size 32 --init scratch")
        return runs

    return once(make_study)


def test_plots_draws_every_scalar_of_a_study(ssl: Cli, study: dict[str, Run], figures: dict[str, Figure]) -> None:
    result = ssl("plots")
    assert result.code == 0, result.err
    assert sorted(result.out.split()) == sorted(f"results/figures/{name}" for name in figures)
    for folder in ("linear_eval", "finetune_0p5"):
        assert {f"{folder}/{name}.png" for name in FIVE} <= figures.keys()
    assert {f"pretrain/{n}.png" for n in ("val_knn", "train_z_std", "train_loss_epoch", "accuracy_over_time")} <= figures.keys()
    figure = figures["linear_eval/test_acc.png"]
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "test accuracy (%)")
    pair = study["linear pretrained"], study["linear scratch"]
    assert labels(figure) == []
    assert {text.get_text() for text in axes.texts} == {"pretrained", "scratch"}
    assert all(text.get_position()[0] > 1 for text in axes.texts)  # beside the panel, where the lines end
    for line, run in zip(axes.lines, pair, strict=True):
        assert line.get_xdata().tolist() == [1, 2]
        assert line.get_ydata() == pytest.approx([100 * entry["test/acc"] for entry in run.history])
    assert any("1/sqrt(128) = 0.088" in label for label in labels(figures["pretrain/train_z_std.png"]))


@pytest.mark.usefixtures("study")
def test_plots_writes_each_figure_as_svg_too_if_asked(ssl: Cli, unwritten: dict[str, Figure]) -> None:
    result = ssl("plots --svg")
    assert result.code == 0, result.err
    names = result.out.split()
    stems = {name.removesuffix(".png") for name in names if name.endswith(".png")}
    assert set(names) == {f"{stem}{end}" for stem in stems for end in (".png", "_light.svg", "_dark.svg")}
    assert "<svg" in Path("results/figures/linear_eval/test_acc_dark.svg").read_text(encoding="utf-8")
    assert not set(unwritten) - {f"{stem.split('figures/')[1]}.png" for stem in stems}


def test_accuracy_over_time_shows_each_kept_epoch_and_scratch(
    ssl: Cli, registry: Registry, study: dict[str, Run], figures: dict[str, Figure]
) -> None:
    pretrained = registry.load(study["pretrain"])
    pretrained.device = "2 processes, each on Intel(R) Xeon(R) Platinum 8480+ Processor, 112 threads"
    registry.save(pretrained)
    assert ssl("plots").code == 0
    (axes,) = figures["pretrain/accuracy_over_time.png"].axes
    runs = [study[name] for name in ("linear scratch", "epoch 1", "epoch 2", "linear pretrained")]
    expected = [100 * run.metrics["test_acc"] for run in runs]
    assert axes.lines[0].get_xdata().tolist() == [0, 1, 2, 3]
    assert axes.lines[0].get_ydata() == pytest.approx(expected)
    assert axes.lines[1].get_ydata() == pytest.approx([100 * entry["val/knn"] for entry in study["pretrain"].history])
    assert axes.lines[2].get_ydata()[0] == pytest.approx(expected[0])
    (minutes,) = axes.child_axes
    clock = [0.0, *(entry["seconds"] / 60 for entry in study["pretrain"].history)]
    assert minutes._functions[0]([0, 1, 2, 3]) == pytest.approx(clock)
    assert "minutes" in minutes.get_xlabel()


def test_a_run_without_a_clock_has_no_curve_over_time(
    ssl: Cli, study: dict[str, Run], unwritten: dict[str, Figure], registry: Registry
) -> None:
    for entry in study["pretrain"].history:
        del entry["seconds"]
    registry.save(study["pretrain"])
    assert ssl("plots").code == 0
    assert "pretrain/val_knn.png" in unwritten
    assert "pretrain/accuracy_over_time.png" not in unwritten


def test_curves_differ_in_line_and_marker_and_in_grey() -> None:
    figure = draw_curves([Curve("a", [(0, 1), (1, 2)]), Curve("b", [(0, 2), (1, 1)], 1)], title="t", x_label="x", y_label="y")
    first, second = figure.axes[0].lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()
    grey = [np.dot([int(str(look["color"])[i : i + 2], 16) for i in (1, 3, 5)], (0.2989, 0.587, 0.114)) for look in LOOKS[:2]]
    assert abs(grey[0] - grey[1]) > 60


def test_a_long_noisy_curve_is_smoothed_and_says_so() -> None:
    points = [(float(i), float(i % 2)) for i in range(1000)]
    (plain,) = draw_curves([Curve("a", points)], title="t", x_label="x", y_label="y").axes[0].lines
    assert plain.get_ydata().tolist() == [y for _, y in points]
    figure = draw_curves([Curve("a", points)], title="t", x_label="x", y_label="y", noisy=True)
    raw, smooth = figure.axes[0].lines
    assert raw.get_ydata().tolist() == [y for _, y in points]
    assert "mean of 20 points" in labels(figure)[0]
    assert smooth.get_ydata() == pytest.approx(np.full(981, 0.5))
    assert (smooth.get_xdata()[0], smooth.get_xdata()[-1]) == (pytest.approx(9.5), pytest.approx(989.5))


def write(folder: Path, **series: list[float]) -> None:
    with SummaryWriter(str(folder)) as writer:
        for tag, values in series.items():
            for step, value in enumerate(values):
                writer.add_scalar(tag, value, step)


def test_every_point_is_read(tmp_path: Path) -> None:
    write(tmp_path, loss=[float(i) for i in range(12_000)])
    assert [value for _, value in read_scalars(tmp_path).points["loss"]] == list(range(12_000))


def test_event_files_of_another_program_are_drawn_under_lower_case_names(ssl: Cli, figures: dict[str, Figure]) -> None:
    for init in ("Pretrained", "Scratch"):
        write(Path("logs/Linear Eval") / init, Train_epoch=[2.0, 1.0], Train_Loss_step=[3.0, 2.0], Test_Acc=[40.0, 58.87])
    result = ssl("plots --logdir logs")
    assert result.code == 0, result.err
    names = ("train_loss_epoch", "train_loss_step", "test_acc")
    assert {f"linear_eval/{name}.png" for name in names} == figures.keys()
    figure = figures["linear_eval/test_acc.png"]
    assert labels(figure) == ["Pretrained", "Scratch"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx([40, 58.87])


def test_many_runs_leave_room_for_their_curves_and_each_has_its_own_unit(ssl: Cli, figures: dict[str, Figure]) -> None:
    for number in range(25):
        write(Path(f"logs/{'long name ' * 4}{number}"), test_acc=[0.5, 0.7] if number % 2 else [50.0, 70.0])
    assert ssl("plots --logdir logs").code == 0
    figure = figures["logs/test_acc.png"]
    assert len(labels(figure)) == 25
    (axes,) = figure.axes
    assert all(line.get_ydata().tolist() == pytest.approx([50, 70]) for line in axes.lines)
    assert axes.get_window_extent().height > 200
    assert axes.get_window_extent().y0 > figure.legends[0].get_window_extent().y1


def test_what_is_no_event_file_hinders_no_figure(ssl: Cli, tmp_path: Path, figures: dict[str, Figure]) -> None:
    write(tmp_path / "logs", loss=[1.0, 2.0], **{"x" * 300: [1.0]})
    (tmp_path / "logs" / "tfevents.folder").mkdir()
    (tmp_path / "logs" / "tfevents.link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "logs" / "tfevents.fifo")
    length = (1 << 40).to_bytes(8, "little")
    (tmp_path / "logs" / "tfevents.huge").write_bytes(length + masked_crc32c(length).to_bytes(4, "little") + b"abc")
    result = ssl("plots --logdir logs")
    assert result.code == 0, result.err
    assert result.err.count("not a file that can be read") == 3
    assert "tfevents.huge: cut off or damaged after 0 bytes" in result.err
    assert figures.keys() == {"logs/loss.png", f"logs/{'x' * 60}.png"}


def test_a_picture_never_takes_the_place_of_something_else(ssl: Cli, study: dict[str, Run], tmp_path: Path) -> None:
    Image.effect_noise((40, 40), 50).save(tmp_path / "own.png")
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    last = f"{study['pretrain'].folder}/checkpoints/last.pt"
    for line in (
        "predict --run latest --out registry.yaml", f"views --dataset shapes --out {last}",
        "predict --images own.png --out own.png", "predict --images ''", "predict --run latest --out ''",
    ):  # fmt: skip
        assert ssl(line).code == 2, line
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == whole


def test_both_forms_of_scalars_are_read(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(3):
            writer.add_scalar("new", step * 2.0, step, new_style=True)
    assert read_scalars(tmp_path).points == {"new": [(0, 0.0), (1, 2.0), (2, 4.0)]}


def record(content: bytes) -> bytes:
    """A record as it stands in an event file, its checksums right."""
    length = len(content).to_bytes(8, "little")
    return length + masked_crc32c(length).to_bytes(4, "little") + content + masked_crc32c(content).to_bytes(4, "little")


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign", "no event"])
def test_of_a_damaged_event_file_the_whole_part_is_drawn_and_the_loss_named(
    ssl: Cli, tmp_path: Path, figures: dict[str, Figure], damage: str
) -> None:
    write(tmp_path / "logs", loss=[1.0, 2.0, 3.0, 4.0])
    (path,) = (tmp_path / "logs").glob("*tfevents*")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-30] ^= 1
    foreign = {"foreign": b"no events", "no event": record(b"\xff no event")}
    path.write_bytes(foreign.get(damage, bytes(content[:-3] if damage == "cut" else content)))
    result = ssl("plots --logdir logs")
    assert path.name in result.err
    if damage in foreign:
        assert (result.code, "no scalars" in result.err) == (3, True)
    else:
        assert result.code == 0
        assert "cut off or damaged" in result.err
        assert figures["logs/loss.png"].axes[0].lines[0].get_ydata().tolist() == [1, 2, 3]


def test_what_cannot_be_drawn_is_said(ssl: Cli, tmp_path: Path) -> None:
    write(tmp_path / "odd", loss=[1.0, float("nan"), 2.0, float("inf")], Loss=[1.0])
    with SummaryWriter(str(tmp_path / "odd")) as writer:
        pair = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
        value = Summary.Value(tag="pair", tensor=make_tensor_proto([1.0, 2.0]), metadata=pair)
        writer.file_writer.add_summary(Summary(value=[value]), 0)
    result = ssl("plots --logdir odd")
    assert result.code == 0
    assert "2 points are not drawn of loss, since they are no finite numbers" in result.err
    assert len([line for line in result.out.splitlines() if "loss" in line]) == 2
    assert "1 points are not drawn of pair" in result.err
    write(tmp_path / "odd", loss=[1.0])
    assert "took back" in ssl("plots --logdir odd").err


def test_accuracies_of_others_have_a_unit(ssl: Cli, figures: dict[str, Figure]) -> None:
    write(Path("logs"), train_acc=[0.1, 0.5], val_knn=[20.0, 30.0])
    assert ssl("plots --logdir logs").code == 0
    for name, label, values in (("train_acc", "train accuracy (%)", [10, 50]), ("val_knn", "val knn (%)", [20, 30])):
        (axes,) = figures[f"logs/{name}.png"].axes
        assert axes.get_ylabel() == label
        assert axes.lines[0].get_ydata() == pytest.approx(values)


def test_an_epoch_that_was_cut_off_stands_where_it_ended(ssl: Cli, done: Done, unwritten: dict[str, Figure]) -> None:
    run = done(f"pretrain {TINY} --epochs 3 --max-steps 17 --keep-every 1")
    done(f"probe {PROBE}")
    done(f"probe {PROBE} --at-epoch 1")
    assert ssl("plots").code == 0
    expected = pytest.approx([1, 2, 17 / 7])
    assert run.epochs == pytest.approx(17 / 7, abs=1e-3)
    assert unwritten["pretrain/train_loss_epoch.png"].axes[0].lines[0].get_xdata().tolist() == expected
    linear, knn = unwritten["pretrain/accuracy_over_time.png"].axes[0].lines
    assert linear.get_xdata().tolist() == pytest.approx([1, 17 / 7])
    assert knn.get_xdata().tolist() == expected


def test_another_probe_takes_no_point_from_the_curve(ssl: Cli, study: dict[str, Run], unwritten: dict[str, Figure]) -> None:
    assert study["pretrain"].epochs == 3
    assert ssl("probe --epochs 3 --batch-size 32").code == 0
    assert ssl("plots").code == 0
    assert unwritten["pretrain/accuracy_over_time.png"].axes[0].lines[0].get_xdata().tolist() == [0, 1, 2, 3]


@pytest.mark.usefixtures("no_pictures")
def test_a_probe_of_an_early_epoch_alone_hides_no_study(ssl: Cli, unwritten: dict[str, Figure]) -> None:
    options = "--set pretrain.batch_size=32 --set pretrain.epochs=3 --set probe.epochs=2 --set finetune.max_steps=1"
    assert ssl(f"study {options} --set pretrain.keep_every=2").code == 0
    assert ssl("probe --at-epoch 2 --epochs 2 --batch-size 64").code == 0
    assert ssl("plots").code == 0
    assert "finetune/test_acc.png" in unwritten
    assert ssl("study --set probe.at_epoch=2").code == 2


def test_predict_shows_each_image_once_with_what_both_of_a_pair_say_and_the_whole_accuracies(
    ssl: Cli, study: dict[str, Run], figures: dict[str, Figure]
) -> None:
    result = ssl("predict --n 12 --seed 3")
    assert result.code == 0, result.err
    names = {"linear": "linear", "finetune_0p5": "few"}
    assert figures.keys() == {f"predictions/{name}.png" for name in names}
    shown = []
    for name, key in names.items():
        figure = figures[f"predictions/{name}.png"]
        panels = [axes for axes in figure.axes if axes.images]
        assert len(panels) == 12
        shown.append([np.asarray(axes.images[0].get_array()).tobytes() for axes in panels])
        for number, init in enumerate(("pretrained", "scratch")):
            run = study[f"{key} {init}"]
            said = [[text.get_text() for text in axes.texts if text.get_position()[0] == 0.5][number] for axes in panels]
            right = [axes for axes, text in zip(panels, said, strict=True) if text.split()[1] == axes.get_title()]
            assert [text.startswith("✓ ") for text in said] == [axes in right for axes in panels]
            accuracy = f"{run.metrics['test_acc']:.2%}"
            assert f"{init}: {len(right)} of 12 right here, {accuracy} of all 80 test images" in figure.get_suptitle()
            line = next(line for line in result.out.splitlines() if line.startswith(run.id))
            assert f"sample accuracy {len(right) / 12:.2%} ({len(right)} of 12), full test accuracy {accuracy}" in line
            assert "most predicted: " in line
            assert run.id in figure.get_supxlabel()
    assert shown == [shown[0]] * 2
    assert ssl("predict --n 12 --seed 4").code == 0
    other = figures["predictions/linear.png"]
    assert [np.asarray(axes.images[0].get_array()).tobytes() for axes in other.axes if axes.images] != shown[0]


def test_one_run_can_be_drawn_elsewhere(ssl: Cli, study: dict[str, Run], figures: dict[str, Figure]) -> None:
    assert ssl(f"predict --run {study['epoch 1'].id} --out here/one.png").code == 0
    assert "Linear evaluation after epoch 1, pretrained" in figures["here/one.png"].get_suptitle()
    assert ssl(f"predict --run {study['epoch 1'].id}").code == 0
    assert "predictions/linear_pretrained_e1.png" in figures


@pytest.mark.usefixtures("rough_pictures")
def test_the_text_of_a_grid_of_predictions_has_the_accuracy_in_per_cent(ssl: Cli, study: dict[str, Run]) -> None:
    run = study["epoch 1"]
    assert ssl(f"predict --run {run.id} --out one.png").code == 0
    with Image.open("one.png") as picture:
        said = picture.text["Description"]  # type: ignore[attr-defined]
    assert f"{run.id}: test accuracy {run.metrics['test_acc']:.2%}; most predicted" in said


@pytest.mark.usefixtures("study")
def test_the_original_studys_fault_can_be_shown_and_says_what_it_is(ssl: Cli, figures: dict[str, Figure]) -> None:
    result = ssl("predict --encoder-seed 9")
    assert result.code == 0, result.err
    assert figures.keys() == {"predictions/scratch_preds.png"}
    title = figures["predictions/scratch_preds.png"].get_suptitle()
    assert title.startswith("NOT A RESULT")
    assert "with the wrong random encoder (seed 9)" in title
    assert "not a result" in result.err
    assert "has collapsed" not in result.err
    assert ssl("predict --encoder-seed 1").code == 2
    assert ssl("probe --epochs 3 --batch-size 32").code == 0
    assert ssl("predict --encoder-seed 9").code == 0
    refused = ssl("predict --encoder-seed 9 --run latest")
    assert (refused.code, "a scratch encoder" in refused.err) == (3, True)


@drawn
def test_a_collapsed_classifier_is_called_so(ssl: Cli, study: dict[str, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    for bias, collapsed in ((0.0, False), (1e4, True)):
        with monkeypatch.context() as patch:
            original = torch.nn.Linear.forward
            shift = torch.zeros(10)
            shift[3] = bias
            patch.setattr(torch.nn.Linear, "forward", lambda self, x, f=original, s=shift: f(self, x) + s)
            result = ssl(f"predict --run {study['few pretrained'].id}")
        assert ("has collapsed" in result.err and "100.0% of all" in result.err) == collapsed


def test_own_pictures_are_classified(ssl: Cli, study: dict[str, Run], figures: dict[str, Figure], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    Image.new("L", (50, 20), 90).save(tmp_path / "mine" / "grey.png")
    Image.new("RGB", (20, 70), (200, 10, 10)).save(tmp_path / "mine" / "red $1 ü.jpg")
    (tmp_path / "mine" / "notes.txt").write_text("no picture")
    Image.new("RGBA", (32, 32)).save(tmp_path / "clear.png")
    result = ssl("predict --images mine clear.png")
    assert result.code == 0, result.err
    assert [line.split(":")[0] for line in result.out.splitlines()] == ["mine/grey.png", "mine/red $1 ü.jpg", "clear.png"]
    panels = [axes for axes in figures["predictions/images.png"].axes if axes.images]
    assert [np.asarray(axes.images[0].get_array()).shape for axes in panels] == [(32, 32, 3)] * 3
    assert [axes.get_title() for axes in panels] == ["grey.png", "red $1 ü.jpg", "clear.png"]
    assert study["linear pretrained"].id in result.err


@pytest.mark.usefixtures("study")
def test_own_pictures_are_seen_as_test_images_are(ssl: Cli, figures: dict[str, Figure], tmp_path: Path) -> None:
    assert ssl("predict --n 9").code == 0
    panels = [axes for axes in figures["predictions/linear.png"].axes if axes.images]
    for number, axes in enumerate(panels):
        Image.fromarray(np.asarray(axes.images[0].get_array())).save(tmp_path / f"{number}.png")
    assert ssl("predict --images " + " ".join(f"{number}.png" for number in range(9))).code == 0
    again = [axes for axes in figures["predictions/images.png"].axes if axes.images]
    assert [axes.get_xlabel() for axes in again] == [axes.texts[0].get_text()[2:] for axes in panels]


def test_views_shows_what_pretraining_sees(ssl: Cli, figures: dict[str, Figure]) -> None:
    line = "views --dataset shapes --n 3 --views 2 --view-sizes 16:0.5,32:0.5 --jitter 0 --grey 0 --crop-min 1 --flip 0"
    assert ssl(line).code == 0
    figure = figures["pretrain/views.png"]
    shapes = [np.asarray(axes.images[0].get_array()).shape[0] for axes in figure.axes]
    assert shapes == [32, 16, 16, 32, 32] * 3
    assert any("crop_min 1" in text.get_text() for text in figure.texts)
    first = [np.asarray(axes.images[0].get_array()).astype(float).mean() for axes in figure.axes[:5]]
    assert first == pytest.approx([first[0]] * 5, abs=6)  # nothing but a crop of nearly everything: the same picture
    figure.draw_without_rendering()
    brackets = [line.get_xdata() for line in figure.findobj(Line2D) if line.axes is None]
    places = [axes.get_position() for axes in figure.axes[:5]]
    for xs, (first, last) in zip(brackets, ((0, 0), (1, 2), (3, 4)), strict=True):
        assert (xs[0], xs[-1]) == pytest.approx((places[first].x0, places[last].x1))
    headings = [text for text in figure.texts if text.get_text().endswith(" px")]
    assert [text.get_text() for text in headings] == [
        "image\n32 px",
        "0 to 50 % of steps\n16 px",
        "50 to 100 % of steps\n32 px",
    ]
    assert all(xs[0] < text.get_position()[0] < xs[-1] for xs, text in zip(brackets, headings, strict=True))
    boxes = [text.get_window_extent() for text in figure.texts if text.get_text()]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(box.overlaps(other) for box, other in combinations(boxes, 2))


def test_views_of_a_run_takes_its_options(ssl: Cli, done: Done, figures: dict[str, Figure]) -> None:
    run = done(f"pretrain {TINY} --max-steps 1 --crop-min 0.5 --blur 0.25 --view-sizes 24")
    assert ssl(f"views --run {run.id} --n 2").code == 0
    figure = figures["pretrain/views.png"]
    notes = " ".join(text.get_text() for text in figure.texts)
    assert "crop_min 0.5" in notes
    assert "blur 0.25" in notes
    assert run.id in notes
    assert np.asarray(figure.axes[1].images[0].get_array()).shape == (24, 24, 3)


def test_views_of_a_run_are_not_mixed_with_options(ssl: Cli, done: Done) -> None:
    run = done(f"pretrain {TINY} --max-steps 1")
    result = ssl(f"views --run {run.id} --crop-min 0.9")
    assert (result.code, "--crop-min" in result.err) == (2, True)


def test_pictures_of_sixteen_bits_keep_their_tones(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 32).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (32, 1))).save(tmp_path / "deep.png")
    ((_, pixels),) = read_images([tmp_path / "deep.png"], size=32)
    assert pixels[0, 0].tolist() == pytest.approx((ramp / 257).tolist(), abs=1)
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(UsageError, match="floating-point"):
        read_images([tmp_path / "float.tiff"], size=32)


@pytest.mark.usefixtures("rough_pictures")
def test_a_study_makes_every_picture(ssl: Cli, tmp_path: Path) -> None:
    sizes = "--set pretrain.batch_size=32 --set pretrain.epochs=2 --set probe.epochs=2 --set finetune.epochs=1"
    result = ssl(f"study {sizes} --set pretrain.keep_every=1")
    assert result.code == 0, result.err
    made = {path.relative_to(tmp_path / "results").as_posix() for path in (tmp_path / "results").rglob("*.png")}
    for folder in ("linear_eval", "finetune", "finetune_0p1"):
        assert {f"figures/{folder}/{name}.png" for name in FIVE} <= made
    assert {"figures/pretrain/views.png", "figures/pretrain/accuracy_over_time.png"} <= made
    names = ("linear", "finetune", "finetune_0p1")
    assert {f"predictions/{name}.png" for name in names} <= made
    assert f"wrote {len(made)} pictures" in result.err


def test_bad_input_beside_runs_is_answered_too(
    ssl: Cli, refused: Refused, study: dict[str, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:800])
    refused(
        ("predict --n 81", 2, "at most the 80 test images"),
        ("predict --out x.png", 2, "--run"),
        (f"predict --run {study['pretrain'].id}", 2, "predicts no classes"),
        ("predict --images none.png", 2, "no picture"),
        ("predict --images cut.png", 2, "cut.png cannot be read as a picture"),
        ("predict --images nowhere.png", 3, "no such file"),
        ("predict --images empty", 3, "no picture in this folder"),
        ("predict --images whole.png --encoder-seed 3", 2, "leave it out"),
        ("plots --study nope", 3, "no study made here"),
    )
    monkeypatch.setattr(shapes, "TRAIN", 60)
    assert "at most the 60 images" in ssl("views --dataset shapes --n 61").err
    assert "is not the data that it was trained on" in ssl("predict").err
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("study")
def test_a_full_disk_leaves_no_half_picture(ssl: Cli, tmp_path: Path) -> None:
    assert ssl("views --dataset shapes").code == 0
    path = tmp_path / "results" / "figures" / "pretrain" / "views.png"
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        results = [ssl(line) for line in ("views --dataset shapes --seed 2", "plots", "predict")]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    for result in results:
        assert (result.code, "cannot be written" in result.err) == (3, True), result.err
    assert path.read_bytes() == before
    assert [found.name for found in (tmp_path / "results").rglob("*") if found.is_file()] == ["views.png"]


def test_published_numbers_have_no_pictures(ssl: Cli, registry: Registry) -> None:
    entry = {"id": "theirs", "experiment": "linear_eval", "status": "published", "metrics": {"test_acc": 0.5}}
    registry.index.write_text(f"runs:\n- {json.dumps(entry)}\n")
    for line in ("plots", "predict"):
        result = ssl(line)
        assert (result.code, "no runs with files" in result.err) == (3, True)
