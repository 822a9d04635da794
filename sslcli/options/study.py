"""The options of ssl study, and the presets of this package, one YAML file each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from sslcli.methods import RATES
from sslcli.options.annotations import (
    MACHINE,
    MAX_SEED,
    METHOD,
    MODEL,
    DataDir,
    Device,
    Download,
    Folds,
    Format,
    ImageSize,
    Labels,
    Minutes,
    StudyDataset,
)
from sslcli.options.command import Command
from sslcli.options.values import Above

FOLDER_OF_PRESETS = Path(__file__).parents[1] / "presets"
"""The first line of each file says what the preset is for and how long it takes."""
PRESETS_TAKE = "Presets, with the time of pretraining on two CPU cores of class bf16 (since AMD Zen 4, Intel Sapphire Rapids):"


@dataclass(frozen=True, kw_only=True)
class Study(Command):
    """Run a whole study: pretraining, linear evaluation and fine-tuning beside scratch, pictures, a page, the answer.

    Type the same command again to continue a study that was stopped; finished parts are not repeated.
    """

    preset: Annotated[
        str | None,
        Option(
            help="One of the presets above, or a YAML file of the same form. Default: demo; with --methods league; none with "
            "--dataset or --minutes."
        ),
    ] = None
    dataset: StudyDataset = None
    labels: Labels = None
    image_size: ImageSize = None
    minutes: Minutes = None
    methods: Annotated[
        str | None,
        Option(
            help="Methods to compare, such as simclr,byol; all: each that takes the encoder. They share encoder, minutes and "
            "scratch runs. Default: the preset's.",
            rich_help_panel=METHOD,
        ),
    ] = None
    tuning: Annotated[
        int,
        Option(
            min=0,
            max=1 + len(RATES),
            help="Settings to try for each method, chosen on training images with held-out labels; 0: only its defaults.",
            rich_help_panel=METHOD,
        ),
    ] = 0
    tuning_minutes: Annotated[
        float,
        Option(max=1e6, help="Minutes of pretraining for each setting that --tuning tries.", rich_help_panel=METHOD),
        Above(0),
    ] = 1.0
    beside: Annotated[
        list[str] | None,
        Option(
            help="Measure this encoder, too: FILE, timm:NAME or torchvision:NAME; @SIDE and =FILE may follow a name. Can be "
            "repeated.",
            rich_help_panel=MODEL,
        ),
    ] = None
    continue_from: Annotated[
        str | None,
        Option(
            help="Pretrain a second encoder on these images, from weights from elsewhere, named as for --beside.",
            rich_help_panel=MODEL,
        ),
    ] = None
    name: Annotated[str | None, Option(help="Name of the study. Default: the preset's or the data set's.")] = None
    set: Annotated[
        list[str] | None, Option(help="Change an option: COMMAND.OPTION=VALUE, e.g. pretrain.epochs=2. Can be repeated.")
    ] = None
    seed: Annotated[int | None, Option(min=0, max=MAX_SEED, help="Seed of everything. Default: the preset's.")] = None
    seeds: Annotated[int, Option(min=1, max=100, help="Repeat the study for this many seeds, counted up from --seed.")] = 1
    label_fractions: Annotated[
        str | None,
        Option(help="Fractions of the labels to evaluate with, e.g. 0.01,0.1,1. Default: the preset's."),
    ] = None
    folds: Folds = None
    max_steps: Annotated[
        int | None, Option(min=1, help="Stop each training, a probe's too, after this many steps, for a trial.")
    ] = None
    on: Annotated[
        str,
        Option(
            help="Where the jobs run. local:N: N processes on this machine share its cores; slurm; ray:HOST:PORT, a cluster's "
            "head, or ray, the cluster of this machine.",
            rich_help_panel=MACHINE,
        ),
    ] = "local"
    job: Annotated[
        list[str] | None,
        Option(
            help="What each job asks of Slurm or Ray: NAME=VALUE, e.g. gpus=1; or a YAML file. Can be repeated.",
            rich_help_panel=MACHINE,
        ),
    ] = None
    plan: Annotated[
        bool,
        Option(
            "--plan",
            help="Print the jobs with needs, device and minutes. It enters their runs, but trains nothing.",
        ),
    ] = False
    format: Format = "table"
    data_dir: DataDir = None
    download: Download = False
    device: Device = "auto"

    @classmethod
    def about(cls) -> str:
        """What --help says of the command, with every preset and its minutes."""
        return f"{super().about()}\n\n{PRESETS_TAKE}\n\n{presets_in_words()}"


def preset_files() -> dict[str, Path]:
    """The name of each preset to its file."""
    return {file.stem: file for file in sorted(FOLDER_OF_PRESETS.glob("*.yaml"), key=lambda file: file.stem)}


def presets_in_words() -> str:
    """A line for each preset: its name, and the first line of its file."""
    about = {name: file.read_text(encoding="utf-8").partition("\n")[0] for name, file in preset_files().items()}
    width = max(map(len, about), default=0)
    return "\n".join(f"  {name:{width}}  {line.removeprefix('# ')}" for name, line in about.items())
