"""A toy beside the program's own entries: what command lines print where a table has one entry more, from a file outside."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROGRAM = """
import shlex, sys
{line}  # the one line

assert {torch} or "torch" not in sys.modules
from sslcli.cli import main
from sslcli.data.sets import shapes

shapes.TRAIN, shapes.TEST = 240, 80
for line in sys.argv[1:]:
    print(f"== ssl {{line}}", flush=True)
    try:
        main(shlex.split(line))
    except SystemExit as stopped:
        print(f"== code {{stopped.code}}", flush=True)
"""


def typed_with(
    line: str, lines: Mapping[str, int], folder: Path, *, files: Mapping[str, str], torch: bool = False
) -> list[str]:
    """What each of the command `lines` prints, typed in a folder with these `files`; `line` adds to a table.

    A line must end with the code that `lines` has for it. The program is imported after `line`, which must not import torch
    unless `torch` says so. Of `shapes` there are few.
    """
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "program.py").write_text(PROGRAM.format(line=line, torch=torch))
    done = subprocess.run(
        [sys.executable, "program.py", *lines], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, env={"PATH": "/usr/bin", "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    shown = re.findall(r"(?s)== ssl [^\n]*\n(.*?)== code", done.stdout)
    codes = [int(code) for code in re.findall(r"== code (\d+)", done.stdout)]
    assert codes == [*lines.values()], done.stdout
    assert len(shown) == len(lines), done.stdout
    return shown
