"""The pictures of a page: read with their text, and made smaller until they fit."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from sslcli.errors import StateError
from sslcli.figures.canvas import png_of

PLAIN = 4096
"""The most colours of a plot, including the shades at the edges of its letters."""
DAMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""The errors of Pillow for a damaged picture."""


@dataclass(frozen=True)
class Picture:
    """A PNG with its title and description; `name` is its path in the project, `size` its width and height in pixels."""

    name: str
    title: str
    description: str
    size: tuple[int, int]
    png: bytes

    @property
    def uri(self) -> str:
        """The picture as a data: URI."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    @property
    def alt(self) -> str:
        """What the picture shows, in words."""
        return ". ".join(part.rstrip(". ") for part in (self.title, self.description) if part) or self.name

    @property
    def cost(self) -> int:
        """About how many bytes of a page it takes: the URI, and its words in `alt` and caption."""
        return 4 * len(self.png) // 3 + 2 * len(self.alt) + 600


def read_text(path: Path) -> tuple[str, str]:
    """Title and description from a PNG's text chunks, each on one line, empty if missing; a StateError if it is damaged."""
    try:
        with Image.open(path) as image:
            found = [str(image.info.get(key, "")) for key in ("Title", "Description")]
    except DAMAGE as error:
        raise StateError(f"{path} is no whole picture: {error}") from error
    title, description = (" ".join(text.split()) for text in found)
    return title, description


def read_picture(path: Path, *, name: str) -> Picture:
    """Read a PNG; if that is smaller, compress it again on white without loss. A StateError if it is damaged."""
    title, description = read_text(path)
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            packed, size = _packed(_on_white(image)), image.size
    except DAMAGE as error:
        raise StateError(f"{path} is no whole picture: {error}") from error
    return Picture(name, title, description, size, min(packed, content, key=len))


def picture_of(figure: Figure, *, name: str, description: str) -> Picture:
    """A figure as a picture with the figure's title, without writing a file."""
    with Image.open(png_of(figure)) as image:
        packed, size = _packed(_on_white(image)), image.size
    return Picture(name, " ".join(figure.get_suptitle().split()), description, size, packed)


def that_fit(pictures: Sequence[Picture], room: int) -> tuple[list[Picture], list[Picture]]:
    """The pictures that fit into `room` bytes of a page, and those that do not.

    If they do not all fit, they get palettes of 256 colours: first those with few colours, which lose nothing visible, and
    of these the largest first. If they still do not all fit, earlier pictures have precedence.
    """
    fitted = list(pictures)
    rich = [sum(picture.cost for picture in pictures) > room and _is_rich(picture) for picture in pictures]
    for place in sorted(range(len(fitted)), key=lambda place: (rich[place], -fitted[place].cost)):
        if sum(picture.cost for picture in fitted) <= room:
            break
        fitted[place] = _with_palette(fitted[place])
    kept: list[Picture] = []
    left_out: list[Picture] = []
    for picture in fitted:
        fits = picture.cost <= room
        (kept if fits else left_out).append(picture)
        room -= picture.cost if fits else 0
    return kept, left_out


def _is_rich(picture: Picture) -> bool:
    """Whether it has more colours than a plot needs, like a photograph."""
    with Image.open(io.BytesIO(picture.png)) as image:
        return image.convert("RGB").getcolors(PLAIN) is None


def _with_palette(picture: Picture) -> Picture:
    with Image.open(io.BytesIO(picture.png)) as image:
        packed = _packed(_on_white(image).quantize(256))
    return replace(picture, png=min(packed, picture.png, key=len))


def _on_white(image: Image.Image) -> Image.Image:
    """The image in RGB on white, the background that the pictures are made for."""
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")


def _packed(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="png", compress_level=6)  # the highest level is 2 % smaller, and takes seven times as long
    return buffer.getvalue()
