"""The paths in a run's options: relative to the project in the record, absolute in use. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sslcli.data import FOLDER
from sslcli.paths import relative
from sslcli.runs.naming import file_of_method, weights_path
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

PATHS = ("data_dir", "labels")
"""Options that are paths. folder:PATH and the method FILE.py:CLASS contain one, and --init may be one."""
OF_FOLDERS = ("dataset", "watch")
"""Options of a run that may be folder:PATH."""


def located(registry: Registry, options: Mapping[str, object]) -> dict[str, object]:
    """Recorded options, with their paths (relative to the project) made absolute."""
    found = _with_paths(options, lambda path: os.path.normpath(registry.root / path))
    return found | {name: Path(str(found[name])) for name in PATHS if found.get(name) is not None}


def recorded(registry: Registry, options: Mapping[str, object]) -> dict[str, object]:
    """Options to record, with their paths (relative to the current folder) made relative to the project."""
    return _with_paths(options, lambda path: relative(os.path.expanduser(path), registry.root))


def as_read(registry: Registry, record: Run, *, here: Path | None = None) -> list[str]:
    """The options that read a run's data as the run did, to type in the folder `here` (default: the current one)."""
    return words_to_read(registry, {"dataset": record.dataset} | record.options, here=here)


def words_to_read(registry: Registry, known: Mapping[str, object], *, here: Path | None = None) -> list[str]:
    """The same for the options of a record."""
    options = _with_paths(known, lambda path: relative(registry.root / path, here or os.curdir))
    of_folder = {name: options.get(name) for name in ("labels", "image_size", "fit")}
    given = {name: value for name, value in of_folder.items() if value not in (None, "crop")}
    named = {"dataset": options["dataset"]} | given
    return [word for name, value in named.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _with_paths(options: Mapping[str, object], change: Callable[[str], str]) -> dict[str, object]:
    changed = {name: change(str(options[name])) for name in PATHS if options.get(name) is not None}
    for option in OF_FOLDERS:
        if (name := str(options.get(option) or "")).startswith(FOLDER):
            changed[option] = FOLDER + change(name.removeprefix(FOLDER))
    if (weights := weights_path(str(options.get("init") or "scratch"))) is not None:
        changed["init"] = os.path.join(os.curdir, change(str(weights)))  # so that it is never one of the words of --init
    if (outside := file_of_method(options.get("method"))) is not None:
        changed["method"] = f"{change(outside[0])}:{outside[1]}"
    return {**options, **changed}


def absolute_dataset(dataset: str) -> str:
    """The name of a data set; for folder:PATH, with an absolute path."""
    if not dataset.startswith(FOLDER):
        return dataset
    return FOLDER + os.path.abspath(os.path.expanduser(dataset.removeprefix(FOLDER)))


def labels_of(registry: Registry, run: Run) -> Path | None:
    """The file of the labels that a run learned from, if there was one."""
    found = located(registry, run.options).get("labels")
    return None if found is None else Path(str(found))
