"""The presets of this package, one YAML file each. The first line says what it is for and how long it takes. No torch."""

from __future__ import annotations

from pathlib import Path

FOLDER_OF_PRESETS = Path(__file__).parents[1] / "presets"


def preset_files() -> dict[str, Path]:
    """The name of each preset to its file."""
    return {file.stem: file for file in sorted(FOLDER_OF_PRESETS.glob("*.yaml"), key=lambda file: file.stem)}


def presets_in_words() -> str:
    """A line for each preset: its name, and the first line of its file."""
    about = {name: file.read_text(encoding="utf-8").partition("\n")[0] for name, file in preset_files().items()}
    width = max(map(len, about), default=0)
    return "\n".join(f"  {name:{width}}  {line.removeprefix('# ')}" for name, line in about.items())
