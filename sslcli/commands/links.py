"""ssl plots --check: the local images of a Markdown page that a reader would not see, and what their links mean.

markdown-it says which images a page has; where each target stands in the source is then looked up, for the line and for
--fix.
"""

from __future__ import annotations

import difflib
import html
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sslcli.errors import StateError, UsageError
from sslcli.files import atomic_write
from sslcli.training.events import OLD_NAMES

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ico")
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ATTRIBUTE = re.compile(r"""(?:src|srcset)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


@dataclass(frozen=True)
class Link:
    """A local image of a page: its target as decoded, the line, and where the target stands, text[start:end], if found."""

    target: str
    line: int
    start: int = -1
    end: int = -1

    @property
    def path(self) -> str:
        """The path that is meant: without query and fragment, %20 and the like decoded."""
        return unquote(re.split(r"[?#]", self.target)[0], errors="surrogateescape")


def image_links(text: str) -> list[Link]:
    """The local images of a page: ![](), <img>, <source>, reference links, and links to picture files."""
    environment: dict[str, Any] = {}
    tokens = MARKDOWN.parse(text, environment)
    source = Source(text, environment.get("references", {}))
    found = [link for token in tokens if token.map for link in _links_of_block(token, source)]
    local = {(link.start, link.line, link.target): link for link in found if _is_local(link.target)}
    return sorted(local.values(), key=lambda link: (link.line, link.start))


def _is_local(target: str) -> bool:
    return bool(target) and not re.match(r"[a-z][a-z0-9+.-]+:|//|#", target, re.IGNORECASE)


class Source:
    """A page's text, walked in the order of its tokens, to find where each of them stands."""

    def __init__(self, text: str, references: dict[str, Any]) -> None:
        self.text, self.references = text, references
        self.lines = [0, *(found.end() for found in re.finditer(r"\r\n?|\n", text)), len(text)]
        self.place = self.end = 0

    def enter(self, lines: list[int]) -> None:
        """Go to the block of these lines."""
        self.place, self.end = self.lines[lines[0]], self.lines[min(lines[1], len(self.lines) - 1)]

    def skip(self, content: str) -> int:
        """Go on behind the next occurrence of `content`; its place, or -1 where it is not there in one piece."""
        found = self.text.find(content, self.place, self.end)
        self.place = found + len(content) if found >= 0 else self.place
        return found

    def link(self, target: str, start: int = -1, end: int = -1) -> Link:
        """A link at a place, or where that is unknown on the line that was reached."""
        return Link(target, 1 + self._line(start if start >= 0 else self.place), start, end)

    def _line(self, place: int) -> int:
        return sum(begin <= place for begin in self.lines[1:-1])

    def destinations(self, href: str) -> list[Link]:
        """The next target in round brackets that is `href`, else the definitions of references that are."""
        for opening in re.compile(r"\]\([ \t\r\n]*").finditer(self.text, self.place, self.end):
            if link := self._target_at(opening.end(), href):
                self.place = link.end
                return [link]
        found = []
        for begin, stop in (reference["map"] for reference in self.references.values() if reference["href"] == href):
            colon = re.compile(r"\]:\s*").search(self.text, self.lines[begin], self.lines[stop])
            if colon and (link := self._target_at(colon.end(), href)):
                found.append(link)
        return found or [self.link(href)]

    def _target_at(self, place: int, href: str) -> Link | None:
        found = MARKDOWN.helpers.parseLinkDestination(self.text, place, len(self.text))
        if not found.ok or MARKDOWN.normalizeLink(found.str) != href:
            return None
        angled = self.text[place] == "<"
        return self.link(href, place + angled, found.pos - angled)


def _links_of_block(block: Token, source: Source) -> Iterator[Link]:
    if block.type == "html_block":
        source.enter(block.map or [0, 0])
        yield from _links_of_html(block.content, source)
    if block.type != "inline":
        return
    source.enter(block.map or [0, 0])
    open_links: list[str] = []
    for token in block.children or ():
        if token.type == "image":
            yield from source.destinations(str(token.attrs["src"]))
        elif token.type == "link_open":
            open_links.append(str(token.attrs["href"]))
        elif token.type == "link_close":
            href = open_links.pop()
            if unquote(re.split(r"[?#]", href)[0]).lower().endswith(IMAGES):
                yield from source.destinations(href)
        elif token.type == "html_inline":
            yield from _links_of_html(token.content, source)
        elif token.type in ("code_inline", "text"):
            source.skip(token.content)


def _links_of_html(content: str, source: Source) -> Iterator[Link]:
    """The images of a piece of HTML; it need not be whole."""
    for tag, attributes in _tags(content):
        begin = source.skip(tag)
        for value in (value for name, value in attributes if name == "src" and value):
            yield _in_tag(value, value, tag, begin, source)
        for value in (value for name, value in attributes if name == "srcset" and value):
            for candidate in re.findall(r"(?:^|,)\s*([^\s,]+)", value):
                yield _in_tag(candidate, value, tag, begin, source)


def _in_tag(target: str, value: str, tag: str, begin: int, source: Source) -> Link:
    """Where a target stands in a tag at `begin`: it is the attribute's whole value, or one of several in it."""
    for found in ATTRIBUTE.finditer(tag) if begin >= 0 else ():
        raw, place = found[found.lastindex or 0], begin + found.start(found.lastindex or 0)
        if html.unescape(raw) != value:
            continue
        if target == value:
            return source.link(target, place, place + len(raw))
        if part := re.search(rf"(?<![^\s,]){re.escape(target)}(?![^\s,])", raw):
            return source.link(target, place + part.start(), place + part.end())
    return source.link(target)


def _tags(content: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """The <img> and <source> tags of a piece of HTML, as they stand and by attributes."""

    class Collector(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag in ("img", "source"):
                self.found.append((self.get_starttag_text() or "", attrs))

    collector = Collector()
    collector.feed(content)
    return collector.found


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
        if hidden := [known for known in self.unserved if known.casefold() in _readings(path)]:
            return f"is not there; meant may be {hidden[0]}, which {self.unserved[hidden[0]]}"
        similar = self._similar(path)
        return "is not there" + (f"; perhaps {' or '.join(similar)} is meant" if similar else "")

    def meant(self, path: str) -> list[str]:
        """The files that are the path but for case and the original study's names."""
        return sorted(known for known in self.paths if path not in self.unserved and known.casefold() in _readings(path))

    def _similar(self, path: str) -> list[str]:
        """Up to three pictures whose names look like the path's."""
        pictures = sorted(known for known in self.paths if known.lower().endswith(IMAGES))
        file = path.rpartition("/")[2].casefold()
        same_name = [known for known in pictures if known.rpartition("/")[2].casefold() == file]
        return (same_name or difflib.get_close_matches(path, pictures, 3))[:3]


def _readings(path: str) -> set[str]:
    """What a path may mean, in lower case: itself, and with the name here of what the original study called otherwise."""
    folder, slash, file = path.casefold().rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    return {path.casefold(), folder + slash + OLD_NAMES.get(stem, stem) + dot + suffix}


def served_around(page: Path, links: Iterable[Link]) -> Served:
    """What can be had beside a page: git's tracked files where there is a repository, else the files on the disk."""
    if not any((folder / ".git").exists() for folder in page.parents):
        return Served(page.parent, frozenset(_on_disk(page, links)), {})
    root = Path(_git(page.parent, "rev-parse", "--show-toplevel").rstrip("\n"))

    def listed(*options: str) -> list[str]:
        return [name for name in _git(root, "ls-files", "-z", *options).split("\0") if name]

    ignored = listed("--others", "--ignored", "--exclude-standard")
    unserved = dict.fromkeys(ignored, "is ignored by git, so a host does not have it")
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
        certain = any(len(served.meant(_relative(served.root, page, link))) == 1 for link in problems.keys() - fixed.keys())
        advice = f"; to mend what has exactly one answer, type: ssl plots --check {shlex.quote(str(typed))} --fix"
        raise StateError(
            f"{broken} of {len(links)} local images of {typed} cannot be had{advice if certain and not fix else ''}"
        )
    print(f"{typed}: {len(links)} local images, all there")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text.encode("utf-8", "replace").decode())


def _mended(text: str, link: Link, served: Served, page: Path) -> tuple[str, str] | None:
    """The page with one link rewritten, and its new target; None where what is meant is not certain or cannot be written."""
    meant = served.meant(_relative(served.root, page, link))
    if len(meant) != 1 or link.start < 0:
        return None
    raw = text[link.start : link.end]
    from_root = link.path.startswith("/")
    relative = os.path.relpath(served.root / meant[0], served.root if from_root else page.parent)
    path = ("/" if from_root else "./" if raw.startswith("./") else "") + Path(relative).as_posix()
    tail = raw[len(re.split(r"[?#]", raw)[0]) :]
    for written in (quote(os.fsencode(path)),) if "%" in raw else (path, quote(os.fsencode(path)), html.escape(path)):
        candidate = text[: link.start] + written + tail + text[link.end :]
        there = [other.path for other in image_links(candidate) if other.start == link.start]
        if [os.path.normpath(other) for other in there] == [os.path.normpath(path)]:
            return candidate, written + tail
    return None


def _relative(root: Path, page: Path, link: Link) -> str:
    """A link's path relative to the root of what is served; one that begins with a slash is meant from there."""
    start = root if link.path.startswith("/") else page.parent
    return Path(os.path.relpath(os.path.normpath(start / link.path.lstrip("/")), root)).as_posix()
