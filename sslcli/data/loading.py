"""Load a data set by its name."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from sslcli.data import DATASETS, FOLDER
from sslcli.data.folder.reading import Reading, load_folder
from sslcli.data.image_data import ImageData


def load_data(name: str, data_dir: Path, *, download: bool = False, reading: Reading | None = None) -> ImageData:
    """Load a data set of DATASETS, or with `reading` the pictures of folder:PATH.

    A StateError says what is missing or damaged, and where.
    """
    if name.startswith(FOLDER):
        return load_folder(Path(os.path.expanduser(name.removeprefix(FOLDER))), data_dir / "cache", reading or Reading())
    module, _, function = DATASETS[name].load.partition(":")
    data: ImageData = getattr(importlib.import_module(module), function)(data_dir, download=download)
    return data
