"""Export the encoder of a run for other programs, and compare the result with the encoder."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sslcli.console.messages import say
from sslcli.data.batches import generator
from sslcli.errors import StateError, UsageError, install_line
from sslcli.export.encoders import Loaded, encoder_of_run, finished_run
from sslcli.export.formats import FOLDER, FORMATS, Format, formats_of
from sslcli.export.model_card import card
from sslcli.export.preprocessing import odd_pictures, sides_of, write_prepare
from sslcli.models.same_function import ABOUT
from sslcli.paths import relative
from sslcli.plans.data_access import data_of_run
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

IMAGES = 256  # test images that export and encoder are compared on
COPYING = ".copying-"  # the beginning of the name of a folder whose files are being copied
CLOSE = 1e-4  # the largest difference, as a fraction of the largest value; sums in another order give about 1e-6


def export(registry: Registry, selector: str, *, name: str, out: Path | None, data_dir: Path | None) -> Path:
    """Write the encoder of a run in the format `name`, whole or not at all. Returns the folder, by default in results/export.

    A UsageError if the format is not possible for the backbone, or if `out` contains other files.
    """
    record = registry.load(finished_run(registry, selector))
    backbone, stem, kind = record.settled["backbone"], record.settled["stem"], FORMATS[name]
    if name not in (accepted := formats_of(backbone, stem)):
        raise UsageError(
            f"--format {name}: not possible for {backbone}, the backbone of {record.id}; accepted are {' and '.join(accepted)}"
        )
    _hold_to_packages(name, kind)
    folder = out or registry.path(f"results/export/{record.id}-{name}")
    _hold_to_place(folder, name)
    loaded = encoder_of_run(registry, record, data_dir=data_dir)
    images, what = _images(registry, record, loaded, data_dir)
    with tempfile.TemporaryDirectory() as made:
        built = Path(made)
        write_prepare(built)
        lines = kind.write(loaded.encoder, loaded.transform, backbone, stem, built)
        compared = _compare(loaded, images, what, lines, kind, built)
        about = {"format": name, "backbone": backbone, "stem": stem, "dim": loaded.encoder.dim}
        _describe(loaded, kind, lines, compared, about, built)
        _put(built, folder)
    print(f"{record.id}: {compared}")
    say(f"wrote {relative(folder)}; to use it, read {relative(folder / 'README.md')}")
    return folder


def _put(built: Path, folder: Path) -> None:
    """Copy the files into a folder in it, then to their places, the one whose presence means that the rest is complete last."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=COPYING) as inside:
        copied = Path(shutil.copytree(built, inside, copy_function=shutil.copyfile, dirs_exist_ok=True))
        for path in sorted(copied.iterdir(), key=lambda path: path.name == ABOUT):
            os.replace(path, folder / path.name)


def _hold_to_packages(name: str, kind: Format) -> None:
    """A StateError if a package that the format needs is not installed."""
    missing = []
    for package in kind.extra:
        try:
            importlib.import_module(package)
        except ImportError:
            missing.append(package)
    if missing:
        raise StateError(f"--format {name} needs {' and '.join(missing)}, not installed here; type: {install_line('export')}")


def _hold_to_place(folder: Path, name: str) -> None:
    """A UsageError if the folder contains anything but an earlier export in the same format."""
    if folder.is_file():
        raise UsageError(f"--out {folder} is a file; accepted is a folder")
    if not folder.is_dir() or all(path.name.startswith(COPYING) for path in folder.iterdir()):
        return
    try:
        earlier = json.loads((folder / ABOUT).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"--out {folder} contains other files; accepted is a new or empty folder, or an earlier export"
        ) from None
    if earlier != name:
        raise UsageError(f"--out {folder} contains an export in the format {earlier}; choose another folder for {name}")


def _images(registry: Registry, record: Run, loaded: Loaded, data_dir: Path | None) -> tuple[Tensor, str]:
    """Test images (N, 3, kept, kept) uint8, whose centres the encoder sees, and their description.

    Training images if there is no test part, random ones if the data are missing.
    """
    try:
        data = data_of_run(registry, record, data_dir)
        part, images = ("test", data.test_images) if len(data.test_images) else ("training", data.train_images)
        return images[:IMAGES].cpu(), f"{part} images of {record.dataset}"
    except StateError as error:
        if data_dir is not None:
            raise
        say(f"ssl: compared on random images, because {error}")
    size = (IMAGES, 3, loaded.transform.kept, loaded.transform.kept)
    return torch.randint(0, 256, size, generator=generator(0, "export"), dtype=torch.uint8), "random images"


def _compare(loaded: Loaded, images: Tensor, what: str, lines: str, kind: Format, folder: Path) -> str:
    """Run the card's own lines, and say how much their output differs from the encoder; a StateError if too much.

    The first image goes through the lines for one picture; the others, and the odd pictures, go in a batch.
    """
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
    odd = odd_pictures(loaded.transform.kept)
    names: dict[str, Any] = {"folder": folder, "picture": pictures[0]}
    with torch.inference_mode():
        of_odd = torch.stack([loaded.transform(picture) for picture in odd.values()])
        expected = torch.cat([loaded.encoder(loaded.transform(images)), loaded.encoder(of_odd)]).numpy()
        exec(lines.replace(FOLDER, "") + kind.use, names)  # noqa: S102  (written by this program a moment ago; the card has the same)
        inputs = [names["preprocess"](picture) for picture in [*pictures[1:], *odd.values()]]
        if "onnxruntime" in kind.packages:
            rest = names["model"].run(["h"], {"images": np.stack(inputs)})[0]
        else:
            rest = names["model"](torch.stack(inputs)).numpy()
    found = np.concatenate([np.asarray(names["h"]), rest])
    differences, largest = np.abs(found - expected).max(1), float(np.abs(expected).max())
    usual, of_kind = differences[: len(images)].max(), dict(zip(odd, differences[len(images) :], strict=True))
    words = (
        f"on {len(images)} {what} it differs from the encoder by {usual:.2g} at most, of values up to {largest:.3g}; "
        f"on {len(odd)} pictures of odd kinds by {max(of_kind.values()):.2g}"
    )
    wrong = [name for name, difference in of_kind.items() if not difference <= CLOSE * largest]
    if wrong or not usual <= CLOSE * largest:
        kinds = f" ({', '.join(wrong)})" if wrong else ""
        raise StateError(f"the export differs from the encoder: {words}{kinds}; nothing was written")
    return words


def _describe(loaded: Loaded, kind: Format, lines: str, compared: str, about: dict[str, Any], folder: Path) -> None:
    """Write the card and encoder.json."""
    transform, provenance = loaded.transform, loaded.provenance
    text = card(
        backbone=about["backbone"], stem=about["stem"], dim=about["dim"], transform=transform, provenance=provenance,
        packages=kind.packages, build=lines, use=kind.use, compared=compared, format=about["format"],
    )  # fmt: skip
    (folder / "README.md").write_text(text, encoding="utf-8")
    sha256 = hashlib.sha256((folder / kind.weights).read_bytes()).hexdigest()
    whole = about | sides_of(transform) | {"mean": transform.mean, "std": transform.std}
    whole |= {"weights": kind.weights, "sha256": sha256, "compared": compared, "provenance": provenance}
    (folder / ABOUT).write_text(json.dumps(whole, indent=2), encoding="utf-8")
