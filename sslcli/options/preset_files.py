"""The presets of this package, one YAML file each. The first line says what it is for and how long it takes. No torch."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

FOLDER_OF_PRESETS = resources.files("sslcli") / "presets"


def preset_files() -> dict[str, Traversable]:
    """The name of each preset to its file."""
    found = {entry.name: entry for entry in FOLDER_OF_PRESETS.iterdir()}
    names = sorted(file.removesuffix(".yaml") for file in found if file.endswith(".yaml"))
    return {name: found[f"{name}.yaml"] for name in names}


def presets_in_words() -> str:
    """A line for each preset: its name, and the first line of its file."""
    about = {name: file.read_text(encoding="utf-8").partition("\n")[0] for name, file in preset_files().items()}
    width = max(map(len, about), default=0)
    return "\n".join(f"  {name:{width}}  {line.removeprefix('# ')}" for name, line in about.items())
