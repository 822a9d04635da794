"""The files of TensorBoard's projector: representations, names, and a sprite of all images. Viewing needs no internet."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sslcli.files import atomic_write, write_text

LARGEST = 8192  # pixels per side of a sprite, the most that browsers show
MOST = 10_000  # images, the most that the projector shows


def write_projector(
    folder: Path, h: NDArray[np.float32], image_at: Callable[[int], NDArray[np.uint8]], rows: Sequence[tuple[str, str]]
) -> list[Path]:
    """Write the files for `tensorboard --logdir FOLDER`: h (N, d), the images (H, W, 3), and path and label of each.

    Returns the files' paths. Of more than MOST images, an evenly spaced subset is written.
    """
    shown = np.linspace(0, len(h) - 1, min(len(h), MOST)).astype(int).tolist()
    h, rows = h[shown], [rows[place] for place in shown]
    made, side = sprite([partial(image_at, place) for place in shown])
    buffer = io.BytesIO()
    made.save(buffer, format="png")
    names = ["path\tlabel", *("\t".join(_plain(field) for field in row) for row in rows)]
    config = (
        'embeddings {\n  tensor_name: "h"\n  tensor_path: "h.tsv"\n  metadata_path: "names.tsv"\n'
        f'  sprite {{\n    image_path: "sprite.png"\n    single_image_dim: {side}\n    single_image_dim: {side}\n  }}\n}}\n'
    )
    atomic_write(folder / "sprite.png", lambda handle: handle.write(buffer.getvalue()))
    atomic_write(folder / "h.tsv", lambda handle: np.savetxt(handle, h, fmt="%.6g", delimiter="\t"))
    write_text(folder / "names.tsv", "\n".join(names) + "\n")
    write_text(folder / "projector_config.pbtxt", config)
    return [folder / name for name in ("sprite.png", "h.tsv", "names.tsv", "projector_config.pbtxt")]


def sprite(images: Sequence[Callable[[], NDArray[np.uint8]]]) -> tuple[Image.Image, int]:
    """A square picture of images of one size (H, W, 3), row by row, each made when needed; and the side of each in pixels.

    The side is smaller if there are many images.
    """
    columns = math.ceil(math.sqrt(len(images)))
    side = max(1, min(LARGEST // columns, *images[0]().shape[:2]))
    whole = Image.new("RGB", (columns * side, columns * side), "white")
    for place, image in enumerate(images):
        picture = Image.fromarray(image())
        if picture.size != (side, side):
            picture = picture.resize((side, side), Image.Resampling.BICUBIC)
        whole.paste(picture, (place % columns * side, place // columns * side))
    return whole, side


def _plain(text: str) -> str:
    """Text without the characters that separate fields and lines of a table."""
    return "".join(character if character.isprintable() else "?" for character in text)
