"""The tests mirror the rooms: each lies in a folder named as what it tests, and uses what has a public name there."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_ROOMS = {
    "house": "checks of the code, the docs, the package and the tests themselves",
    "whole": "several rooms, as a person goes through them",
}
"""Folders of tests that are named as no room, and what their tests are of."""
ROOMS = {path.stem for path in (ROOT / "sslcli").iterdir() if not path.name.startswith("_")}
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def test_every_test_file_lies_in_a_folder_named_as_a_room_and_has_a_name_of_its_own() -> None:
    folders = {path.relative_to(ROOT / "tests").parent.as_posix() for path in TESTS}
    assert folders - ROOMS == set(NO_ROOMS)
    assert [name for name, count in Counter(path.name for path in TESTS).items() if count > 1] == []  # mutants name files alone


def parsed(folder: str) -> dict[str, ast.Module]:
    """Every file below a folder by its path."""
    files = sorted((ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def privates(tree: ast.Module) -> Iterator[str]:
    """The private names that a file gives."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.ClassDef(name=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store())
            ) if PRIVATE.fullmatch(name):
                yield name


OURS = {name for tree in parsed("sslcli").values() for name in privates(tree)}


def used(tree: ast.Module) -> list[str]:
    """The private names of the program that a test imports, reads, gives another value, or names in a text to patch."""
    found: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.alias(name=name):
                found.append(name)
            case ast.Call(func=ast.Attribute(attr="setattr" | "delattr"), args=arguments):
                texts = [word.value for word in arguments[:2] if isinstance(word, ast.Constant) and isinstance(word.value, str)]
                found += [re.split("[.:]", text)[-1] for text in texts]
    return sorted((OURS - set(privates(tree))).intersection(found))


def test_no_test_uses_a_private_name_of_the_program() -> None:
    assert {path: names for path, tree in parsed("tests").items() if (names := used(tree))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "from sslcli.dispatch import _as_built",
        "import sslcli.dispatch\nsslcli.dispatch._as_built()",
        "registry._locked = None",
        'monkeypatch.setattr(registry, "_locked", None)',
        'monkeypatch.setattr("sslcli.runs.registry.Registry._locked", None)',
    ],
)
def test_a_private_name_in_a_test_is_found(line: str) -> None:
    assert used(ast.parse(line))
