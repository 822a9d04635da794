"""Names for the tags of event files, in file names and on figures: lower-case ASCII, different for every tag."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Sequence

LONGEST = 60  # characters of a name
OLD_NAMES = {"train_epoch": "train_loss_epoch"}
"""Names of the original study to the names here."""
PLAIN = re.compile(rf"[a-z0-9/_. -]{{1,{LONGEST}}}", re.IGNORECASE | re.ASCII)
"""A tag whose name loses only upper case and the separators between words."""
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
"""Names that Windows reserves for devices, with any suffix."""


def plain(text: str, *, empty: str) -> str:
    """A text as a name in lower-case ASCII that every file system accepts; `empty` if no character remains.

    Accents are dropped. If letters of other scripts are dropped, digits from a hash of the whole text make the name unique.
    """
    letters = [c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c)]
    name = _joined("".join(letters))
    if any(c.isalnum() and not c.isascii() for c in letters):
        return marked(name or empty, text)
    return f"{empty}_{name}" if RESERVED.fullmatch(name) else name or empty


def _joined(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "_", text).strip("_.-")[:LONGEST].strip("_.-")


def marked(name: str, text: str) -> str:
    """The name with eight hexadecimal digits of the sha256 of its text."""
    return f"{name[: LONGEST - 9]}_{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def name_of(tag: str) -> str:
    """A tag as lower-case words: train/loss_step and Train_Loss_step are train_loss_step."""
    name = plain(tag.replace("-", "_"), empty="tag")
    return OLD_NAMES.get(name, name)


def names_of(folders: Sequence[Collection[str]]) -> dict[str, str]:
    """The name of each tag; `folders` are the tags of event folders whose curves share figures.

    Tags that differ only in case or separators share a name if no folder has two of them; else each has its own name.
    """
    claims: dict[str, list[str]] = {}
    for tag in sorted({tag for tags in folders for tag in tags}):
        claims.setdefault(name_of(tag), []).append(tag)
    names: dict[str, str] = {}
    for name, tags in claims.items():
        alike = all(PLAIN.fullmatch(tag) for tag in tags) and all(len({*tags} & {*known}) < 2 for known in folders)
        first = min(tags, key=lambda tag: (tag.replace("/", "_") != name, tag))
        names |= {tag: name if alike or tag == first else marked(name, tag) for tag in tags}
    return names
