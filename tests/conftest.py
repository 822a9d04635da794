"""Shared by all tests: the command line in this process, and a small data set so that a training takes a second."""

from __future__ import annotations

import copy
import gc
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from sslcli.cli import main
from sslcli.data.sets import patchwork, shapes
from sslcli.models import BACKBONES
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import device
from sslcli.workflows import representations
from tests.layouts import lay_out

os.environ.pop("COLUMNS", None)  # pytest-xdist sets it: lines would be as long as they are where the tests were started
torch.set_num_threads(1)  # two workers share the machine; on pictures as small as these more threads gain nothing

NEEDS_ONNX = pytest.mark.skipif(torch.__version__ < "2.7", reason="torch 2.6 writes no ONNX")
TINY = "--dataset shapes --backbone resnet9-small --batch-size 32 --epochs 1 --optimizer adamw"


DEVICES = {"gpu": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
"""Marker of a test to whether this machine has the device that it needs. Nothing else decides on skipping such a test."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With -m gpu, or -m mps, a file without such a test is not read: the machine may lack what it imports."""
    asked = config.getoption("markexpr")
    if asked not in DEVICES or not collection_path.match("test_*.py"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    return None if f"mark.{asked}" in text or "accelerator" in text else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of a device that is not here is skipped, and says so."""
    missing = [mark for mark, is_there in DEVICES.items() if not is_there()]
    for item in items:
        for mark in missing:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"torch finds no device for the tests marked {mark}"))


@pytest.fixture(params=[pytest.param("cuda", marks=pytest.mark.gpu), pytest.param("mps", marks=pytest.mark.mps)])
def accelerator(request: pytest.FixtureRequest) -> torch.device:
    """A GPU of each kind, one after the other."""
    return torch.device(request.param)


def pytest_collection_finish() -> None:
    """The garbage collector does not look again through all that the imports have made, which stays to the end."""
    gc.collect()
    gc.freeze()


@dataclass
class Result:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]
Refused = Callable[..., None]
T = TypeVar("T")
Make = Callable[..., tuple[Tensor, Tensor]]


def _made_once(make: Make) -> Make:
    """The maker of a data set's pictures, which makes each set of them once and then gives copies."""
    made = cache(make)
    return lambda count, *, seed: tuple(part.clone() for part in made(count, seed=seed))  # type: ignore[return-value]


MAKERS = [
    (shapes, "make_shapes", _made_once(shapes.make_shapes)),
    (patchwork, "make_patchwork", _made_once(patchwork.make_patchwork)),
]


@pytest.fixture(autouse=True)
def _small_and_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made data of 240 training and 80 test pictures; one core; an empty current folder; no settings of the person's own.

    No write waits for the disk, which no test can see: only a power cut would show it.
    """
    monkeypatch.setattr(os, "fsync", os.fstat)
    monkeypatch.setattr(device, "usable_cores", lambda: 1)
    for made, name, make in MAKERS:
        monkeypatch.setattr(made, "TRAIN", 240)
        monkeypatch.setattr(made, "TEST", 80)
        monkeypatch.setattr(made, name, make)
    representations.COMPUTED.clear()
    monkeypatch.chdir(tmp_path)
    for name in ("SSL_PROJECT", "SSL_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ssl(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line, `ssl("probe --init scratch")`, in this process."""

    def run(line: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main(shlex.split(line))
        code = stopped.value.code
        out, err = capfd.readouterr()
        return Result(code if isinstance(code, int) else int(code is not None), out, err)

    return run


@pytest.fixture
def refused(ssl: Cli) -> Refused:
    """Check what is refused: command lines, each with its exit code and words of its message."""

    def check(*lines: tuple[str, int, str]) -> None:
        for line, code, words in lines:
            result = ssl(line)
            assert (result.code, words in result.err) == (code, True), (line, result.err)

    return check


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """The registry of the current folder."""
    return Registry(tmp_path)


@pytest.fixture
def done(ssl: Cli, registry: Registry) -> Callable[[str], Run]:
    """Run a command that must succeed; returns the whole record of the newest run."""

    def run(line: str) -> Run:
        result = ssl(line)
        assert result.code == 0, result.err
        return registry.load(registry.find("latest"))

    return run


Once = Callable[[Callable[[], T]], T]
_KEPT: dict[str, tuple[Path, Any]] = {}


@pytest.fixture
def once(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Once[Any]:
    """Runs that many tests begin with: `once(make)` makes them in the first, and copies them into the others' folders."""

    def get(make: Callable[[], T]) -> T:
        if (name := f"{make.__module__}.{make.__qualname__}") not in _KEPT:
            runs = make()
            kept = tmp_path_factory.mktemp("kept")
            _copy(tmp_path, kept)
            _KEPT[name] = kept, copy.deepcopy(runs)
            return runs
        kept, runs = _KEPT[name]
        _copy(kept, tmp_path)
        return copy.deepcopy(runs)

    return get


@pytest.fixture
def done_once(done: Callable[[str], Run], once: Once[Run]) -> Callable[[str], Run]:
    """Like `done`, for a line that needs no file of the test's: the first test runs it, the others get copies of its run."""

    def run(line: str) -> Run:
        def make() -> Run:
            return done(line)

        make.__qualname__ = line  # under which `once` keeps what it makes
        return once(make)

    return run


@pytest.fixture
def pretrained(done_once: Callable[[str], Run]) -> Run:
    """A finished pretrain run of the options TINY, which is made once and copied into each test's project."""
    return done_once(f"pretrain {TINY}")


def _copy(project: Path, to: Path) -> None:
    """Copy a project's registry and runs."""
    shutil.copytree(project / "runs", to / "runs")
    shutil.copy2(project / "registry.yaml", to)


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like the official one with 20 images a file, and the checksums that fit it."""
    lay_out("cifar10", tmp_path / "data", monkeypatch)
    return tmp_path / "data"


@pytest.fixture
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights were ever downloaded: torch keeps them in a folder that is not there."""
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies draw nothing, nor do their reports: for tests of their trainings.

    What they draw is tested in test_pictures, what a report draws in test_report and test_quality.
    """
    monkeypatch.setattr("sslcli.studies.study.save_pictures", lambda *_: None)
    monkeypatch.setattr("sslcli.report.page.quality_figures", lambda *_: [])


@pytest.fixture
def rough_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures have a ninth of the pixels, and their parts stand where they fall: for tests of which pictures there are.

    How they look is tested in test_pictures and test_picture_kinds.
    """
    monkeypatch.setattr("sslcli.figures.canvas.DPI", 40)
    monkeypatch.setattr("matplotlib.layout_engine.ConstrainedLayoutEngine.execute", lambda *_: None)


@pytest.fixture
def narrow_resnet18(monkeypatch: pytest.MonkeyPatch) -> None:
    """ResNet-18 has few channels: for tests of whole recipes, each step of which any net shows."""
    monkeypatch.setitem(BACKBONES, "resnet18", replace(BACKBONES["resnet18"], build="tests.narrow_nets:resnet18"))
