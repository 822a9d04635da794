"""Methods of self-supervised learning, a file each in this folder. This file imports no torch: it says what there is.

A method's file imports torch, and `ssl --help` does not wait for that. So its text is read here: the class whose base is
`Method`, and the class `Options`, which alone is run. `Options` may use what LIGHT has, and nothing else of its file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

LIGHT = ("collections.abc", "dataclasses", "typing", "typer")
"""The modules that a class `Options` may use."""


@dataclass(frozen=True)
class OptionOfMethod:
    """An option: its annotation, which has the help and the bounds, and its default."""

    hint: Any
    default: Any


@dataclass(frozen=True, kw_only=True)
class MethodFile:
    """What a method's file says without being run: where its class is, its first line, and its options."""

    path: str
    about: str
    options: Mapping[str, OptionOfMethod]
    in_minutes: Mapping[str, Any] = field(default_factory=dict)
    """Values of its options that short trainings learn most with: for --minutes."""


def _read(file: Path) -> MethodFile | None:
    """What a file says of its method; None if it has none. Its class `Options` is run, with the imports from LIGHT."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    name = next((name for name, node in classes.items() if "Method" in map(ast.unparse, node.bases)), None)
    if name is None:
        return None
    module = f"{__name__}.{file.stem}"
    light = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in LIGHT]
    found: dict[str, Any] = {"__name__": module}
    exec(compile(ast.Module([*light, classes["Options"]], []), file, "exec", dont_inherit=True), found)  # noqa: S102
    kind = found["Options"]
    options = {f.name: OptionOfMethod(f.type, f.default) for f in fields(kind)}
    if without := [name for name, option in options.items() if option.default is MISSING]:
        raise TypeError(f"{file}: the options {', '.join(without)} have no default")
    about = (ast.get_docstring(tree) or "").partition("\n")[0]
    return MethodFile(path=f"{module}:{name}", about=about, options=options, in_minutes=vars(kind).get("IN_MINUTES", {}))


def _found() -> Iterator[tuple[str, MethodFile]]:
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if method := _read(file):
            yield file.stem.replace("_", "-"), method


FILES = dict(_found())
"""Name of a method, as --method has it, to what its file says. A new method is a new file in this folder, and no more."""
METHODS = {name: file.path for name, file in FILES.items()}
"""Name to the class, a final `Method`."""


def options_of(method: str) -> Mapping[str, OptionOfMethod]:
    """The options that belong to a method; none of one that is not known."""
    return FILES[method].options if method in FILES else {}


def methods_with(option: str) -> list[str]:
    """The methods that an option belongs to."""
    return [name for name, file in FILES.items() if option in file.options]
