"""The picture of a ranking: which methods it shows in which order, and what it shows of each."""

from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from sslcli.figures.by_method import LEGEND, MethodRow, draw_methods
from sslcli.figures.palette import LIGHT
from sslcli.gallery.methods import save_methods
from sslcli.runs.registry import Registry
from tests.benchmarks import league

ROWS = [
    MethodRow("vicreg", 60.0, [59.0, 60.0, 61.0], None, None, False),
    MethodRow("simclr", 59.5, [59.0, 59.5, 60.0], 58.0, 61.0, False),
    MethodRow("byol", 50.0, [49.0, 50.0, 51.0], 48.5, 51.5, True),
]


def test_worse_methods_have_another_colour_and_those_beside_the_best_are_hollow() -> None:
    figure = draw_methods(ROWS, title="Methods", subtitle="three seeds", scratch=45.0)
    (axes,) = figure.axes
    means = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in means] == [(60.0, 0), (59.5, 1), (50.0, 2)]
    assert [to_hex(line.get_color()) for line in means] == [LIGHT.gain, LIGHT.gain, LIGHT.loss]
    assert [to_hex(line.get_markerfacecolor()) for line in means] == [LIGHT.gain, LIGHT.card, LIGHT.loss]
    bars = [line for line in axes.lines if line.get_marker() == "None" and len(set(line.get_xdata())) == 2]
    assert [tuple(line.get_xdata()) for line in bars] == [(58.0, 61.0), (48.5, 51.5)]
    low, high = axes.get_xlim()
    assert low < 45.0
    assert high > 61.0
    assert {"vicreg", "simclr", "byol", "60.0", "59.5", "50.0", "scratch 45.0"} <= {text.get_text() for text in axes.texts}
    assert LEGEND in {text.get_text() for text in figure.texts}


@pytest.fixture
def study(registry: Registry) -> Registry:
    """Two methods and scratch with two seeds each, evaluated on all labels and with kNN, of which only numbers are here."""
    right = {"simclr": 600, "dino": 300, "scratch": 200}
    for seed in (1, 2):
        for method, count in right.items():
            init = "scratch" if method == "scratch" else "pretrained"
            parent = None
            if init == "pretrained":
                parent = registry.create(
                    method, experiment="pretrain", status="finished", study="s", method=method, seed=seed, setup=method,
                    metrics={"seconds": 30.0 * seed}, history=[{"epoch": 1, "step": 100}],
                ).id  # fmt: skip
            for protocol, experiment in (("linear", "linear_eval"), ("knn", "knn")):
                registry.create(
                    f"{method}-{protocol}", experiment=experiment, status="finished", study="s", protocol=protocol, init=init,
                    method=None if init == "scratch" else method, dataset="shapes", label_fraction=1.0, seed=seed,
                    parent=parent, pair=f"{protocol}{seed}", setup=protocol,
                    metrics={"test_acc": (count + 10 * seed) / 1000, "test_images": 1000},
                )  # fmt: skip
    return registry


def test_a_picture_names_what_is_ranked_and_the_images_that_were_tested(
    study: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, str]] = []
    monkeypatch.setattr("sslcli.gallery.methods.draw_methods", lambda _, **words: told.append(words))
    monkeypatch.setattr("sslcli.gallery.methods.save_picture", lambda *_, **__: None)
    save_methods(study, "s", out=tmp_path)
    assert [words["title"] for words in told] == ["Methods in linear evaluation: shapes", "Methods in kNN: shapes"]
    assert all(words["subtitle"].startswith("On 1,000 test images. Each method: mean over 2 seeds. ") for words in told)


@pytest.mark.usefixtures("rough_pictures")
def test_each_ranking_of_a_study_has_a_picture_and_one_method_has_none(study: Registry, tmp_path: Path) -> None:
    written = save_methods(study, "s", out=tmp_path / "figures")
    assert sorted(path.name for path in written) == ["knn.png", "linear.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    study.remove({run.id for run in study.runs() if run.method == "dino"})
    assert save_methods(study, "s", out=tmp_path / "figures") == []


def test_two_settings_of_a_protocol_have_a_picture_each_with_their_own_scratch(
    study: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for init, method, count in (("pretrained", "simclr", 500), ("pretrained", "dino", 400), ("scratch", None, 100)):
        study.create(
            f"{method or init}-knn-200", experiment="knn", status="finished", study="s", protocol="knn", init=init,
            method=method, dataset="shapes", label_fraction=1.0, seed=1, pair="knn200", setup="knn 200", options={"k": 200},
            parent=next((run.id for run in study.runs() if run.experiment == "pretrain" and run.method == method), None),
            metrics={"test_acc": count / 1000, "test_images": 1000},
        )  # fmt: skip
    for run in [run for run in study.runs() if run.setup == "knn"]:
        record = study.load(run)
        record.options = {"k": 10}
        study.save(record)
    drawn: dict[str, float] = {}

    def note(_: object, *, title: str, scratch: float, **__: object) -> None:
        drawn[title] = scratch

    monkeypatch.setattr("sslcli.gallery.methods.draw_methods", note)
    monkeypatch.setattr("sslcli.gallery.methods.save_picture", lambda *_, **__: None)
    written = save_methods(study, "s", out=tmp_path)
    assert {path.name for path in written} == {"linear.png", "knn_k_10.png", "knn_k_200.png"}
    assert drawn == {
        "Methods in linear evaluation: shapes": pytest.approx(21.5),
        "Methods in kNN (k 10): shapes": pytest.approx(21.5),
        "Methods in kNN (k 200): shapes": pytest.approx(10.0),
    }


def test_the_table_of_the_docs_has_a_row_for_each_method_and_scratch_last(
    study: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert league.main(["--project", str(study.root), "--study", "s"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| method | linear evaluation | kNN | pretraining | steps | s/step | memory |",
        "|---|---:|---:|---:|---:|---:|---:|",
        "| `simclr` | **61.5 ± 0.7** | **61.5 ± 0.7** | 45 s | 100 | 0.450 |  |",
        "| `dino` | 31.5 ± 0.7 | 31.5 ± 0.7 | 45 s | 100 | 0.450 |  |",
        "| scratch | 21.5 ± 0.7 | 21.5 ± 0.7 | | | | |",
    ]
