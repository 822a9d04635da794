"""What runs, data sets and inits are called as a piece of an id or a file's name."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from sslcli.data import FOLDER

if TYPE_CHECKING:
    from sslcli.runs.run import Origin


def share_label(share: float | None) -> str:
    """A part of the labels as a piece of a name: _0p1 for a tenth, nothing for all."""
    return "" if share in (None, 1) else f"_{share:.6g}".replace("0.", "0p")


def dataset_word(dataset: str | None) -> str:
    """A data set as a piece of a file's name: of a folder its own name, in lower-case ASCII."""
    if not (dataset or "").startswith(FOLDER):
        return dataset or ""
    return f"folder-{plain_word(Path((dataset or '').removeprefix(FOLDER)).name) or 'pictures'}"


def plain_word(text: str) -> str:
    """A text in lower-case ASCII, what is no letter or digit as hyphens; "" if nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


METHOD_IN_FILE = re.compile(r"(?P<path>.*\.py):(?P<kind>[^\W\d]\w*)", re.DOTALL)


def file_of_method(method: object) -> tuple[str, str] | None:
    """Path and class that --method names as FILE.py:CLASS; None of a method by its name."""
    found = METHOD_IN_FILE.fullmatch(str(method))
    return (found["path"], found["kind"]) if found else None


def class_word(kind: str) -> str:
    """A class's name as the name of a method: my-method of MyMethod."""
    return plain_word(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind))[:40].strip("-")


def init_label(init: str, origin: Origin) -> str:
    """What the registry calls an init: its word; or the name and sha256 of others' weights, `origin`."""
    if not origin:
        return init
    stem = re.sub(r"(\.(pth?|ckpt|tar|safetensors|torch))+$", "", origin["file"].lower())
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:24].strip("-")
    name = "-".join(filter(None, (stem, origin["sha256"][:8])))
    return f"pretrained-from-{name}" if init == "pretrained" else f"file-{name}"


INIT_WORDS = ("pretrained", "scratch")


def weights_path(init: str) -> Path | None:
    """The file that --init names; None if it is one of its words."""
    return None if init in INIT_WORDS else Path(init)
