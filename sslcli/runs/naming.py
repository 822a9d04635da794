"""The names of runs, data sets and inits as parts of an id or a file name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sslcli.data import FOLDER

if TYPE_CHECKING:
    from sslcli.runs.run import Origin


def share_label(share: float | None) -> str:
    """A fraction of the labels as part of a name: _0p1 for a tenth, "" for all."""
    return "" if share in (None, 1) else f"_{share:.6g}".replace("0.", "0p")


def dataset_word(dataset: str | None) -> str:
    """A data set as part of a file name, in lower-case ASCII; for folder:PATH, the name of the folder."""
    if not (dataset or "").startswith(FOLDER):
        return dataset or ""
    return f"folder-{plain_word(Path((dataset or '').removeprefix(FOLDER)).name) or 'pictures'}"


def plain_word(text: str) -> str:
    """A text in lower-case ASCII, with hyphens for all but letters and digits; "" if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


METHOD_IN_FILE = re.compile(r"(?P<path>.*\.py):(?P<kind>[^\W\d]\w*)", re.DOTALL)


def file_of_method(method: object) -> tuple[str, str] | None:
    """Path and class of --method FILE.py:CLASS; None for a built-in method."""
    found = METHOD_IN_FILE.fullmatch(str(method))
    return (found["path"], found["kind"]) if found else None


def class_word(kind: str) -> str:
    """The name of a class as the name of a method: MyMethod becomes my-method."""
    return plain_word(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind))[:40].strip("-")


def init_label(init: str, origin: Origin) -> str:
    """The registry's name for an init: the word itself, or file name and sha256 of others' weights (`origin`)."""
    if not origin:
        return init
    stem = re.sub(r"(\.(pth?|ckpt|tar|safetensors|torch))+$", "", origin["file"].lower())
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:24].strip("-")
    name = "-".join(filter(None, (stem, origin["sha256"][:8])))
    return f"{CONTINUED}{name}" if init == "pretrained" else f"{OF_FILE}{name}"


NETWORK = re.compile(r"(?P<backbone>(timm|torchvision):[\w.\-]+)(@(?P<side>[1-9]\d{0,3}))?(=(?P<file>.+))?", re.DOTALL)


class Network(NamedTuple):
    """A library's network that --init names: timm:NAME or torchvision:NAME; the side of its images, if given, and its file."""

    backbone: str
    side: int | None
    file: Path | None


def network_in(init: str) -> Network | None:
    """The network of --init timm:NAME, torchvision:NAME@SIDE or timm:NAME=FILE; None for another init."""
    if (found := NETWORK.fullmatch(init)) is None:
        return None
    side, file = found["side"], found["file"]
    return Network(found["backbone"], int(side) if side else None, Path(file) if file else None)


INIT_WORDS = ("pretrained", "scratch")
CONTINUED, OF_FILE = "pretrained-from-", "file-"
OF_TORCHVISION = re.compile(r"-[0-9a-f]{8}$")
"""How the name of a file that torchvision downloads ends: with the start of its sha256."""


def inits_in_words(inits: Iterable[str | None]) -> dict[str, str]:
    """Each init by its name for a person: the word itself, the name of a file of weights, or "continued from" one.

    With the start of the file's sha256 where two files have one name, or a file is called as an init.
    """
    known = list(dict.fromkeys(init for init in inits if init))
    words = [_init_in_words(init) for init in known]
    taken = Counter({*INIT_WORDS} - {*known}) + Counter(words)
    return {
        init: f"{word} ({init.rpartition('-')[2]})" if taken[word] > 1 and init not in INIT_WORDS else word
        for init, word in zip(known, words, strict=True)
    }


def _init_in_words(init: str) -> str:
    if not init.startswith((CONTINUED, OF_FILE)):
        return init
    file = OF_TORCHVISION.sub("", init.removeprefix(CONTINUED).removeprefix(OF_FILE).rpartition("-")[0])
    return f"continued from {file}" if init.startswith(CONTINUED) else file


def weights_path(init: str) -> Path | None:
    """The file that --init names; None for pretrained and scratch."""
    return None if init in INIT_WORDS else Path(init)
