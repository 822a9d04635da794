"""The colours of every picture and of the page, on light and on dark background."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours as #rrggbb. Text in `ink`, `soft`, `gain`, `loss`, `chance` and `link` is readable on `ground` and `card`."""

    ground: str
    card: str
    ink: str
    soft: str
    line: str
    gain: str
    loss: str
    chance: str
    link: str

    @property
    def as_css(self) -> str:
        """The custom properties of a style sheet: "--ground: #faf9f6; …"."""
        return " ".join(f"--{name}: {colour};" for name, colour in asdict(self).items())


LIGHT = Palette(
    ground="#faf9f6", card="#ffffff", ink="#1d1f24", soft="#575c66", line="#e1ded7",
    gain="#0b6a5d", loss="#a6431a", chance="#5d626c", link="#0b5f8a",
)  # fmt: skip
DARK = Palette(
    ground="#14161a", card="#1c1f25", ink="#e9e7e2", soft="#a9adb6", line="#32363e",
    gain="#63cdb9", loss="#f2a06b", chance="#b0b4bd", link="#7cc4ec",
)  # fmt: skip
SERIES = (LIGHT.gain, "#e08a3c", LIGHT.ink, "#4f8fc0", "#8e5ea2", "#9a6b1f")
"""The colours of curves: first pretrained, second scratch; these two differ in grey as well."""
LETTERS = (LIGHT.gain, "#96550f", LIGHT.ink, "#2f6a97", "#75488a", "#7a5314")
"""The colours of their names, dark enough to read."""
DARK_OF = (
    {colour: getattr(DARK, name) for name, colour in asdict(LIGHT).items()}
    | {"#9a6b1f": "#c9963f", "#8e5ea2": "#b98bcd"}
    | dict(zip(LETTERS[1::2] + LETTERS[4:5], ("#e8a765", "#7cb3dc", "#d0a95e", "#c39ad6"), strict=True))
)
"""The colour on dark ground of each colour of a chart; the others stay as they are."""
