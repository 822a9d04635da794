"""The program in Python: the commands' names and options, typed values, nothing printed where that is asked for."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

import sslcli
from sslcli.cli import COMMANDS
from sslcli.errors import StateError, UsageError
from sslcli.options.pretrain import Pretrain
from sslcli.python import NOT_HERE
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli

SMALL = {"dataset": "shapes", "backbone": "resnet9-small", "batch_size": 32, "optimizer": "sgd"}
FUNCTIONS = ("pretrain", "probe", "finetune", "compare", "study")
NOTEBOOK = Path(__file__).parents[2] / "docs" / "python.ipynb"


@pytest.fixture(autouse=True)
def project(ssl: Cli) -> None:
    """An empty project in the current folder, as the fixture `ssl` makes it."""


def test_importing_the_package_imports_no_torch() -> None:
    line = "import sslcli, sys; sslcli.Registry; print('torch' in sys.modules, sorted(sslcli.__all__))"
    out = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    wanted = ["Registry", "__version__", "compare", "finetune", "load_encoder", "pretrain", "probe", "study"]
    assert out == f"False {wanted}\n"
    with pytest.raises(AttributeError, match="has no attribute 'pretain'"):
        _ = sslcli.pretain


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_options_and_defaults_of_its_command(name: str) -> None:
    found = inspect.signature(getattr(sslcli, name)).parameters
    kind = COMMANDS[name].options
    wanted = {option.name: option.default for option in fields(kind) if option.init and option.name not in NOT_HERE}
    assert {key: parameter.default for key, parameter in found.items()} == wanted | {"quiet": False}


@pytest.mark.parametrize("notebook", [False, True])
def test_a_pair_is_made_and_compared_without_a_word(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notebook: bool
) -> None:
    """Also in a notebook, where rich would hand its lines to IPython, past stderr."""
    shown: list[object] = []
    monkeypatch.setattr("rich.console._is_jupyter", lambda: notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=shown.append))
    parent = sslcli.pretrain(**SMALL, epochs=1, quiet=True)
    runs = [sslcli.probe(encoder=parent.id, init=init, epochs=2, quiet=True) for init in ("pretrained", "scratch")]
    comparison = sslcli.compare(all=True, quiet=True)
    assert (*capfd.readouterr(), shown) == ("", "", [])
    assert isinstance(parent, Run)
    assert (parent.status, parent.options["epochs"], [run.init for run in runs]) == ("finished", 1, ["pretrained", "scratch"])
    assert [run.parent for run in runs] == [parent.id, None]
    (difference,) = comparison.differences
    assert difference.difference == pytest.approx(runs[0].metrics["test_acc"] - runs[1].metrics["test_acc"])
    assert [row.run for row in comparison.rows] == [run.id for run in runs]
    assert "in linear evaluation" in comparison.answer.lower()
    assert [run.id for run in Registry(tmp_path).runs()] == [parent.id, *(run.id for run in runs)]


def test_a_run_records_the_call_that_made_it_and_says_what_it_does(capfd: pytest.CaptureFixture[str]) -> None:
    run = sslcli.pretrain(**SMALL, epochs=1, name="mine")
    assert run.command == (
        "sslcli.pretrain(dataset='shapes', backbone='resnet9-small', batch_size=32, optimizer='sgd', epochs=1, name='mine')"
    )
    printed = capfd.readouterr()
    assert printed.out.startswith(f"{run.id}: ")
    assert f"wrote {run.checkpoint}" in printed.err


def test_an_option_given_with_its_default_counts_as_chosen() -> None:
    with pytest.raises(UsageError, match="--minutes with --epochs: accepted is one of them"):
        sslcli.pretrain(dataset="shapes", epochs=Pretrain.epochs, minutes=1, quiet=True)


def test_what_a_person_gets_wrong_is_an_error_with_the_accepted_values() -> None:
    with pytest.raises(UsageError, match=r"sslcli\.pretrain: no option 'optimzer'; did you mean 'optimizer'\?"):
        sslcli.pretrain(optimzer="sgd")
    with pytest.raises(UsageError, match=r"sslcli\.pretrain: --epochs takes a whole number, not 'two'"):
        sslcli.pretrain(epochs="two")
    with pytest.raises(UsageError, match=r"sslcli\.compare: only the command line has the option format"):
        sslcli.compare(format="json")
    with pytest.raises(StateError, match="ssl pretrain"):
        sslcli.probe(quiet=True)


def test_a_study_gives_its_page_and_its_numbers_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslcli.studies.study.save_pictures", lambda *_: None)
    preset = tmp_path / "small.yaml"
    preset.write_text(json.dumps({"pretrain": SMALL | {"epochs": 1}, "probe": {"protocol": "knn"}}))
    done = sslcli.study(preset=str(preset), quiet=True)
    assert (done.name, done.page) == ("small", tmp_path / "results" / "small.html")
    assert done.comparison is not None
    assert done.page.is_file()
    assert done.comparison == sslcli.compare(study="small")
    assert [found.scratch_run for found in done.comparison.differences] == [Registry(tmp_path).runs()[-1].id]
    before = [run.id for run in Registry(tmp_path).runs()]
    assert sslcli.study(preset=str(preset), quiet=True) == done
    assert [run.id for run in Registry(tmp_path).runs()] == before


def test_a_training_runs_in_a_thread_that_gets_no_signals() -> None:
    made: list[Run] = []
    thread = threading.Thread(target=lambda: made.append(sslcli.pretrain(**SMALL, epochs=1)))
    thread.start()
    thread.join()
    assert [run.status for run in made] == ["finished"]


def test_the_notebook_runs_from_its_first_cell_to_its_last(capfd: pytest.CaptureFixture[str]) -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    assert len(cells) >= 4
    assert "Does pretraining help?" in capfd.readouterr().out
    assert tuple(names["h"].shape) == (256,)  # type: ignore[attr-defined]
