"""Letters that the usual font lacks: drawn with other fonts of the machine, or reported as missing, once."""

from __future__ import annotations

import sys
from functools import cache

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.text import Text

SHOWN = 20  # missing letters that the message names
SAID: list[str] = []  # the letters reported, once per process


def make_legible(figure: Figure) -> None:
    """Set fonts that have all letters of a figure's texts; report the letters for which there is no font."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    for text in texts:
        if not text.get_text().isascii():  # a file name may be invalid Unicode
            text.set_text(text.get_text().encode("utf-8", "replace").decode())
    letters = dict.fromkeys(c for text in texts for c in text.get_text() if c.isprintable() and not c.isascii())
    usual = letters_of(findfont(FontProperties()))
    lacking = "".join(letter for letter in letters if letter not in usual)
    if not lacking:
        return
    families, missing = families_with(lacking)
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), *families])
    if missing:
        _say_missing(missing)


@cache
def families_with(letters: str) -> tuple[list[str], str]:
    """Font families of this machine that have some of the letters, and the letters that no font has."""
    families: list[str] = []
    missing = list(letters)
    for font in fontManager.ttflist:
        if not missing:
            break
        if (font.style, font.weight) != ("normal", 400) or font.name.startswith("Last Resort"):  # which has only boxes
            continue
        left = [letter for letter in missing if letter not in letters_of(font.fname)]
        families += [font.name] * (len(left) < len(missing))
        missing = left
    return families, "".join(missing)


@cache
def letters_of(path: str) -> frozenset[str]:
    """The letters of the font in a file."""
    return frozenset(map(chr, get_font(path).get_charmap()))


def _say_missing(letters: str) -> None:
    if SAID:
        return
    SAID.append(letters)
    print(
        f"ssl: no font on this machine has these letters of the labels: {letters[:SHOWN]}; they are drawn as boxes; "
        "to see them, install a font such as Noto Sans CJK",
        file=sys.stderr,
    )
