"""What the processes of test_survival.py and test_launcher_survival.py do."""

import errno
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import torch

from sslcli.cli import main
from sslcli.data.sets import shapes
from sslcli.exit_codes import errors_to_exit_codes
from sslcli.models import BACKBONES, Backbone
from sslcli.models.backbones.resnet9 import ResNet9
from sslcli.runs import index as index_module
from sslcli.runs import registry as registry_module
from sslcli.runs.registry import Registry
from sslcli.studies import launcher
from sslcli.studies.hands import at_work
from sslcli.studies.places import local
from sslcli.studies.places.place import Job
from sslcli.training import log
from sslcli.training.lifecycle import SIGNALS
from tests.measuring import PATIENCE


def command(folder: str, line: str, save_every: float, bad_write: int, how: str, narrow: bool) -> None:
    """Type a command in a folder. Before its `bad_write`-th step of writing a file the process dies, or the disk is full."""
    os.chdir(folder)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests have it ignored
    sys.stdout = sys.stderr = open("output.txt", "a", buffering=1, encoding="utf-8")  # noqa: SIM115  (for the process's life)
    torch.set_num_threads(1)
    shapes.TRAIN, shapes.TEST, log.SAVE_EVERY = 240, 80, save_every
    if narrow:
        BACKBONES["resnet9-small"] = Backbone("tests.survival:narrow")
    if bad_write:
        count = iter(range(1, 10**9))

        def bad(original: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **keywords: Any) -> Any:
                if next(count) == bad_write:
                    if how == "dies":
                        os.kill(os.getpid(), signal.SIGKILL)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return original(*arguments, **keywords)

            return call

        os.replace, os.fsync, os.chmod = bad(os.replace), bad(os.fsync), bad(os.chmod)  # type: ignore[assignment]
    main(shlex.split(line))


def heard(folder: str, line: str, out: str, err: str, ignored: int = 0) -> None:
    """Type a command in a folder whose results and messages go to what is at these paths; a signal may be ignored."""
    os.chdir(folder)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if ignored:
        signal.signal(ignored, signal.SIG_IGN)
    for file, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_NOCTTY), file)
    sys.stdout, sys.stderr = (os.fdopen(file, "w", closefd=False, encoding="utf-8") for file in (1, 2))
    torch.set_num_threads(1)
    shapes.TRAIN, shapes.TEST = 240, 80
    main(shlex.split(line))


def imports(folder: str, line: str) -> None:
    """Type a command in a folder, and write down which modules were imported meanwhile."""
    before = set(sys.modules)
    try:
        command(folder, line, save_every=1e9, bad_write=0, how="", narrow=True)
    finally:
        Path("imported.txt").write_text("\n".join(set(sys.modules) - before))


def narrow() -> ResNet9:
    """ResNet-9 of a few channels, whose step is quick."""
    return ResNet9(widths=(4, 8, 8, 16))


def register(folder: str, count: int, large: int = index_module.LARGE) -> None:
    """Add, update and finish runs, as eight processes do at once; an index of `large` bytes counts as large."""
    registry_module.LOCK_TIMEOUT, index_module.LARGE = PATIENCE, large
    registry = Registry(Path(folder))
    for number in range(count):
        run = registry.create("many", experiment="pretrain", status="running")
        run.note = f"{os.getpid()} {number}"
        registry.save(run)
        run.status = "finished"
        registry.save(run)


class Forked:
    """What a Popen of `python -m sslcli WORDS` is, but forked from this process, which has imported it all."""

    def __init__(self, words: Sequence[str], *, stdout: IO[bytes], **_: object) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid:
            return
        os.setsid()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for file in (1, 2):
            os.dup2(stdout.fileno(), file)
        os.closerange(3, 256)  # as exec does: the launcher's lock is among them
        sys.stdout, sys.stderr = (os.fdopen(file, "w", closefd=False, encoding="utf-8") for file in (1, 2))
        try:
            main([*words[3:]])
        except SystemExit as stopped:
            os._exit(int(stopped.code or 0))

    def poll(self) -> int | None:
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if found else None
        return self._code

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> None:
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def launch_jobs(folder: str) -> None:
    """Do the jobs of jobs.json, two at once, as `ssl study --on local:2` does."""
    os.chdir(folder)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout = sys.stderr = open("output.txt", "a", buffering=1, encoding="utf-8")  # noqa: SIM115  (for the process's life)
    torch.set_num_threads(1)
    shapes.TRAIN, shapes.TEST, log.SAVE_EVERY = 240, 80, 0.05
    BACKBONES["resnet9-small"] = Backbone("tests.survival:narrow")
    local.subprocess = SimpleNamespace(Popen=Forked, DEVNULL=None)  # type: ignore[assignment]
    launcher.LOOK_EVERY = 0.02
    registry = Registry(Path(folder))
    jobs = [Job(**entry) for entry in json.loads(Path("jobs.json").read_text(encoding="utf-8"))]
    with errors_to_exit_codes(debug=True), at_work(registry) as hands:
        launcher.launch(hands, jobs, local.Local(registry.root, processes=2), key="local")
