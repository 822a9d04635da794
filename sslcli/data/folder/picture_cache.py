"""Decode pictures once, with several processes, into a memory-mapped file. Imports no torch, to start quickly."""

from __future__ import annotations

import ctypes
import hashlib
import json
import mmap
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sslcli.data.folder.pictures import PASSING, SUFFIXES, BrokenPictureError, Fit, read_rgb, squared
from sslcli.errors import StateError
from sslcli.locks import HeldError, locked

VERSION = 2  # of the cache's format; each version has its own cache
SOME = 32  # pictures that a process gets at a time
FEW = 256  # up to this many pictures, no process is started
AHEAD = 4  # tasks for each process that are begun before their results are needed
SAFE_PATH = "PYTHONSAFEPATH"
PATIENCE = 3600.0  # seconds to wait for another process that decodes the same pictures

Task = TypeVar("Task")
T = TypeVar("T")

Progress = Callable[[float], None]
"""Gets the fraction that is done, from 0 to 1."""
Made = tuple[str, str, list[list[float]], int]
"""The data of a picture beside its pixels: sha256, the problem with it ("": none), moments, bits."""


@dataclass(frozen=True)
class Decoded:
    """Pictures (N, 3, side, side) uint8 in a mapped file, in the order of `paths`; those with a problem are black.

    `digests` are the files' sha256. `moments` (N, 2, 3) are the means of each channel's values in [0, 1], and of their squares.
    `bits` is the number of bits that the largest value of a 16-bit picture uses, 0 for 8-bit pictures.
    """

    folder: Path
    file: mmap.mmap
    images: NDArray[np.uint8]
    paths: list[str]
    digests: list[str]
    problems: list[str]
    moments: NDArray[np.float64]
    bits: list[int]


def decode(root: Path, paths: Sequence[str], *, side: int, fit: Fit, caches: Path, workers: int, progress: Progress) -> Decoded:
    """The pictures at `paths` below `root`, decoded now or earlier. The name of the folder in `caches` depends on their source.

    That is the files' names, sizes, times and inodes, the readable formats, and how pictures become square. If several
    processes need a cache, one builds it and the others wait; a killed build starts again. An older cache of `root` at this
    size, from before its files changed, is removed. A StateError if the disk is full.
    """
    files = [(path, *_state(root / path)) for path in paths]
    key = hashlib.sha256(json.dumps([VERSION, SUFFIXES, side, fit, files]).encode()).hexdigest()[:20]
    folder = caches / key
    if not folder.exists():
        with ExitStack() as held:
            try:
                held.enter_context(locked(caches / f"{key}.lock", timeout=PATIENCE))
            except HeldError as error:
                raise StateError(f"{folder} is still being written after {PATIENCE / 60:.0f} minutes, by {error}") from None
            if not folder.exists():
                partial = caches / f"{key}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                build_cache(partial, root, paths, side, fit, workers, progress)
                partial.rename(folder)
                _tidy(caches, folder)
    return _opened(folder)


def _tidy(caches: Path, new: Path) -> None:
    """Remove caches that a new one replaces, and the remains of killed builds."""
    for index in caches.glob("*/index.json"):
        # skipped: damaged caches, other versions, and files in use on systems that forbid deleting them
        with suppress(OSError, ValueError, KeyError, TypeError):
            if index.parent != new and _what_for(index) == _what_for(new / index.name):
                index.parent.rename(index.parent.with_suffix(".partial"))
                index.parent.with_suffix(".skipped.csv").unlink(missing_ok=True)
    for partial in caches.glob("*.partial"):
        with suppress(HeldError), locked(partial.with_suffix(".lock"), timeout=0):
            shutil.rmtree(partial, ignore_errors=True)


def _what_for(index: Path) -> tuple[str, int, str]:
    """The folder of pictures that a cache belongs to, and how its pictures became square."""
    found = json.loads(index.read_text(encoding="utf-8"))
    return found["root"], found["side"], found["fit"]


def _state(path: Path) -> tuple[int, ...]:
    """Values that change if a file changes or is replaced; they differ for two folders' files of equal name and time.
    Empty for a file without access: decoding it gives the reason.
    """
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def build_cache(folder: Path, root: Path, paths: Sequence[str], side: int, fit: Fit, workers: int, progress: Progress) -> None:
    """Decode the pictures at `paths` below `root` into a new cache in `folder`; a StateError where the disk has no room."""
    pixels = folder / "images.u8"
    with pixels.open("wb") as file:
        try:
            reserve(file.fileno(), len(paths) * 3 * side * side)
        except OSError as error:
            raise StateError(
                f"{len(paths):,} pictures of {side} x {side} pixels need {len(paths) * 3 * side**2 / 1e9:.1f} GB in "
                f"{folder.parent}: {error.strerror}; free some space, or choose another --data-dir or a smaller --image-size"
            ) from error
    tasks = [
        (str(pixels), begin, [str(root / path) for path in paths[begin : begin + SOME]], side, fit)
        for begin in range(0, len(paths), SOME)
    ]
    found: list[Made] = []
    for some in mapped(_decode_some, tasks, workers if len(paths) > FEW else 1):
        found.extend(some)
        progress(len(found) / len(paths))
    digests, problems, moments, bits = zip(*found, strict=True)
    np.save(folder / "moments.npy", np.array(moments))
    where = {"root": os.path.realpath(root), "side": side, "fit": fit}
    index = where | {"paths": list(paths), "digests": digests, "problems": problems, "bits": bits}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    for name in ("images.u8", "moments.npy", "index.json"):
        with (folder / name).open("r+b") as file:  # Windows needs a file that can be written
            os.fsync(file.fileno())  # before the folder gets its name: after a power cut it is whole or missing


def reserve(file: int, size: int) -> None:
    """Reserve the space of a file on the disk, so that writing it cannot fail later."""
    if sys.platform == "linux":
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def mapped(work: Callable[[Task], T], tasks: Sequence[Task], workers: int) -> Iterator[T]:
    """The results of `work` for each task, in order, computed by several processes, which are never far ahead.

    `work` is a function of a module, and its module should import no torch: each process imports it.
    """
    if workers == 1:
        yield from map(work, tasks)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_belong_to_the_parent)
    coming = deque[Future[T]]()
    try:
        for task in tasks:
            with _apart_from_the_caller():  # submitting starts a process, until there are enough
                coming.append(pool.submit(work, task))
            if len(coming) > AHEAD * workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    except BrokenProcessPool as error:
        raise StateError(
            "a process that decodes pictures was killed, perhaps because memory ran out; type the command again"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _apart_from_the_caller() -> Iterator[None]:
    """Make new processes run only the program's own modules.

    They import no file such as pickle.py in the current folder. They do not run the caller's script either: without a guard
    it would call the function again that waits for them here.
    """
    before, main = os.environ.get(SAFE_PATH), sys.modules["__main__"]
    os.environ[SAFE_PATH] = "1"
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _belong_to_the_parent() -> None:
    """Ignore Ctrl-C, which the parent process handles, and end if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, prctl(2)


def _decode_some(task: tuple[str, int, list[str], int, Fit]) -> list[Made]:
    """Write some pictures to their positions in the file."""
    pixels, begin, paths, side, fit = task
    made = []
    with open(pixels, "r+b", buffering=0) as file:
        for place, path in enumerate(paths, begin):
            digest, problem, moments, bits = "", "", [[0.0] * 3] * 2, 0
            try:
                with open(path, "rb") as picture:
                    digest = hashlib.file_digest(picture, "sha256").hexdigest()
                rgb = read_rgb(Path(path), side=side)
                square, bits = squared(rgb, side, fit), rgb.info.get("bits", 0)
            except (BrokenPictureError, OSError) as error:
                if isinstance(error, OSError) and error.errno in PASSING:
                    raise
                problem = str(error) or type(error).__name__
            else:
                file.seek(place * square.nbytes)
                file.write(square.tobytes())
                values = square.reshape(3, -1) / 255.0
                moments = [values.mean(1).tolist(), (values**2).mean(1).tolist()]
            made.append((digest, problem, moments, bits))
    return made


def _opened(folder: Path) -> Decoded:
    """Open an existing cache; a StateError if it is damaged."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        count, side = len(index["paths"]), index["side"]
        with (folder / "images.u8").open("rb") as pixels:
            file = mmap.mmap(pixels.fileno(), 0, access=mmap.ACCESS_READ)
        images = np.frombuffer(file, np.uint8).reshape(count, 3, side, side)
        moments = np.load(folder / "moments.npy")
        return Decoded(folder, file, images, index["paths"], index["digests"], index["problems"], moments, index["bits"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"{folder} is damaged ({error}); delete it, and ssl writes it again") from error
