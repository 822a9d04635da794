"""ssl plots --check: the local images of a Markdown page that a reader would not see, and what their links mean."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from sslcli.errors import StateError
from sslcli.registry import atomic_write
from sslcli.training.events import OLD_NAMES

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ico")
CODE = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n.*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)"  # fenced code
    r"|(?P<tick>`+)(?!`).+?(?<!`)(?P=tick)(?!`)"  # a code span
    r"|<!--.*?-->",
    re.MULTILINE | re.DOTALL,
)
TARGET = r"(?:<(?P<angled>[^<>\n]*)>|(?P<bare>(?:\\.|[^\s()<>\\]|\((?:\\.|[^\s()\\])*\))+))"
TITLE = r"""(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*"""
INLINE = re.compile(r"\]\(\s*" + TARGET + TITLE + r"\)")
DEFINITION = re.compile(r"^ {0,3}\[(?P<label>(?:\\.|[^\[\]\\])+)\]:\s*" + TARGET, re.MULTILINE)
USE = re.compile(r"!\[(?P<alt>(?:\\.|[^\[\]\\])*)\](?:\[(?P<label>(?:\\.|[^\[\]\\])*)\])?(?!\()")
TAG = re.compile(r"<(?:img|source)\b(?:\"[^\"]*\"|'[^']*'|[^>\"'])*>", re.IGNORECASE)
SOURCE = re.compile(
    r"(?<![\w-])(?:src|(?P<set>srcset))\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<plain>[^\s\"'>]+))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Link:
    """A link's target as it stands in the page, and where: text[start:end]."""

    target: str
    start: int
    end: int

    @property
    def path(self) -> str:
        """The path that is meant: without query and fragment, %20 and the like decoded."""
        plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", re.split(r"[?#]", self.target)[0])
        return unquote(plain)


def image_links(text: str) -> list[Link]:
    """The local images of a page: ![](), <img>, reference links, and links to picture files; not those within code."""
    masked = CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    links = {link.start: link for link in _found(masked)}
    local = [link for link in links.values() if link.target and not re.match(r"[a-z][a-z0-9+.-]+:|//|#", link.target, re.I)]
    return sorted(local, key=lambda link: link.start)


def _found(text: str) -> Iterator[Link]:
    for found in INLINE.finditer(text):
        link = _link(found, "angled", "bare")
        if _is_image(text, found.start()) or link.path.lower().endswith(IMAGES):
            yield link
    for tag in TAG.finditer(text):
        for found in SOURCE.finditer(text, *tag.span()):
            whole = _link(found, "double", "single", "plain")
            parts = re.finditer(r"(?:^|,)\s*([^\s,]+)", whole.target) if found["set"] else ()
            yield from [Link(part[1], whole.start + part.start(1), whole.start + part.end(1)) for part in parts]
            if not found["set"]:
                yield whole
    used = {_label(found["label"] or found["alt"]) for found in USE.finditer(text)}
    for found in DEFINITION.finditer(text):
        link = _link(found, "angled", "bare")
        if _label(found["label"]) in used or link.path.lower().endswith(IMAGES):
            yield link


def _link(found: re.Match[str], *groups: str) -> Link:
    name = next(group for group in groups if found[group] is not None)
    return Link(found[name], *found.span(name))


def _label(text: str) -> str:
    """Labels are compared without regard to case and spaces."""
    return " ".join(text.split()).casefold()


def _is_image(text: str, closing: int) -> bool:
    """Whether the bracket that closes at `closing` was opened by `![`."""
    depth = 0
    for place in range(closing, -1, -1):
        if text[place] in "[]" and text[place - 1 : place] != "\\":
            depth += 1 if text[place] == "]" else -1
            if depth == 0:
                return text[place - 1 : place] == "!" and place > 0
    return False


@dataclass(frozen=True)
class Served:
    """What a reader of the page can get: paths relative to `root`, in their exact case.

    Inside git those are the tracked files, which a host serves; `unserved` then says of others that lie there why not.
    """

    root: Path
    paths: frozenset[str]
    unserved: dict[str, str]

    def problem(self, path: str) -> str | None:
        """Why a path cannot be had, with what is probably meant; None if it can."""
        if path in self.paths:
            return None
        if path in self.unserved:
            return self.unserved[path]
        if path.startswith("../"):
            return f"lies outside {self.root}"
        if meant := self.meant(path):
            return f"is not there; {'meant is' if len(meant) == 1 else 'meant may be'} {' or '.join(meant)}"
        if hidden := [known for known in self.unserved if _key(known) == _key(path)]:
            return f"is not there; meant may be {hidden[0]}, which {self.unserved[hidden[0]]}"
        similar = self.similar(path)
        return "is not there" + (f"; perhaps {' or '.join(similar)} is meant" if similar else "")

    def meant(self, path: str) -> list[str]:
        """The files that are the path but for case and the original study's names."""
        return sorted(known for known in self.paths if path not in self.unserved and _key(known) == _key(path))

    def similar(self, path: str) -> list[str]:
        """Up to three pictures whose names look like the path's."""
        pictures = sorted(known for known in self.paths if known.lower().endswith(IMAGES))
        file = path.rpartition("/")[2].casefold()
        same_name = [known for known in pictures if known.rpartition("/")[2].casefold() == file]
        return (same_name or difflib.get_close_matches(path, pictures, 3))[:3]


def _key(path: str) -> str:
    """A path without its case, and with this project's name for what the original study called otherwise."""
    folder, _, file = path.casefold().rpartition("/")
    stem, _, suffix = file.rpartition(".")
    return f"{folder}/{OLD_NAMES.get(stem, stem)}.{suffix}"


def served_around(page: Path, links: Iterable[Link]) -> Served:
    """What can be had beside a page: git's tracked files where there is a repository, else the files on the disk."""
    if not any((folder / ".git").exists() for folder in page.parents):
        return Served(page.parent, frozenset(_on_disk(page, links)), {})
    root = Path(_git(page.parent, "rev-parse", "--show-toplevel").rstrip("\n"))

    def listed(*options: str) -> list[str]:
        return [name for name in _git(root, "ls-files", "-z", *options).split("\0") if name]

    unserved = dict.fromkeys(
        listed("--others", "--ignored", "--exclude-standard"), "is ignored by git, so a host does not have it"
    )
    unserved |= dict.fromkeys(listed("--others", "--exclude-standard"), "is not in git yet; to add it, type: git add")
    return Served(root, frozenset(listed()), unserved)


def _on_disk(page: Path, links: Iterable[Link]) -> Iterator[str]:
    """The files below a page's folder, and those above it that are linked, by the names that their folders list."""
    for path in page.parent.rglob("*"):
        if path.is_file():
            yield path.relative_to(page.parent).as_posix()
    for relative in (_relative(page.parent, page, link) for link in links):
        folder = page.parent
        *above, file = relative.split("/")
        for part in above:
            folder = folder.parent if part == ".." else folder / part if part in _names(folder) else Path()
        if above[:1] == [".."] and file in _names(folder):
            yield relative


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_absolute() and folder.is_dir() else []


def _git(folder: Path, *arguments: str) -> str:
    """What git prints; a StateError if there is no git or it refuses."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)  # noqa: S603, S607
    except OSError as error:
        raise StateError(f"{folder} is in a git repository, and git cannot be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise StateError(f"git does not tell what is in {folder}: {error.stderr.decode(errors='replace').strip()}") from error
    return done.stdout.decode(errors="surrogateescape")


def check(page: Path, *, fix: bool) -> None:
    """Name each local image of the page that cannot be had, and what is probably meant; a StateError if there is one.

    With `fix`, links to which there is exactly one answer are rewritten first, and nothing else.
    """
    if not page.is_file():
        raise StateError(f"--check {page}: there is no such file")
    page = page.resolve()
    text = page.read_bytes().decode(errors="surrogateescape")
    links = image_links(text)
    served = served_around(page, links)
    broken, fixed = [], []
    for link in reversed(links):  # from the end, so that the places before stay right
        path = _relative(served.root, page, link)
        problem, meant = served.problem(path), served.meant(path)
        place = f"{page.name}, line {text.count(chr(10), 0, link.start) + 1}: {link.target}"
        if problem and fix and len(meant) == 1:
            target = _rewritten(link, served.root / meant[0], served.root, page)
            text = text[: link.start] + target + text[link.end :]
            fixed.append(f"{place}: now {target}")
        elif problem:
            broken.append(f"{place} {problem}")
    if fixed:
        atomic_write(page, lambda handle: handle.write(text.encode(errors="surrogateescape")))
    for line in [*reversed(fixed), *reversed(broken)]:
        print(line)
    if broken:
        advice = "" if fix else f"; to mend what has exactly one answer, type: ssl plots --check {shlex.quote(page.name)} --fix"
        raise StateError(f"{len(broken)} of {len(links)} local images of {page.name} cannot be had{advice}")
    print(f"{page.name}: {len(links)} local images, all there")


def _relative(root: Path, page: Path, link: Link) -> str:
    """A link's path relative to the root of what is served; one that begins with a slash is meant from there."""
    start = root if link.path.startswith("/") else page.parent
    return Path(os.path.relpath(os.path.normpath(start / link.path.lstrip("/")), root)).as_posix()


def _rewritten(link: Link, meant: Path, root: Path, page: Path) -> str:
    """A target with another path, written as the old one was: from the root or the page, with or without %20."""
    from_root = link.path.startswith("/")
    path = ("/" if from_root else "") + Path(os.path.relpath(meant, root if from_root else page.parent)).as_posix()
    if link.target.startswith("./"):
        path = f"./{path}"
    if "%" in link.target:
        path = quote(path)
    return path + link.target[len(re.split(r"[?#]", link.target)[0]) :]
