"""A method in a file outside the program: --method FILE.py:CLASS. Imports no torch until the file does."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin

from typer.models import OptionInfo

from sslcli.errors import UsageError, UserError
from sslcli.exit_codes import what_the_machine_lacks
from sslcli.methods import FILES, LIGHT, MethodFile, OptionOfMethod, Source, classes_in, described, options_in
from sslcli.runs.naming import class_word, file_of_method, plain_word

NAME = "NAME"
"""The attribute of a method's class that gives it a name other than the class's."""
PLAIN = (int, float, str, bool)


def read_source(method: str) -> Source:
    """The file of FILE.py:CLASS as it is now; a UsageError if it cannot be read."""
    path, kind = file_of_method(method) or ("", "")
    try:
        return Source(method, path, kind, Path(path).expanduser().read_bytes())
    except (OSError, ValueError, RuntimeError) as error:  # no such file, a zero byte in its name, no such home
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--method {method}: {path} cannot be read: {reason}; accepted is FILE.py:CLASS") from error


def sha256_of(source: Source) -> str:
    """The sha256 of the file's content."""
    return hashlib.sha256(source.content).hexdigest()


@lru_cache(maxsize=32)
def read_method(source: Source) -> MethodFile:
    """The description of a method from its file, of which only `Options` is run; a UsageError if it is not a method's file."""
    try:
        tree = ast.parse(source.content, source.path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        _refuse(source, f"it is not Python: {_said(error)}", error)
    classes = classes_in(tree)
    for wanted in (source.kind, "Options"):
        if wanted not in classes:
            _refuse(source, f"it has no class {wanted} at its top level; it has: {', '.join(classes) or 'none'}")
    try:
        kind = options_in(tree, source.path, module=_module_name(source))
        file = described(tree, kind, name=_name_in(source, classes[source.kind]), path=source.method, source=source)
    except UserError:
        raise
    except Exception as error:  # a person's code raises what it likes
        _refuse(source, f"its class Options cannot be read: {_said(error)}. It may use only {', '.join(LIGHT)}", error)
    for name, option in file.options.items():
        _hold_to_kinds(source, name, option)
    return file


def class_of(file: MethodFile) -> tuple[Any, Any]:
    """`Options` and the class of a method outside the program, from the content that was read; a UsageError if it fails."""
    from sslcli.methods.method import Method

    source = _source_of(file)
    module = _module_of(source)
    kind = getattr(module, source.kind)
    if not issubclass(kind, Method):
        _refuse(source, f"{source.kind} is not a subclass of sslcli.methods.method.Method")
    return module.Options, kind


@contextmanager
def blaming(file: MethodFile) -> Iterator[None]:
    """Say of an error that a method's file outside the program raises in which of its lines, as a UsageError."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a person's code raises what it likes
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if file.source and frame.filename == file.source.path]
        if not lines or what_the_machine_lacks(error):
            raise
        _refuse(_source_of(file), f"line {lines[-1]}: {_said(error)}; to see all of it, add --debug", error)


def _source_of(file: MethodFile) -> Source:
    if file.source is None:
        raise TypeError(f"{file.name} is a method of the program")
    return file.source


def _module_name(source: Source) -> str:
    return f"sslcli_method_{sha256_of(source)[:16]}"


def _module_of(source: Source) -> ModuleType:
    """The file's content as a module, run once in a process."""
    if (name := _module_name(source)) in sys.modules:
        return sys.modules[name]
    module = sys.modules[name] = ModuleType(name)  # dataclasses look there for the names in annotations
    try:
        exec(compile(source.content, source.path, "exec", dont_inherit=True), vars(module))  # noqa: S102
    except Exception as error:  # a person's code raises what it likes
        del sys.modules[name]
        _refuse(source, f"it cannot be imported: {_said(error)}", error)
    return module


def _name_in(source: Source, node: ast.ClassDef) -> str:
    """What runs, tables and figures call the method: NAME of its class, else the class's name; no name of the program's."""
    given = {target.id: part.value for part in node.body if isinstance(part, ast.Assign)
             for target in part.targets if isinstance(target, ast.Name)}  # fmt: skip
    name = plain_word(str(ast.literal_eval(given[NAME])))[:40].strip("-") if NAME in given else class_word(node.name)
    taken = {known.replace("-", ""): known for known in FILES}.get(name.replace("-", ""))
    if not name or taken:
        of_the_program = f"{taken} is a built-in method" if taken else "the class's name has no ASCII letter"
        _refuse(source, f'{of_the_program}; give the class another name, or a line {NAME} = "my-method"')
    return name


def _hold_to_kinds(source: Source, name: str, option: OptionOfMethod) -> None:
    """A UsageError unless an option is one that a command line, YAML and a record can hold."""
    kind, *metadata = get_args(option.hint) if get_origin(option.hint) is Annotated else (None,)
    if get_origin(kind) in (Union, UnionType):
        kind = next((member for member in get_args(kind) if member is not NoneType), None)
    choices = get_origin(kind) is Literal and all(isinstance(choice, str) for choice in get_args(kind))
    shown = any(isinstance(item, OptionInfo) and item.help for item in metadata)
    if not shown or not (kind in PLAIN or choices) or not re.fullmatch("[a-z][a-z0-9_]*", name):
        _refuse(source, f"the option {name}: accepted is name: Annotated[TYPE, Option(help=...)] = DEFAULT, the name in lower "
                        "case, TYPE int, float, str, bool or Literal of texts, or one of these | None")  # fmt: skip


def _said(error: BaseException) -> str:
    """What kind of an error it is, and its first line."""
    line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
    return f"{line}{type(error).__name__}: {text}"


def _refuse(source: Source, reason: str, error: BaseException | None = None) -> NoReturn:
    raise UsageError(f"--method {source.method}: {source.path}: {reason}") from error
