"""ssl plots --check: the local images of a Markdown page that a reader would not see, and what their links mean."""

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
"""Paths that Markdown and HTML take as they are, such as all that the program writes. Links are mended to no others."""


@dataclass(frozen=True)
class Served:
    """What a reader of the page can get: paths relative to `root`, in their exact case.

    Inside git those are the tracked files that are not deleted, which a host serves; `unserved` then says of others why not.
    """

    root: Path
    paths: frozenset[str]
    unserved: dict[str, str]

    def problem(self, path: str) -> str | None:
        """Why a path cannot be had, with what is probably meant; None if it can."""
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
        """The files that are the path but for case and the original study's names."""
        return sorted(known for known in self.paths if path not in self.unserved and known.casefold() in _readings(path))

    def _beyond(self, path: str) -> str | None:
        """Why a host would not look into a folder on the way to a path: git has a link or another repository there."""
        for folder in map(str, PurePosixPath(path).parents):
            if folder in self.paths and (self.root / folder).is_symlink():
                return f"lies behind the link {folder}, which a host does not follow"
            if folder in self.paths and (self.root / folder).is_dir():
                return f"lies in the submodule {folder}, whose files a host does not show with this page"
            if f"{folder}/" in self.unserved:
                return f"lies in {folder}, a git repository of its own, so a host does not have it"
        return None


def _readings(path: str) -> set[str]:
    """What a path may mean, in lower case: itself, and with the name here of what the original study called otherwise."""
    folder, slash, file = path.casefold().rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    return {path.casefold(), folder + slash + OLD_NAMES.get(stem, stem) + dot + suffix}


def _damage(file: Path) -> str | None:
    """Why a file that can be had shows nothing. One that a sparse checkout leaves out is whole on the host."""
    if file.is_file():
        return None if file.stat().st_size else "is an empty file"
    return "is no file: a folder, or a link that leads nowhere" if file.is_symlink() or file.is_dir() else None


def served_around(page: Path, links: Iterable[Link]) -> Served:
    """What can be had beside a page: git's tracked files where there is a repository, else the files on the disk."""
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
        unserved[name] = f"is in git, but deleted here; to have it back, type: {_git_command('restore', root / name)}"
    return Served(root, frozenset(listed()) - {*gone}, unserved)


def _git_command(verb: str, path: Path) -> str:
    return shlex.join(["git", verb, os.path.relpath(path)])


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
    typed, page = page, page.resolve()
    text = page.read_bytes().decode(errors="surrogateescape")
    if "\0" in text:
        raise UsageError(f"--check {typed} is no Markdown page: it holds bytes that no text has")
    links = image_links(text)
    served = served_around(page, links)
    problems = {link: problem for link in links if (problem := served.problem(_relative(served.root, page, link)))}
    fixed: dict[Link, str] = {}
    for link in sorted(problems, key=lambda link: -link.start) if fix else ():  # from the end: places before stay right
        mended = _mended(text, link, served, page)
        if mended:
            text, fixed[link] = mended
    if fixed:
        atomic_write(page, lambda handle: handle.write(text.encode(errors="surrogateescape")))
    for link, problem in problems.items():
        print(_printable(f"{typed}, line {link.line}: {link.path} {f'is now {fixed[link]}' if link in fixed else problem}"))
    if broken := len(problems) - len(fixed):
        certain = not fix and any(_mended(text, link, served, page) for link in problems.keys() - fixed.keys())
        advice = f"; to mend what has exactly one answer, type: ssl plots --check {shlex.quote(str(typed))} --fix"
        raise StateError(f"{broken} of {len(links)} local images of {typed} cannot be had{advice if certain else ''}")
    print(f"{typed}: {len(links)} local images, all there")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text.encode("utf-8", "replace").decode())


def _mended(text: str, link: Link, served: Served, page: Path) -> tuple[str, str] | None:
    """The page with one link rewritten, and its new target; None where what is meant is not certain, or no file of ours."""
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
    """A link's path relative to the root of what is served; one that begins with a slash is meant from there."""
    start = root if link.path.startswith("/") else page.parent
    return Path(os.path.relpath(os.path.normpath(start / link.path.lstrip("/")), root)).as_posix()
