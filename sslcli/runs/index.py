"""registry.yaml, the index of a project's runs: YAML in which every line is also JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sslcli.errors import UsageError
from sslcli.files import load_yaml
from sslcli.runs.run import Run, parse_run

HEADER = "# The runs of this project, one a line. Whole records: runs/<experiment>/<id>/run.yaml\n"


def read_index(path: Path) -> list[Run]:
    """All runs of an index, oldest first. A UsageError if it is damaged."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if lines in ([], ["runs: []"]):
        return []
    try:  # this program writes JSON lines, which parse a hundred times faster than YAML
        if lines[0] != "runs:" or not all(line.startswith("- {") for line in lines[1:]):
            raise ValueError
        content: object = [json.loads(line[2:]) for line in lines[1:]]
    except (ValueError, RecursionError):
        whole = load_yaml(path)
        content = whole.get("runs") if isinstance(whole, dict) else None
    if not isinstance(content, list):
        raise UsageError(f"{path} is no run registry: it must be a mapping with a list 'runs'")
    runs = [parse_run(entry, f"{path}, run {number}") for number, entry in enumerate(content, 1)]
    if len({run.id for run in runs}) < len(runs):
        raise UsageError(f"{path} names a run twice")
    return runs


def index_text(runs: Sequence[Run]) -> str:
    """The text of an index of these runs."""
    lines = "".join(f"- {json.dumps(run.index_entry(), ensure_ascii=True)}\n" for run in runs)
    return HEADER + ("runs:\n" + lines if runs else "runs: []\n")
