"""A process that has imported what is slow to import, and forks for each set of tests: `python -m tests.mutants.warm MODULE…`.

On stdin comes a line of JSON for each set: the copy in which
to run it, the tests, and the file for their output. Back go the process that runs them, and how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

OURS = ("sslcli", "tests")
"""Packages that are to come from the copy, and so are never imported here for long."""


def main() -> None:
    """Serve until stdin ends."""
    for name in sys.argv[1:]:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # or each process would look through all of it at its end
    for line in sys.stdin:
        copy, tests, output = json.loads(line)
        process = os.fork()
        if process == 0:
            _run(copy, tests.split(), output)
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(copy: str, tests: list[str], output: str) -> NoReturn:
    """Be the process that runs tests in a copy, with everything of ours from there."""
    os.setsid()
    with open(output, "wb") as file, open(os.devnull, "rb") as nothing:
        for stream, place in ((nothing, 0), (file, 1), (file, 2)):
            os.dup2(stream.fileno(), place)
    os.chdir(copy)
    os.environ |= {"PYTHONPATH": copy, "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": f"{copy}.tmp"}
    tempfile.tempdir = None  # what was imported may have asked for the one before
    sys.dont_write_bytecode = True
    sys.path[:] = [copy, *(place for place in sys.path if place and Path(place) != Path(__file__).parents[2])]
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    importlib.invalidate_caches()
    import pytest

    code = 3
    try:
        options = ["-n", "0", "-x", "-q", "-rfE", "--tb=short", "--color=no", "-p", "no:cacheprovider"]
        code = int(pytest.main([*options, *(f"tests/{test}" for test in tests)]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
