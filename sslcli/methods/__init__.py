"""Methods of self-supervised learning, one file each in this folder. This file imports no torch: it only lists them.

A method's file imports torch, and `ssl --help` should not wait for that. So its text is read here: the class whose base is
`Method`, and the class `Options`, the only part that is run. `Options` may use LIGHT, and nothing else of its file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

RATE = "rate"
"""The key of a setting to try that multiplies the default learning rate; the other keys are options of the method."""
RATES: tuple[Mapping[str, Any], ...] = tuple({RATE: factor} for factor in (0.5, 2.0, 0.25, 4.0, 0.125))
"""The settings to try, beside the defaults, of a method that names none. All have as many: so none is tuned more."""

LIGHT = ("collections.abc", "dataclasses", "typing", "typer", "sslcli.methods.shared_options")
"""The modules that a class `Options` may use."""


@dataclass(frozen=True)
class OptionOfMethod:
    """An option: its annotation, with help and bounds, and its default."""

    hint: Any
    default: Any


class Source(NamedTuple):
    """A file outside the program, as it was read. A training keeps this content, even if the file changes."""

    method: str
    """The value of --method: FILE.py:CLASS."""
    path: str
    kind: str
    content: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodFile:
    """The description of a method from its file, which is not run: name, place of the class, first line, options."""

    name: str
    path: str
    about: str
    options: Mapping[str, OptionOfMethod]
    in_minutes: Mapping[str, Any] = field(default_factory=dict)
    """Option values that are best for short trainings, for --minutes."""
    backbones: tuple[str, ...] = ()
    """The backbones that it takes; all, if empty."""
    tuning: tuple[Mapping[str, Any], ...] = RATES
    """The settings to try on validation images beside the defaults, the most promising first."""
    source: Source | None = None
    """The file of a method outside the program."""


def classes_in(tree: ast.Module) -> dict[str, ast.ClassDef]:
    """The classes of a file, by name."""
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def options_in(tree: ast.Module, file: str | Path, *, module: str) -> Any:
    """The class `Options` of a method's file, run with the imports from LIGHT. Raises what that code raises."""
    light = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in LIGHT]
    found: dict[str, Any] = {"__name__": module}
    only = ast.Module([*light, classes_in(tree)["Options"]], [])
    exec(compile(only, file, "exec", dont_inherit=True), found)  # noqa: S102
    return found["Options"]


def described(tree: ast.Module, kind: Any, *, name: str, path: str, source: Source | None = None) -> MethodFile:
    """The description of a method whose class `Options` is `kind`; a TypeError if an option has no default."""
    options = {f.name: OptionOfMethod(f.type, f.default) for f in fields(kind)}
    if without := [option for option, of in options.items() if of.default is MISSING]:
        raise TypeError(f"the options {', '.join(without)} have no default")
    about, beside = (ast.get_docstring(tree) or "").partition("\n")[0], vars(kind)
    tuning, known = beside.get("TUNING", RATES), {RATE, *options}
    if len(tuning) != len(RATES) or not all(setting and known.issuperset(setting) for setting in tuning):
        raise TypeError(f"TUNING takes {len(RATES)} mappings with keys of {', '.join(sorted(known))}")
    return MethodFile(
        name=name, path=path, about=about, options=options, in_minutes=beside.get("IN_MINUTES", {}),
        backbones=beside.get("BACKBONES", ()), tuning=tuning, source=source,
    )  # fmt: skip


def _found() -> Iterator[MethodFile]:
    for file in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        bases = {name: map(ast.unparse, node.bases) for name, node in classes_in(tree).items()}
        if kind := next((name for name, of in bases.items() if "Method" in of), None):
            module, name = f"{__name__}.{file.stem}", file.stem.replace("_", "-")
            yield described(tree, options_in(tree, file, module=module), name=name, path=f"{module}:{kind}")


FILES = {method.name: method for method in _found()}
"""Each method, by its name in --method, to its description. A new file in this folder is all that a new method needs."""
METHODS = {name: file.path for name, file in FILES.items()}
"""Each method to "module:class" of its `Method`."""


def options_of(method: str) -> Mapping[str, OptionOfMethod]:
    """The own options of a built-in method; empty for any other name."""
    return FILES[method].options if method in FILES else {}


def methods_with(option: str) -> list[str]:
    """The methods that have an option."""
    return [name for name, file in FILES.items() if option in file.options]
