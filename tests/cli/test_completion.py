"""Completion in a shell: the script, what it offers, and that a key press waits for no torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "torchvision", "scipy", "sklearn", "numpy", "PIL", "matplotlib", "tensorboard"}
PROGRAM = """
import sys
sys.argv[0] = "ssl"
from sslcli.cli import main
try:
    main()
finally:
    print("modules:", *sys.modules, file=sys.stderr)
"""


def run(folder: Path, *words: str, **environment: str) -> tuple[str, set[str]]:
    """What the program printed, and which modules it had imported by then."""
    line = [sys.executable, "-c", PROGRAM, *words]
    values = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"} | environment  # tests may run below no shell
    done = subprocess.run(line, cwd=folder, env=values, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, {name.partition(".")[0] for name in done.stderr.rpartition("modules:")[2].split()}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_the_script_of_a_shell_is_printed_without_torch(shell: str, tmp_path: Path) -> None:
    script, modules = run(tmp_path, "--show-completion", shell)
    assert "_SSL_COMPLETE" in script
    assert not HEAVY & modules


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ssl pre", "pretrain predict"),
        ("ssl runs re", "rebuild"),
        ("ssl pretrain --view-", "--view-sizes"),
        ("ssl pretrain --method simclr --temp", "--temperature"),
        ("ssl probe --protocol lin", "linear linear-augmented"),
    ],
)
def test_commands_options_and_choices_are_completed_without_torch(typed: str, offered: str, tmp_path: Path) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_SSL_COMPLETE": "complete_bash"}
    out, modules = run(tmp_path, **words)
    assert out.split() == offered.split()
    assert not HEAVY & modules
    assert not list(tmp_path.iterdir())


def test_completion_is_installed_for_the_shell_that_is_named(tmp_path: Path) -> None:
    out, modules = run(tmp_path, "--install-completion", "bash", HOME=str(tmp_path))
    assert "bash completion installed" in out
    assert "_SSL_COMPLETE" in next(tmp_path.rglob("*ssl*.sh")).read_text()
    assert not HEAVY & modules
