"""The options that several commands share, each defined once: type, accepted values, help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from sslcli.data import DATASETS, FOLDER
from sslcli.models import BACKBONES, INPUT, LIBRARIES, SIZED, all_stems
from sslcli.options.values import Above, But, OneOf, one_of
from sslcli.training.recipe import TRAINING

DATA, MODEL, METHOD, MACHINE, RUN = "Data", "Model", "Method", "Machine", "Run"
MAX_SEED = 2**63 - 1
_DATASETS = OneOf(tuple(DATASETS), beginnings=(FOLDER,))
Dataset = Annotated[
    str, Option(help=f"One of: {', '.join(DATASETS)}; or folder:PATH for your own pictures.", rich_help_panel=DATA), _DATASETS
]
Watch = Annotated[
    str | None,
    Option(
        help="Measure kNN and online accuracy on this data set, too, after measured epochs. Its labels train no encoder.",
        rich_help_panel=TRAINING,
    ),
    _DATASETS,
]
Labels = Annotated[
    Path | None,
    Option(
        help="CSV file with columns path,label[,split] (folder:PATH only). Default: one class per sub-folder.",
        rich_help_panel=DATA,
    ),
]
ImageSize = Annotated[
    int | None,
    Option(
        min=8,
        max=1024,
        rich_help_panel=DATA,
        help="Side of the pictures in pixels (folder:PATH only). Default: the median of their shorter sides, rounded down to a "
        "usual side, 32 to 224.",
    ),
]
_FIT = "Crop pictures to the central square, or pad them to a square (folder:PATH only)"
Fit = Annotated[Literal["crop", "pad"], Option(help=f"{_FIT}.", rich_help_panel=DATA)]
DataDir = Annotated[
    Path | None,
    Option(envvar="SSL_DATA_DIR", help="Folder of the data sets. Default: data, in the project.", rich_help_panel=DATA),
]
Download = Annotated[
    bool, Option("--download", help="Download the data set, or a library's weights, if missing.", rich_help_panel=DATA)
]
Device = Annotated[
    Literal["auto", "cuda", "mps", "cpu"],
    Option(help="Device to compute on. auto: a GPU if there is one.", rich_help_panel=MACHINE),
]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"],
    Option(help="Number format of matrix products and convolutions. auto: bf16 if it is faster here.", rich_help_panel=MACHINE),
]
Deterministic = Annotated[
    bool, Option("--deterministic", help="Give the same bits every time on a GPU too; slower there.", rich_help_panel=MACHINE)
]
Minutes = Annotated[
    float | None,
    Option(
        max=1e6,
        help="Minutes of pretraining, instead of --epochs. A few steps are timed here; options that you leave out are set to "
        "what trains best in that time.",
        rich_help_panel=TRAINING,
    ),
    Above(0),
]
Name = Annotated[str | None, Option(help="Name for the run, to type instead of its id.", rich_help_panel=RUN), But("latest")]
Init = Annotated[
    str,
    Option(
        help="pretrained: the encoder of a pretrain run; scratch: a random encoder; or weights from elsewhere: FILE, "
        "timm:NAME, torchvision:NAME or timm:NAME=FILE.",
        rich_help_panel=MODEL,
    ),
]
EncoderRun = Annotated[
    str,
    Option(
        help="Pretrain run: id, name, unique prefix or latest. With --init scratch only its settings are used.",
        rich_help_panel=MODEL,
    ),
]
LabelFraction = Annotated[
    float,
    Option(max=1, help="Fraction of the labels to use, stratified by class, validation labels included.", rich_help_panel=DATA),
    Above(0),
]
Folds = Annotated[
    int | None,
    Option(
        min=2,
        max=100,
        help="Also test every labelled picture once, in this many folds: for few labels. ssl compare then uses these tests.",
        rich_help_panel=DATA,
    ),
]
Taken = ". Default: the pretrain run's."
StudyDataset = Annotated[
    str | None,
    Option(
        help=f"One of: {', '.join(DATASETS)}; or folder:PATH for your own pictures. Default: the preset's.",
        rich_help_panel=DATA,
    ),
    _DATASETS,
]
ParentsDataset = Annotated[str | None, Option(help="Data set" + Taken, rich_help_panel=DATA), _DATASETS]
ParentsFit = Annotated[Literal["crop", "pad"] | None, Option(help=_FIT + Taken, rich_help_panel=DATA)]
ParentsBackbone = Annotated[
    str | None,
    Option(help="Backbone, for --init scratch or FILE" + Taken, rich_help_panel=MODEL),
    one_of(BACKBONES, beginnings=LIBRARIES),
]
ParentsStem = Annotated[
    str | None,
    Option(help="Stem, for --init scratch or FILE" + Taken, rich_help_panel=MODEL),
    one_of(("auto",), all_stems(), beginnings=(SIZED, INPUT)),
]
ParentsSeed = Annotated[
    int | None,
    Option(min=0, max=MAX_SEED, help="Seed of validation split, order and scratch weights" + Taken, rich_help_panel=TRAINING),
]
OwnImages = Annotated[
    list[str] | None, Option(help="Your own pictures or folders, with their sub-folders: --images A.png FOLDER.")
]
MoreImages = Annotated[list[str] | None, Argument(hidden=True, help="More pictures, after --images.")]
StudyName = Annotated[str | None, Option(help="Study to show. Default: the newest.")]
Format = Annotated[Literal["table", "json", "csv", "markdown"], Option(help="Output format.")]
RunArgument = Annotated[str, Argument(help="Run: id, name, unique prefix, or latest.")]
