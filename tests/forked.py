"""A server that forks processes for tests and has imported what a training imports: that takes a process three seconds."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import sklearn.calibration  # noqa: F401
import torch._dynamo
import torch.utils.tensorboard

import sslcli.workflows.begin
import sslcli.workflows.resume  # noqa: F401
import tests.processes
import tests.survival  # noqa: F401

with contextlib.suppress(ImportError):  # torch 2.6 has none
    import torch.utils.serialization  # noqa: F401

ROOT = Path(__file__).parent.parent
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
gc.collect()
gc.freeze()  # no process looks again through what it has from the server


def process(work: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """A process that does a piece of work once it is started.

    The server starts with the first, in the project's folder whatever the test's: it imports from where it starts, and goes
    on without a word, and without its imports, where the tests' package is not found.
    """
    with contextlib.chdir(ROOT):
        forkserver.ensure_running()
    return SERVER.Process(target=work, args=arguments)
