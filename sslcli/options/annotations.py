"""The options that several commands have: type, accepted values and help of each, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from sslcli.data import DATASETS, FOLDER
from sslcli.models import BACKBONES, SIZED, TIMM, all_stems
from sslcli.options.values import Above, But, OneOf, one_of

DATA, MODEL, METHOD, TRAINING, VIEWS, MACHINE, RUN = "Data", "Model", "Method", "Training", "Views", "Machine", "Run"
MAX_SEED = 2**63 - 1
_DATASETS = OneOf(tuple(DATASETS), beginnings=(FOLDER,))
Dataset = Annotated[
    str, Option(help=f"One of: {', '.join(DATASETS)}; or folder:PATH, your own pictures.", rich_help_panel=DATA), _DATASETS
]
Watch = Annotated[
    str | None,
    Option(
        help="Another labelled data set: after each measured epoch kNN and online accuracy on it. Its labels train no encoder.",
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
    Option(min=8, max=1024, help="Of folder:PATH: side in pixels; default: by their median, 32 to 224.", rich_help_panel=DATA),
]
_FIT = "Of folder:PATH: crop to the central square, or pad to the whole picture"
Fit = Annotated[Literal["crop", "pad"], Option(help=f"{_FIT}.", rich_help_panel=DATA)]
DataDir = Annotated[
    Path | None,
    Option(envvar="SSL_DATA_DIR", help="Folder of the data sets; default: data in the project.", rich_help_panel=DATA),
]
Download = Annotated[bool, Option("--download", help="Download the data set if it is missing.", rich_help_panel=DATA)]
Device = Annotated[Literal["auto", "cuda", "mps", "cpu"], Option(help="Where to compute.", rich_help_panel=MACHINE)]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"],
    Option(help="Of products and convolutions; auto: bf16 where it is faster here.", rich_help_panel=MACHINE),
]
Deterministic = Annotated[
    bool, Option("--deterministic", help="The same bits each time on a GPU too, where it costs speed.", rich_help_panel=MACHINE)
]
BatchSize = Annotated[int, Option(min=2, help="Images a step, summed over devices.", rich_help_panel=TRAINING)]
Optimizer = Annotated[Literal["sgd", "adamw", "muon"], Option(help="Optimizer.", rich_help_panel=TRAINING)]
Lr = Annotated[float | None, Option(min=0, help="Highest rate; default by optimizer and batch.", rich_help_panel=TRAINING)]
WeightDecay = Annotated[
    float | None, Option(min=0, help="Weight decay, not on biases and norms; default by optimizer.", rich_help_panel=TRAINING)
]
Momentum = Annotated[float, Option(min=0, max=0.9999, help="Momentum of SGD and Muon.", rich_help_panel=TRAINING)]
Warmup = Annotated[
    float | None, Option(min=0, help="Epochs of linear warm-up; default: a twentieth, 10 at most.", rich_help_panel=TRAINING)
]
Minutes = Annotated[
    float | None,
    Option(
        max=1e6,
        help="Minutes of pretraining, in place of --epochs: a few steps are timed here, and what you left open is set to what "
        "trains best in that time.",
        rich_help_panel=TRAINING,
    ),
    Above(0),
]
MaxSteps = Annotated[int | None, Option(min=1, help="Stop after so many steps, for a trial.", rich_help_panel=TRAINING)]
_LEAST = "Least part of the image's area in a crop"
BY = "; default: by the size of the images"
CropMin = Annotated[float, Option(min=0.01, max=1, help=f"{_LEAST}.", rich_help_panel=VIEWS)]
CropMinBySize = Annotated[float | None, Option(min=0.01, max=1, help=f"{_LEAST}{BY}.", rich_help_panel=VIEWS)]
Flip = Annotated[float, Option(min=0, max=1, help="Probability of a mirror image.", rich_help_panel=VIEWS)]
ViewSizes = Annotated[
    str, Option(help="Side of the views in pixels, or parts of training: 16:0.6,24:0.3,32:0.1.", rich_help_panel=VIEWS)
]
Jitter = Annotated[float, Option(min=0, max=1, help="Probability of colour jitter.", rich_help_panel=VIEWS)]
Brightness = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in brightness{BY}.", rich_help_panel=VIEWS)]
Contrast = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in contrast{BY}.", rich_help_panel=VIEWS)]
Saturation = Annotated[float | None, Option(min=0, max=1, help=f"Strength of jitter in saturation{BY}.", rich_help_panel=VIEWS)]
Hue = Annotated[float | None, Option(min=0, max=0.5, help=f"Strength of jitter in hue, in turns{BY}.", rich_help_panel=VIEWS)]
Grey = Annotated[float | None, Option(min=0, max=1, help=f"Probability of a grey view{BY}.", rich_help_panel=VIEWS)]
Blur = Annotated[float | None, Option(min=0, max=1, help=f"Probability of Gaussian blur{BY}.", rich_help_panel=VIEWS)]
Name = Annotated[str | None, Option(help="A name for the run, to refer to it by.", rich_help_panel=RUN), But("latest")]
Init = Annotated[
    str,
    Option(
        help="pretrained: the encoder of a pretrain run; scratch: a random one; or a file of others' weights.",
        rich_help_panel=MODEL,
    ),
]
EncoderRun = Annotated[
    str,
    Option(
        help="Pretrain run (id, name, prefix, latest) that gives the encoder, or for scratch the setting.",
        rich_help_panel=MODEL,
    ),
]
LabelFraction = Annotated[
    float,
    Option(max=1, help="Part of the labels that is used, above 0, by class, held-out ones included.", rich_help_panel=DATA),
    Above(0),
]
Taken = "; default: the pretrain run's."
StudyDataset = Annotated[
    str | None,
    Option(
        help=f"One of: {', '.join(DATASETS)}; or folder:PATH, your own pictures; default: the preset's.", rich_help_panel=DATA
    ),
    _DATASETS,
]
ParentsDataset = Annotated[str | None, Option(help="Data set" + Taken, rich_help_panel=DATA), _DATASETS]
ParentsFit = Annotated[Literal["crop", "pad"] | None, Option(help=_FIT + Taken, rich_help_panel=DATA)]
ParentsBackbone = Annotated[
    str | None, Option(help="For scratch: backbone" + Taken, rich_help_panel=MODEL), one_of(BACKBONES, beginning=TIMM)
]
ParentsStem = Annotated[
    str | None,
    Option(help="For scratch: stem" + Taken, rich_help_panel=MODEL),
    one_of(("auto",), all_stems(), beginning=SIZED),
]
ParentsSeed = Annotated[
    int | None, Option(min=0, max=MAX_SEED, help="Of split, order and scratch weights" + Taken, rich_help_panel=TRAINING)
]
OwnImages = Annotated[
    list[str] | None, Option(help="Your own pictures, or folders of them with sub-folders: --images A.png FOLDER.")
]
MoreImages = Annotated[list[str] | None, Argument(hidden=True, help="More pictures, after --images.")]
StudyName = Annotated[str | None, Option(help="The study to show; default: the newest.")]
Format = Annotated[Literal["table", "json", "csv", "markdown"], Option(help="How to print.")]
RunArgument = Annotated[str, Argument(help="Run: id, name, unique prefix or latest.")]
