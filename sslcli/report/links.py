"""ssl plots --check: find the local images of a Markdown page that a reader would not see, and their probable targets."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sslcli.errors import StateError, UsageError
from sslcli.files import atomic_write
from sslcli.report.page_images import Link, image_links
from sslcli.training.tags import OLD_NAMES

PLAIN = re.compile(r"[\w./-]+", re.ASCII)
"""Paths that need no escaping in Markdown and HTML, like all that the program writes. Links are fixed only to such paths."""


@dataclass(frozen=True)
class Served:
    """The files that a reader of the page can get: paths relative to `root`, in their exact case.

    In a git repository these are the tracked files that are not deleted; `unserved` gives the reason for each other file.
    """

    root: Path
    paths: frozenset[str]
    unserved: dict[str, str]

    def problem(self, path: str) -> str | None:
        """Why a reader cannot get a path, with its probable target; None if a reader can."""
        if path in self.paths:
            return _damage(self.root / path)
        if path in self.unserved:
            return self.unserved[path]
        if beyond := self._beyond(path):
            return beyond
        if path.startswith("../"):
            return f"lies outside {self.root}"
        if meant := self.meant(path):
            return f"is not there; {'meant is' if len(meant) == 1 else 'meant may be'} {' or '.join(meant)}"
        if hidden := [known for known in self.unserved if known.casefold() in _readings(path)]:
            return f"is not there; meant may be {hidden[0]}, which {self.unserved[hidden[0]]}"
        return "is not there"

    def meant(self, path: str) -> list[str]:
        """The files that differ from the path only in case or by the original study's names."""
        return sorted(known for known in self.paths if path not in self.unserved and known.casefold() in _readings(path))

    def _beyond(self, path: str) -> str | None:
        """Why a host does not serve a path whose parent folder is a link or another repository; None if it does."""
        for folder in map(str, PurePosixPath(path).parents):
            if folder in self.paths and (self.root / folder).is_symlink():
                return f"lies behind the link {folder}, which a host does not follow"
            if folder in self.paths and (self.root / folder).is_dir():
                return f"lies in the submodule {folder}, whose files a host does not show with this page"
            if f"{folder}/" in self.unserved:
                return f"lies in {folder}, a git repository of its own, so a host does not have it"
        return None


def _readings(path: str) -> set[str]:
    """The readings of a path, in lower case: as it is, and with a file name of the original study replaced by the one here."""
    folder, slash, file = path.casefold().rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    return {path.casefold(), folder + slash + OLD_NAMES.get(stem, stem) + dot + suffix}


def _damage(file: Path) -> str | None:
    """Why a file shows nothing; None if it does, or if a sparse checkout leaves it out here."""
    if file.is_file():
        return None if file.stat().st_size else "is an empty file"
    return "is not a file, but a folder or a broken link" if file.is_symlink() or file.is_dir() else None


def served_around(page: Path, links: Iterable[Link]) -> Served:
    """The files that a reader of a page can get: git's tracked files in a repository, else the files on the disk."""
    if not any((folder / ".git").exists() for folder in page.parents):
        return Served(page.parent, frozenset(_on_disk(page, links)), {})
    root = Path(_git(page.parent, "rev-parse", "--show-toplevel").rstrip("\n"))

    def listed(*options: str) -> list[str]:
        return [name for name in _git(root, "ls-files", "-z", *options).split("\0") if name]

    ignored = listed("--others", "--ignored", "--exclude-standard")
    unserved = dict.fromkeys(ignored, "is ignored by git, so a host does not have it")
    for name in listed("--others", "--exclude-standard"):
        unserved[name] = f"is not in git yet; to add it, type: {_git_command('add', root / name)}"
    gone = listed("--deleted")
    for name in gone:
        unserved[name] = f"is in git, but deleted here; to restore it, type: {_git_command('restore', root / name)}"
    return Served(root, frozenset(listed()) - {*gone}, unserved)


def _git_command(verb: str, path: Path) -> str:
    return shlex.join(["git", verb, os.path.relpath(path)])


def _on_disk(page: Path, links: Iterable[Link]) -> Iterator[str]:
    """The files below a page's folder, and the linked files above it, in the exact case of their names on the disk."""
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
    """The output of git; a StateError if git is missing or fails."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)  # noqa: S603, S607
    except OSError as error:
        raise StateError(f"{folder} is in a git repository, and git cannot be run: {error}") from error
    except subprocess.CalledProcessError as error:
        raise StateError(f"git cannot list the files in {folder}: {error.stderr.decode(errors='replace').strip()}") from error
    return done.stdout.decode(errors="surrogateescape")


def check(page: Path, *, fix: bool) -> None:
    """Print each local image of the page that a reader cannot get, and its probable target; a StateError if there is one.

    With `fix`, links with exactly one possible target are fixed first; nothing else changes.
    """
    if not page.is_file():
        raise StateError(f"--check {page}: there is no such file")
    typed, page = page, page.resolve()
    text = page.read_bytes().decode(errors="surrogateescape")
    if "\0" in text:
        raise UsageError(f"--check {typed} is not a Markdown page: it holds bytes that are not text")
    links = image_links(text)
    served = served_around(page, links)
    problems = {link: problem for link in links if (problem := served.problem(_relative(served.root, page, link)))}
    fixed: dict[Link, str] = {}
    for link in sorted(problems, key=lambda link: -link.start) if fix else ():  # from the end, to keep positions
        mended = _mended(text, link, served, page)
        if mended:
            text, fixed[link] = mended
    if fixed:
        atomic_write(page, lambda handle: handle.write(text.encode(errors="surrogateescape")))
    for link, problem in problems.items():
        print(_printable(f"{typed}, line {link.line}: {link.path} {f'is now {fixed[link]}' if link in fixed else problem}"))
    if broken := len(problems) - len(fixed):
        certain = not fix and any(_mended(text, link, served, page) for link in problems.keys() - fixed.keys())
        advice = f"; to fix links with exactly one possible target, type: ssl plots --check {shlex.quote(str(typed))} --fix"
        raise StateError(f"{broken} of {len(links)} local images of {typed} are not available{advice if certain else ''}")
    print(f"{typed}: {len(links)} local images, all available")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text.encode("utf-8", "replace").decode())


def _mended(text: str, link: Link, served: Served, page: Path) -> tuple[str, str] | None:
    """The page with one link fixed, and the new target; None if the target is not certain, or needs escaping."""
    meant = served.meant(_relative(served.root, page, link))
    if len(meant) != 1 or link.start < 0:
        return None
    raw = text[link.start : link.end]
    from_root = link.path.startswith("/")
    relative = os.path.relpath(served.root / meant[0], served.root if from_root else page.parent)
    path = ("/" if from_root else "./" if raw.startswith("./") else "") + Path(relative).as_posix()
    if not PLAIN.fullmatch(path):
        return None
    written = path + raw[len(re.split(r"[?#]", raw)[0]) :]
    return text[: link.start] + written + text[link.end :], written


def _relative(root: Path, page: Path, link: Link) -> str:
    """A link's path relative to `root`; a path that starts with a slash starts there."""
    start = root if link.path.startswith("/") else page.parent
    return Path(os.path.relpath(os.path.normpath(start / link.path.lstrip("/")), root)).as_posix()
