"""The paths that a command was given: one that is not there is refused before anything else is done. Imports no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from typer.models import ArgumentInfo

from sslcli.data import FOLDER
from sslcli.errors import StateError, UsageError, UserError, nearest
from sslcli.launch import as_typed
from sslcli.options.command import Command
from sslcli.runs.naming import INIT_WORDS, network_in


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What an option's path must be: a `what`, with `accepted` in words; a missing one is an `error`.

    `path_in` finds the path in the option's text; None: the text names none. `made`: a missing folder is made. `words` are
    accepted in place of a path.
    """

    what: str
    accepted: str
    path_in: Callable[[str], str | None] = lambda text: text
    error: type[UserError] = StateError
    made: bool = False
    words: tuple[str, ...] = ()


def _folder_in(text: str) -> str | None:
    return os.path.expanduser(text.removeprefix(FOLDER)) if text.startswith(FOLDER) else None


def _weights_in(text: str) -> str | None:
    network = None if os.path.exists(text) else network_in(text)
    if text in INIT_WORDS or (network is not None and network.file is None):
        return None
    return text if network is None else str(network.file)


_PICTURES = Wanted(
    what="folder",
    path_in=_folder_in,
    accepted="a folder with a sub-folder of pictures for each class, or with --labels FILE",
)
_OWN = Wanted(what="file or folder", accepted="pictures, and folders of them")
_WEIGHTS = Wanted(
    what="file", path_in=_weights_in, error=UsageError,
    accepted="a file of weights (.pt, .pth, .ckpt, .safetensors), timm:NAME or torchvision:NAME",
)  # fmt: skip
WANTED = {
    "dataset": _PICTURES, "watch": _PICTURES, "transfer": _PICTURES, "moved": _PICTURES,
    "labels": Wanted(what="file", accepted="a CSV file whose first line is path,label or path,label,split"),
    "images": _OWN, "more": _OWN,
    "init": replace(_WEIGHTS, words=INIT_WORDS, accepted=f"scratch, pretrained (of evaluations), {_WEIGHTS.accepted}"),
    "beside": _WEIGHTS, "continue_from": _WEIGHTS,
    "logdir": Wanted(what="folder", accepted="a folder with TensorBoard's event files"),
    "check": Wanted(what="file", accepted="a Markdown file"),
    "data_dir": Wanted(what="folder", accepted="a folder, which may be new", made=True),
}  # fmt: skip
"""The options that name what must be there, but for --config, --preset, --method and --project, which are read at once."""


def hold_to_paths(command: Command, manual: str) -> None:
    """A UserError if a path that the command names is not there, or is no folder where one is wanted.

    It names the option, what is accepted, and a command: the same line with a similar name, else `manual`.
    """
    given = vars(command)
    out_of_place = {  # which the command says later
        "labels": not str(given.get("dataset") or FOLDER).startswith(FOLDER), "more": not given.get("images"),
    }  # fmt: skip
    for name, wanted in WANTED.items():
        for text in _texts(None if out_of_place.get(name) else given.get(name)):
            path = wanted.path_in(text)
            wrong = _what_is_wrong(path, wanted) if path else ""
            if wrong:
                raise wanted.error(f"{_called(command, name)}{text}: {wrong}; {_advice(text, path or '', wanted, manual)}")


def _texts(value: object) -> Iterator[str]:
    """The texts of an option that may be given once, several times, or not at all."""
    for one in value if isinstance(value, list) else [value]:
        if one is not None:
            yield str(one)


def _what_is_wrong(path: str, wanted: Wanted) -> str:
    if os.path.exists(path):
        return "this is a file" if wanted.what == "folder" and os.path.isfile(path) else ""
    return "" if wanted.made else f"there is no such {wanted.what}"


def _called(command: Command, name: str) -> str:
    """The option before its value, as --images; nothing for an argument. `more` are pictures after --images."""
    hint = command.hints(vars(command))[name]
    if name != "more" and any(isinstance(item, ArgumentInfo) for item in get_args(hint)):
        return ""
    return f"--{'images' if name == 'more' else name.replace('_', '-')} "


def _advice(text: str, path: str, wanted: Wanted, manual: str) -> str:
    """What is accepted, and what to type: the same with the most similar name that is there, if there is one."""
    here: list[str] = []
    if not os.path.exists(path):
        with suppress(OSError, ValueError):
            here = os.listdir(os.path.dirname(path) or os.curdir)
    names = {Path(name).stem: name for name in [*wanted.words, *here]}  # an equal suffix makes no two names alike
    near = names.get(nearest(Path(path).stem, names) or "")
    line = _with_instead(text, text.replace(path, str(Path(path).with_name(near)))) if near else ""
    question = f"did you mean {near!r}? " if near else ""
    command = f"to use it, type: {line}" if line else f"to see the option, type: {manual}"
    return f"{question}accepted: {wanted.accepted}; {command}"


def _with_instead(text: str, better: str) -> str:
    """The line or the call that was typed, with another value in the place of one; "" if that changes nothing."""
    line = as_typed()
    if not line.startswith("ssl "):
        found = line.replace(repr(text), repr(better))
    else:
        found = shlex.join(_instead(word, text, better) for word in shlex.split(line))
    return found if found != line else ""


def _instead(word: str, text: str, better: str) -> str:
    if word.startswith("--") and word.endswith(f"={text}"):
        return word.removesuffix(text) + better
    return better if word == text else word
