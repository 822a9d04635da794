"""Files and options that nobody would write on purpose, by the thousand."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.measuring import PATIENCE

ROOT = Path(__file__).parents[2]


def test_a_thousand_bad_files_and_options_end_in_a_message() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.whole.bad_input"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    cases = re.fullmatch(r"(\d+) cases", done.stdout.strip())
    assert cases
    assert int(cases[1]) >= 1000
