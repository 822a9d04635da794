"""The start of the program: Ctrl-C while its modules are read, and the words that it is given."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Cli

STOPPED = """
import sys

class Stopped:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Stopped())
from sslcli.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["sslcli.cli", "typer", "sslcli.exit_codes"])
def test_ctrl_c_while_modules_are_read_ends_the_program_without_a_traceback(tmp_path: Path, module: str) -> None:
    line = [sys.executable, "-c", STOPPED.format(module=module)]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("remark", [["#", "where", "you", "stand"], ["#"]])
def test_a_remark_that_the_shell_passes_on_is_not_read(ssl: Cli, remark: list[str]) -> None:
    """As interactive zsh and cmd do with a line that was pasted from a page."""
    plain = ssl("runs list")
    assert ssl(shlex.join(["runs", "list", *remark])) == plain
    refused = ssl("runs list '#fine'")
    assert (refused.code, "#fine" in refused.err) == (2, True)
