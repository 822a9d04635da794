"""The commands on the pages: README.md and docs/*.md, as a person would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sslcli.cli import command_line

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(
    r"(?:^<!-- typed: (?P<name>[\w ]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
"""A block of code, with the name under which a test types it."""


def command_lines(text: str) -> Iterator[list[str]]:
    """The words after `ssl` of every command in a block: without comments, and without where its output goes."""
    for line in text.splitlines():
        words = shlex.split(line.replace("sslcli ", "; ssl ") if line.startswith("torchrun") else line, comments=True)
        if "ssl" in words[:1] or line.startswith("torchrun"):
            words = words[words.index("ssl") + 1 :]
            yield words[: words.index(">")] if ">" in words else words


def commands_of(page: Path) -> list[str]:
    """Every command on a page, without `ssl`."""
    blocks = [match for match in FENCE.finditer(page.read_text(encoding="utf-8")) if match["language"] in ("", "text")]
    return [shlex.join(words) for block in blocks for words in command_lines(block["text"])]


def typed_block(name: str) -> list[str]:
    """The commands of the block that a page marks as typed by a test under this name."""
    found = [match for page in PAGES for match in FENCE.finditer(page.read_text(encoding="utf-8")) if match["name"] == name]
    assert len(found) == 1, f"{len(found)} blocks are marked <!-- typed: {name} -->"
    return [shlex.join(words) for words in command_lines(found[0]["text"])]


def build(line: str) -> Any:
    """The options that a command line gives, checked, and nothing done; None of `ssl` alone and of its own options."""
    words = [word for word in shlex.split(line) if word != "--help"]
    group: Any = command_line()
    if not words or words[0].startswith("--"):
        known = [name for parameter in group.params for name in parameter.opts]
        assert set(words) <= {*known, "--install-completion", "--show-completion"}, line
        return None
    with group.make_context("ssl", list(words)) as parent:
        command = group.commands[words.pop(0)]
        while "commands" in vars(command):
            command = command.commands[words.pop(0)]
        with command.make_context(command.name, words, parent=parent) as context:
            return command.build(context)
