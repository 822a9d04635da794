"""Runs survive what a machine does to them: real processes, real signals, real limits.

SSL_KILLS=60 kills sixty times at random rather than the few that fit every day's tests.
"""

import contextlib
import gc
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import threading
from collections import Counter
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from sslcli.files import write_text
from sslcli.models import BACKBONES, Backbone
from sslcli.runs import registry as registry_module
from sslcli.runs.index import index_text
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import lifecycle, log
from sslcli.training.checkpoint import load_checkpoint
from sslcli.training.events import read_scalars
from tests import forked, survival
from tests.conftest import TINY, Cli
from tests.measuring import PATIENCE, lasting, opened, parse_lines, timed, times_as_long, wait_until

KILLS = int(os.environ.get("SSL_KILLS", "9"))
LINES = {
    "pretrain": f"pretrain {TINY} --epochs 4 --keep-every 1",
    "probe": "probe --epochs 6 --batch-size 32",
    "finetune": "finetune --epochs 3 --batch-size 32 --optimizer muon",
}
OFTEN = 0.05  # seconds between checkpoints


def start(
    folder: Path, line: str, *, save_every: float = OFTEN, bad_write: int = 0, how: str = "dies", narrow: bool = False
) -> BaseProcess:
    process = forked.process(survival.command, str(folder), line, save_every, bad_write, how, narrow)
    process.start()
    return process


start_narrow = partial(start, narrow=True)
"""With a net of few channels: for runs that are compared to the bit, where any net shows it."""


def finish(process: BaseProcess) -> int:
    process.join(PATIENCE)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def newest(folder: Path) -> Run | None:
    registry = Registry(folder)
    runs = registry.runs()
    return registry.load(runs[-1]) if runs else None


@pytest.fixture(scope="module")
def before_it(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each command: a project in which it can be typed."""
    empty = tmp_path_factory.mktemp("empty")
    parent = tmp_path_factory.mktemp("parent")
    assert finish(start_narrow(parent, f"pretrain {TINY}")) == 0
    return {name: empty if name == "pretrain" else parent for name in LINES}


@pytest.fixture(scope="module")
def projects(before_it: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path, float]]:
    """For each command: a project in which it can be typed, one in which it ran undisturbed, and how long it took."""
    found = {}
    for name, line in LINES.items():
        before = before_it[name]
        whole = tmp_path_factory.mktemp(name) / "whole"
        shutil.copytree(before, whole)
        code, seconds = timed(lambda folder=whole, line=line: finish(start_narrow(folder, line)))
        assert code == 0, (whole / "output.txt").read_text()
        found[name] = before, whole, seconds
    return found


def same(folder: Path, whole: Path) -> None:
    """The newest run of both projects is the same to the bit: weights, optimizer, metrics but for times, scalars."""
    runs = [newest(folder), newest(whole)]
    states = []
    for run, place in zip(runs, (folder, whole), strict=True):
        assert run is not None
        assert run.status == "finished"
        registry = Registry(place)
        files = sorted(set(run.checkpoints) - {"previous.pt"})
        state = {file: load_checkpoint(registry, run, file.removesuffix(".pt")) for file in files}
        history = [{k: v for k, v in entry.items() if k != "seconds"} for entry in run.history]
        metrics = {k: v for k, v in run.metrics.items() if k != "seconds"}
        del state["last.pt"]["events"], state["last.pt"]["progress"]["seconds"], state["last.pt"]["progress"]["history"]
        state["last.pt"]["progress"].get("best", {}).get("metrics", {}).pop("seconds", None)
        for held in state.values():  # which run it is of, and when that worked
            for name in ("id", "created", "attempts"):
                del held["record"][name]
        scalars = read_scalars(registry.path(run.folder))
        assert not scalars.losses
        states.append((state, history, metrics, scalars.points))
    (first, *rest), (second, *others) = states
    assert rest == others
    assert flat(first) == flat(second)


def flat(state: object, name: str = "") -> dict[str, object]:
    """Everything in a checkpoint by its path, tensors as their bytes."""
    if isinstance(state, torch.Tensor):
        return {name: (state.dtype, tuple(state.shape), state.contiguous().view(-1).view(torch.uint8).numpy().tobytes())}
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in flat(value, f"{name}/{key}").items()}
    if isinstance(state, list):
        return {k: v for i, value in enumerate(state) for k, v in flat(value, f"{name}/{i}").items()}
    return {name: state}


def go_on(folder: Path, line: str) -> str:
    """What a person types after a crash: the command again if the run is not on record yet, else ssl resume."""
    run = newest(folder)
    return line if run is None or run.experiment not in line.replace("probe", "linear_eval") else "resume"


def test_the_server_of_the_processes_has_imported_what_a_training_imports(before_it: dict[str, Path], tmp_path: Path) -> None:
    for name, line in LINES.items():
        folder = tmp_path / name
        shutil.copytree(before_it[name], folder)
        process = forked.process(survival.imports, str(folder), f"{line} --epochs 1")
        process.start()
        assert finish(process) == 0, (folder / "output.txt").read_text()
        packages = Counter(module.partition(".")[0] for module in (folder / "imported.txt").read_text().split())
        assert packages.keys() & {"torch", "torchvision", "sklearn", "scipy", "sympy", "tensorboard"} == set(), name


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(
    projects: dict[str, tuple[Path, Path, float]], tmp_path: Path, kill: int
) -> None:
    name = list(LINES)[kill % 3]
    before, whole, seconds = projects[name]
    moments = random.Random(kill)
    folder = tmp_path / "project"
    shutil.copytree(before, folder)
    line = LINES[name]
    for _ in range(3):
        process = start_narrow(folder, go_on(folder, line))
        process.join(moments.uniform(0.02, seconds))
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
        finish(process)
        run = newest(folder)
        if run is not None and run.status == "finished" and run.experiment in line.replace("probe", "linear_eval"):
            break
    else:
        assert finish(start_narrow(folder, go_on(folder, line))) == 0, (folder / "output.txt").read_text()
    same(folder, whole)


@pytest.mark.gpu
def test_runs_killed_on_a_gpu_go_on_to_the_same_bits_if_deterministic(before_it: dict[str, Path], tmp_path: Path) -> None:
    """Runs of each command, all at once: most of their seconds a GPU is waited for. They are long enough to be killed."""
    started: dict[str, list[tuple[Path, BaseProcess]]] = {}
    for name, line in LINES.items():
        folders = [tmp_path / f"{name}-{end}" for end in ("whole", "killed")]
        for folder in folders:
            shutil.copytree(before_it[name], folder)
        typed = f"{line} --epochs 12 --device cuda --deterministic"
        started[name] = [(folder, start_narrow(folder, typed)) for folder in folders]
    for name, (_, (folder, process)) in started.items():
        last = f"runs/{name.replace('probe', 'linear_eval')}/*/checkpoints/last.pt"
        wait_until(lambda folder=folder, last=last, process=process: bool(list(folder.glob(last))) or not process.is_alive())
        process.kill()
    for (whole, undisturbed), (folder, process) in started.values():
        assert finish(undisturbed) == 0, (whole / "output.txt").read_text()
        assert finish(process) == -signal.SIGKILL, (folder / "output.txt").read_text()
    resumed = [(folder, whole, start_narrow(folder, "resume")) for (whole, _), (folder, _) in started.values()]
    for folder, whole, process in resumed:
        assert finish(process) == 0, (folder / "output.txt").read_text()
        same(folder, whole)


def writes(folder: Path, line: str) -> int:
    """How many steps of writing files a command takes: by dying at ever later ones until it does not die."""
    low, high = 0, 1
    while True:
        trial = folder.with_name(f"writes{high}")
        shutil.copytree(folder, trial)
        if finish(start_narrow(trial, line, save_every=1e9, bad_write=high)) == 0:
            return low
        low, high = high, high * 2


@pytest.mark.parametrize(("name", "how"), [("pretrain", "dies"), ("probe", "dies"), ("finetune", "dies"), ("probe", "is full")])
def test_a_run_that_dies_or_has_no_room_while_it_writes_goes_on_to_the_same_bits(
    projects: dict[str, tuple[Path, Path, float]], tmp_path: Path, name: str, how: str
) -> None:
    before, whole, _ = projects[name]
    start_of = tmp_path / "start"
    shutil.copytree(before, start_of)
    total = writes(start_of, LINES[name])
    assert total >= 8
    steps = range(1, total + 1) if KILLS >= 60 else sorted(random.Random(total).sample(range(1, total + 1), 3))
    for number in steps:
        folder = tmp_path / f"dies{number}"
        shutil.copytree(before, folder)
        code = finish(start_narrow(folder, LINES[name], save_every=1e9, bad_write=number, how=how))
        assert code == (-signal.SIGKILL if how == "dies" else 3), (folder / "output.txt").read_text()
        assert finish(start_narrow(folder, go_on(folder, LINES[name]), save_every=1e9)) == 0, (
            folder / "output.txt"
        ).read_text()
        same(folder, whole)
        run = newest(folder)
        left = [path for path in (folder / (run.folder if run else "")).rglob(".*") if path.name not in (".lock", ".heartbeat")]
        assert not left, "what a dead process had begun to write is still there"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_a_process_that_is_asked_to_stop_saves_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    line = f"pretrain {TINY} --epochs 100"
    process = start(tmp_path, line)
    output = tmp_path / "output.txt"
    wait_until(lambda: bool(list(tmp_path.glob("runs/*/*/checkpoints/last.pt"))))
    os.kill(process.pid or 0, number)
    assert finish(process) == {signal.SIGINT: 130, signal.SIGHUP: 129}.get(number, 143)
    run = newest(tmp_path)
    assert run is not None
    assert run.status == "interrupted"
    assert f"ssl resume {run.id}" in output.read_text()


def test_a_second_request_stops_at_once_and_a_second_resume_is_told_who_has_the_run(ssl: Cli, tmp_path: Path) -> None:
    process = start(tmp_path, f"pretrain {TINY} --epochs 3000")
    wait_until(lambda: bool(list(tmp_path.glob("runs/*/*/checkpoints/last.pt"))))
    run = newest(tmp_path)
    assert run is not None
    refused = ssl(f"resume {run.id}")
    assert refused.code == 3
    assert f"by process {process.pid} on" in refused.err
    assert "running" in ssl("runs list").out
    for _ in range(2):
        os.kill(process.pid or 0, signal.SIGINT)
    assert finish(process) == 130
    assert ssl("runs verify").code == 0


def test_many_writers_lose_nothing_and_every_reader_sees_a_whole_index(tmp_path: Path) -> None:
    count = 100 if KILLS >= 60 else 12
    registry = Registry(tmp_path)
    processes = [forked.process(survival.register, str(tmp_path), count) for _ in range(8)]
    for process in processes:
        process.start()
    seen = [0]
    while any(process.is_alive() for process in processes):
        seen.append(len(registry.runs()))
    assert all(finish(process) == 0 for process in processes)
    assert seen == sorted(seen)
    runs = registry.runs()
    assert len({run.id for run in runs}) == len(runs) == 8 * count
    assert {run.status for run in runs} == {"finished"}
    assert len({registry.load(run).note for run in runs}) == 8 * count
    assert not list(tmp_path.glob(".registry*"))


def test_a_writer_that_died_holds_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = forked.process(survival.register, str(tmp_path), 10_000)
    process.start()
    wait_until(lambda: len(Registry(tmp_path).runs()) > 3)
    os.kill(process.pid or 0, signal.SIGKILL)
    finish(process)
    monkeypatch.setattr(registry_module, "LOCK_TIMEOUT", 0)  # it is had at the first attempt, or never
    Registry(tmp_path).create("after", experiment="pretrain", status="finished")


@pytest.mark.parametrize("limit", [300, 3_000, 30_000, 3_000_000])
def test_a_full_disk_at_any_write_leaves_the_last_checkpoint_whole(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        result = ssl(f"pretrain {TINY} --epochs 2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert result.code == 3, result.err
    assert "Traceback" not in result.err
    assert "File too large" in result.err
    if Registry(tmp_path).runs():
        assert ssl("resume").code == 0
        assert ssl("runs verify").code == 0


def test_on_a_full_disk_a_run_stops_and_goes_on_when_there_is_room(tmp_path: Path, ssl: Cli) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes a right that this process does not have")
    try:
        process = start(disk, f"pretrain {TINY} --epochs 4 --view-sizes 8 --knn-every 0")
        assert finish(process) == 3, (disk / "output.txt").read_text()
        assert "No space left" in (disk / "output.txt").read_text()
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        assert ssl(f"resume --project {disk}").code == 0
        assert ssl(f"runs verify --project {disk}").code == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_weights_that_are_no_numbers_overwrite_nothing(ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "SAVE_EVERY", -1.0)
    steps = iter(range(100))

    def poison(optimizer: Optimizer, *_: object) -> None:
        """Spoil the weights after the fifth step, whose own loss is still a number."""
        if next(steps) == 4:
            optimizer.param_groups[0]["params"][0].data.fill_(float("nan"))

    with register_optimizer_step_post_hook(poison):
        result = ssl(f"pretrain {TINY}")
    assert result.code == 3
    run = newest(tmp_path)
    assert run is not None
    for part in ("training diverged", f"{run.folder}/checkpoints/last.pt, of step 4", "--lr"):
        assert part in result.err
    state = load_checkpoint(Registry(tmp_path), run, "last")
    assert state["progress"]["step"] == 4
    assert all(torch.isfinite(weights).all() for weights in state["model"].values())


def test_a_run_on_another_machine_is_not_resumed_without_force(ssl: Cli, tmp_path: Path) -> None:
    process = start(tmp_path, f"pretrain {TINY} --epochs 3000")
    wait_until(lambda: bool(list(tmp_path.glob("runs/*/*/checkpoints/last.pt"))))
    os.kill(process.pid or 0, signal.SIGKILL)
    finish(process)
    run = newest(tmp_path)
    assert run is not None
    assert "interrupted" in ssl("runs list").out
    beat = tmp_path / run.folder / ".heartbeat"
    beat.write_text(beat.read_text().replace(platform.node(), "elsewhere"))
    assert "running on elsewhere, last seen" in ssl("runs list").out
    assert ssl("resume").code == 3
    refused = ssl(f"resume {run.id}")
    assert refused.code == 3
    assert "running on elsewhere" in refused.err
    assert f"ssl resume {run.id} --force" in refused.err
    again = start(tmp_path, f"resume {run.id} --force")
    wait_until(lambda: platform.node() in beat.read_text())
    os.kill(again.pid or 0, signal.SIGINT)
    assert finish(again) == 130


def test_a_heartbeat_is_renewed_while_a_run_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "BEAT_EVERY", 0.01)
    registry = Registry(tmp_path)
    run = registry.create("mine", experiment="pretrain", status="interrupted")
    with lifecycle.running(registry, run):
        first = registry.heartbeat(run)
        wait_until(lambda: registry.heartbeat(run) != first)
        assert first is not None
        assert (first.host, first.process) == (platform.node(), os.getpid())
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_only_folders_under_runs_are_deleted(ssl: Cli, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    run = registry.create("mine", experiment="pretrain", status="finished")
    (tmp_path / "precious").mkdir()
    shutil.move(tmp_path / run.folder / "run.yaml", tmp_path / "precious" / "run.yaml")
    shutil.rmtree(tmp_path / run.folder)
    (tmp_path / run.folder).symlink_to(tmp_path / "precious")
    result = ssl(f"runs rm {run.id} --yes")
    assert (result.code, "only folders under runs/" in result.err) == (2, True)
    assert (tmp_path / "precious" / "run.yaml").exists()


def test_a_name_with_escape_codes_and_markup_is_shown_literally(ssl: Cli, tmp_path: Path) -> None:
    run = Registry(tmp_path).create("mine", experiment="pretrain", status="finished", name="[red]\x1b[31m../up")
    for line in ("runs list", "runs list --format markdown", f"runs show {run.id}", "runs show nope", "runs rm latest", ""):
        result = ssl(line)
        assert "\x1b[31m" not in result.out + result.err
        assert "Traceback" not in result.err
    assert "[red]" in ssl("runs list").out


def ten_thousand_runs() -> list[Run]:
    inits = ("pretrained", "scratch")
    return [
        Run(
            id=f"{inits[i % 2]}-{i}", experiment="linear_eval", status="finished", init=inits[i % 2], pair=f"{i // 2:012x}",
            protocol="linear", dataset="cifar10", backbone="resnet18", seed=i, epochs=30.0, label_fraction=1.0,
            metrics={"test_acc": 0.69, "best_test_acc": 0.7, "test_images": 10_000},
        )
        for i in range(10_000)
    ]  # fmt: skip


def test_ten_thousand_runs_are_read_once_and_listed_and_added_to_in_a_few_times_what_their_json_takes(
    ssl: Cli, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    write_text(registry.index, index_text(ten_thousand_runs()))

    def type_it(line: str) -> None:
        assert ssl(line).code == 0

    def add() -> None:
        registry.create("new", experiment="pretrain", status="interrupted")

    for work, times in ((partial(type_it, "runs list"), 16), (partial(type_it, "compare"), 32), (add, 1)):  # 7, 23, 0.1
        with opened(tmp_path) as files:
            work()
        assert files["registry.yaml"] == 1
        assert files.total() < 10, files  # a run that is added has a lock and a record
        assert times_as_long(work, partial(parse_lines, registry.index), enough=times) < times


def open_files() -> Counter[str]:
    """What this process holds open, by name, and how often."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own is closed by now
            found[os.readlink(link)] += 1
    return found


def test_a_long_run_does_not_grow(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    original = log.Log.step
    sizes: dict[int, tuple[int, Counter[str]]] = {}

    def measure(self: log.Log, step: int, **values: float) -> None:
        original(self, step, **values)
        if step in (200, 2000):
            resident = int(Path("/proc/self/statm").read_text().split()[1])
            sizes[step] = resident, lasting(open_files)  # TensorBoard's thread opens its file for each write, for a moment

    monkeypatch.setattr(log.Log, "step", measure)
    monkeypatch.setattr(log, "SAVE_EVERY", 1.0)
    monkeypatch.setitem(BACKBONES, "resnet9-small", Backbone("tests.survival:narrow"))
    gc.collect()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a net this small gains nothing from two
    line = f"pretrain {TINY} --batch-size 8 --epochs 67 --view-sizes 8 --projector-hidden 64 --knn-every 0 --max-steps 2000"
    code = ssl(line).code
    torch.set_num_threads(threads)
    assert code == 0
    assert sizes[2000][0] < 1.02 * sizes[200][0]
    assert sizes[2000][1] - sizes[200][1] == Counter()  # less is no leak: what earlier tests left may be collected in between
