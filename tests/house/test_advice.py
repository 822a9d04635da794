"""Every command line that a message advises can be typed: its command, its options and its packages exist."""

import ast
import re
import tomllib
from collections.abc import Iterator

from tests.house.test_house import ALL, ROOT

COMMANDS = dict(ALL)
WORD = r"(?:'[^']*'|[^\s;,.)'\"]|\.(?=\w))+"
LINE = re.compile(rf"\bssl ((?:(?:runs|data) )?[a-z]+)((?: (?:--?)?{WORD})*)")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def texts() -> Iterator[tuple[str, str]]:
    """Every text in the code with its place; what is filled in later is an X. Docstrings are none."""
    for path in sorted((ROOT / "sslcli").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (docs | inner):
                text = node.value
            else:
                continue
            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


TEXTS = list(texts())
ADVISED = [(place, *match.groups()) for place, text in TEXTS for match in LINE.finditer(text)]


def options_of(name: str) -> set[str]:
    return {"--help"} | {
        word
        for parameter in COMMANDS[name].params
        for word in (*parameter.opts, *parameter.secondary_opts)  # type: ignore[attr-defined]
    }


def test_every_advised_command_line_names_commands_and_options_that_exist() -> None:
    assert len(ADVISED) > 60
    checked = 0
    for place, name, rest in ADVISED:
        options = re.findall(r" (--[a-z][a-z-]*)", rest)
        if name not in COMMANDS:
            assert not options, f"{place}: ssl {name}{rest}"
            continue
        known = options_of(name)
        known |= options_of("pretrain") if name == "bench" else set()
        assert set(options) <= known, f"{place}: ssl {name}{rest}"
        checked += bool(options)
    assert checked > 8


def test_what_is_to_be_typed_is_a_command() -> None:
    for place, text in TEXTS:
        for name in re.findall(r"type: ssl ((?:(?:runs|data) )?[a-z]+)", text):
            assert name in COMMANDS, f"{place}: {text}"


def test_every_advised_package_is_an_extra_of_this_program() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "sslcli").rglob("*.py")}
    named = [(path, extra) for path, text in sources.items() for extra in re.findall(r"install_line\(['\"](\w+)['\"]\)", text)]
    assert len(named) > 2
    assert [(path, extra) for path, extra in named if extra not in EXTRAS] == []


def test_options_in_messages_are_options_of_some_command() -> None:
    known = {option for name in COMMANDS for option in options_of(name)} | {"--version"}
    others = {"--logdir", "--nproc-per-node", "--upgrade", "--head", "--address"}  # of TensorBoard, torchrun, pip, Ray
    for place, text in TEXTS:
        if " " in text:
            for option in re.findall(r"(?<![\w-])(--[a-z][a-z]+(?:-[a-z]+)*)(?![\w-])", text):
                assert option in known | others, f"{place}: {option} in {text!r}"
