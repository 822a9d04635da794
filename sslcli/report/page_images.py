"""The local images of a Markdown page, and the positions of their targets in its text.

markdown-it finds the images; each target is then looked up in the source, for its line and for --fix.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".avif", ".bmp", ".tif", ".tiff", ".ico")
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ATTRIBUTE = re.compile(r"""(?<![\w-])(?:src|srcset)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


@dataclass(frozen=True)
class Link:
    """A local image of a page: its decoded target, the line, and the target's position text[start:end], -1 if not found."""

    target: str
    line: int
    start: int = -1
    end: int = -1

    @property
    def path(self) -> str:
        """The path: without query and fragment, with %20 and the like decoded."""
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
    """A page's text, searched in the order of its tokens to find the position of each."""

    def __init__(self, text: str, references: dict[str, Any]) -> None:
        self.text, self.references = text, references
        self.lines = [0, *(found.end() for found in re.finditer(r"\r\n?|\n", text)), len(text)]
        self.place = self.end = 0

    def enter(self, lines: list[int]) -> None:
        """Go to the block of these lines."""
        self.place, self.end = self.lines[lines[0]], self.lines[min(lines[1], len(self.lines) - 1)]

    def skip(self, content: str) -> int:
        """Move behind the next occurrence of `content`; returns its position, or -1 if it is not there in one piece."""
        found = self.text.find(content, self.place, self.end)
        self.place = found + len(content) if found >= 0 else self.place
        return found

    def link(self, target: str, start: int = -1, end: int = -1) -> Link:
        """A link at a position; if that is unknown, on the current line."""
        return Link(target, 1 + self._line(start if start >= 0 else self.place), start, end)

    def _line(self, place: int) -> int:
        return sum(begin <= place for begin in self.lines[1:-1])

    def destinations(self, href: str) -> list[Link]:
        """The next target `href` in round brackets, or else the reference definitions with this target."""
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
    """The images of a piece of HTML, which may be incomplete."""
    for tag, attributes in _tags(content):
        begin = source.skip(tag)
        for value in (value for name, value in attributes if name == "src" and value):
            yield _in_tag(value, value, tag, begin, source)
        for value in (value for name, value in attributes if name == "srcset" and value):
            for candidate in _candidates(value):
                yield _in_tag(candidate, value, tag, begin, source)


def _candidates(srcset: str) -> list[str]:
    """The addresses of a srcset, each followed by white space and a descriptor up to a comma. An address may contain commas."""
    found = re.findall(r"[\s,]*(\S*[^\s,])(?:,+(?=\s|$)|\s[^,]*|$)", srcset)
    return [str(address) for address in found]


def _in_tag(target: str, value: str, tag: str, begin: int, source: Source) -> Link:
    """The link of a target in a tag at `begin`: the attribute's whole value, or one of several addresses in it."""
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
    """The <img> and <source> tags of a piece of HTML: their text and attributes."""

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
