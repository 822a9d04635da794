"""What --help says: in words, at the width of a terminal."""

import re

import pytest

from sslcli.options.pretrain import Pretrain
from sslcli.options.study import preset_files, presets_in_words
from sslcli.options.values import in_help
from tests.conftest import Cli
from tests.docs.cli_reference import every_command

COMMANDS = [name.removeprefix("ssl ") for name, _ in every_command()]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_formula_for_a_range_and_no_type_for_a_flag(ssl: Cli, command: str) -> None:
    said = ssl(f"{command} --help").out
    assert "Example: ssl " in said
    assert not re.search(r"<=|>=|range|<bool>|\d{10}", said), said


def test_help_shows_a_range_with_two_ends_in_words() -> None:
    hints = Pretrain.hints({})
    shown = {name: in_help(hints[name]).__metadata__[0].metavar for name in ("flip", "image_size", "epochs", "lr", "minutes")}  # type: ignore[attr-defined]
    assert shown == {
        "flip": "<0 to 1>", "image_size": "<8 to 1024>", "epochs": "<int>", "lr": "<number>", "minutes": "<above 0>",
    }  # fmt: skip


def test_help_of_a_study_names_every_preset_with_its_time_or_says_that_it_was_not_measured(ssl: Cli) -> None:
    lines = [line.rstrip() for line in ssl("study --help").out.splitlines()]
    shown = {words[0]: line for line in lines if (words := line.split()) and words[0] in preset_files()}
    assert shown.keys() == preset_files().keys()
    assert all(re.search(r"\d (s|min)\b|not measured", line) for line in shown.values())
    whole = {line.split()[0]: line.split() for line in presets_in_words().splitlines()}
    assert {name: line.split() for name, line in shown.items()} == whole  # none wraps


def test_a_paragraph_of_help_has_no_line_breaks_of_its_own() -> None:
    paragraphs = Pretrain.about().split("\n\n")
    assert len(paragraphs) == 2
    assert "\n" not in "".join(paragraphs)
