"""The preset of a small study, for tests of what studies do."""

from pathlib import Path


def write_preset(folder: Path, evaluations: str, *, pretrain: str) -> str:
    """The line of a study, whose preset pretrains a small net with these further options, and has these evaluations."""
    small = "dataset: shapes, backbone: resnet9-small, batch_size: 32, optimizer: adamw"
    (folder / "small.yaml").write_text(f"pretrain: {{{small}, {pretrain}}}\n{evaluations}\n")
    return "study --preset small.yaml"
