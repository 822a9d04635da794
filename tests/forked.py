"""A server that forks processes for tests and has imported what a training imports: that takes a process three seconds."""

from __future__ import annotations

import gc
import multiprocessing

import sklearn.calibration  # noqa: F401
import torch._dynamo
import torch.utils.serialization
import torch.utils.tensorboard  # noqa: F401

import sslcli.workflows.begin
import sslcli.workflows.resume  # noqa: F401
import tests.processes
import tests.survival  # noqa: F401

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
gc.collect()
gc.freeze()  # no process looks again through what it has from the server
