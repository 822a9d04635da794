"""What does it cost to read a folder of pictures? `python -m tests.benchmarks.pictures` prints it.

It writes pictures, decodes them into a cache in a fresh process, starts once more in another one, and reads random batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

from sslcli.console.tables import print_rows
from sslcli.data.folder.reading import Reading, load_folder
from sslcli.data.image_data import ImageData, pick
from sslcli.data.loading import load_data
from sslcli.data.on_disk import Stored
from tests.benchmarks import cores, machine

COMMAND = "tests.benchmarks.pictures"
BATCH, BATCHES = 256, 40
CLASSES = 10
NOTE = """\
Memory is what the process has of its own at its end (Linux's RssAnon), torch included; pages of the mapped file come on top
and go when others need them. A batch is {batch} random pictures."""


def write_pictures(root: Path, count: int, *, width: int, height: int, form: str) -> None:
    """Write smooth noise as pictures of ten classes: a hundred kinds, each marked with its number so that no two are equal."""
    random = np.random.default_rng(0)
    kinds = [
        Image.fromarray(random.integers(0, 255, (height, width, 3)).astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
        for _ in range(100)
    ]
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = kinds[number % len(kinds)].copy()
        for bit in range(17):
            picture.paste((255 * (number >> bit & 1),) * 3, (bit * width // 17, 0, (bit + 1) * width // 17, height // 8))
        picture.save(root / f"class{number % CLASSES}" / f"{number}.{form}", quality=90)


def write_out(data: ImageData, root: Path) -> None:
    """Write the images of a data set as PNG files, `<part>/<class>/<place>.png`."""
    for part, images, labels in (("train", data.train_images, data.train_labels), ("test", data.test_images, data.test_labels)):
        for label, name in enumerate(data.classes):
            folder = root / part / name
            folder.mkdir(parents=True)
            for place in (labels == label).nonzero().flatten().tolist():
                Image.fromarray(images[place].permute(1, 2, 0).numpy()).save(folder / f"{place:06}.png")


def hold_to_same(data: ImageData, read: ImageData) -> None:
    """An AssertionError if what was read of the files is not, bit for bit, what `write_out` wrote; their order is by name."""
    parts = (
        (data.train_images, data.train_labels, read.train_images, read.train_labels),
        (data.test_images, data.test_labels, read.test_images, read.test_labels),
    )
    assert read.classes == data.classes
    for images, labels, read_images, read_labels in parts:
        order = labels.argsort(stable=True)
        assert read_labels.equal(labels[order])
        assert read_images[:].equal(images[order])
    for ours, theirs in zip(read.normalisation, data.normalisation, strict=True):
        assert (ours - theirs).abs().max() < 1e-6


def start(root: Path, caches: Path) -> dict[str, Any]:
    """Load the folder in this process and read batches; seconds, and memory in MB."""
    began = perf_counter()
    data = load_folder(root, caches, Reading(workers=cores()))
    loading = perf_counter() - began
    random = torch.Generator().manual_seed(0)
    began = perf_counter()
    for _ in range(BATCHES):
        rows = torch.randint(len(data.train_images), (BATCH,), generator=random)
        pick(data.train_images, rows, torch.device("cpu"))
    return {
        "seconds": loading, "batch": (perf_counter() - began) / BATCHES, "memory": own_memory(),
        "pictures": len(data.manifest), "size": data.image_size, "in file": isinstance(data.train_images, Stored),
        "pixels": (len(data.train_images) + len(data.test_images)) * int(np.prod(data.train_images.shape[1:])),
    }  # fmt: skip


def own_memory() -> float:
    """MB that this process has of its own, without the pages of files that are mapped."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon"))) / 1e3


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parse(arguments)
    if options.start:
        print(json.dumps(start(Path(options.start), Path(options.start).parent / "cache")))
        return 0
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder) / "pictures"
        if official := load_data("cifar10", options.cifar10) if options.cifar10 else None:
            write_out(official, root)
            options.format, options.height, options.width = "png", *official.train_images.shape[-2:]
        else:
            write_pictures(root, options.count, width=options.width, height=options.height, form=options.format)
        size = sum(path.stat().st_size for path in root.rglob("*.*"))
        again = [sys.executable, "-m", COMMAND, "--start", str(root)]
        first, second = (json.loads(subprocess.run(again, check=True, capture_output=True, text=True).stdout) for _ in range(2))
        if official:
            hold_to_same(official, load_folder(root, Path(folder) / "cache", Reading(workers=cores())))
            print("CIFAR-10, read from these files: bit for bit the pixels and labels of cifar10, and its normalisation\n")
    row = {
        "pictures": f"{first['pictures']:,} {options.format}, {options.width} x {options.height}, {size / 1e9:.2f} GB",
        "shown": f"{first['size']} px, {first['pixels'] / 1e9:.2f} GB {'in the file' if first['in file'] else 'in memory'}",
        "first": f"{first['seconds']:.1f}", "rate": f"{first['pictures'] / first['seconds']:,.0f}",
        "second": f"{second['seconds']:.1f}", "batch": f"{1e3 * second['batch']:.0f}",
        "memory": f"{max(first['memory'], second['memory']):,.0f}",
    }  # fmt: skip
    heads = {"pictures": "pictures", "shown": "pixels kept", "first": "first start, s", "rate": "decoded a second",
             "second": "second start, s", "batch": "a batch, ms", "memory": "memory, MB"}  # fmt: skip
    print_rows([row], heads, style="markdown" if options.markdown else "table")
    print("\n" + NOTE.format(batch=BATCH) + "\n" + machine(COMMAND, "pillow"))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog=f"python -m {COMMAND}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=60_000, help="pictures")
    parser.add_argument("--width", type=int, default=32, help="of each, in pixels")
    parser.add_argument("--height", type=int, default=32, help="of each, in pixels")
    parser.add_argument("--format", choices=("png", "jpg"), default="png", help="of the files")
    parser.add_argument("--cifar10", type=Path, metavar="DIR", help="write CIFAR-10, found in DIR, as PNG instead of noise")
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's folder for temporary files")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
