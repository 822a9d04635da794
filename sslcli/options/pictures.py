"""The options of the commands that draw: predict, map, neighbours, views and data check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Argument, Option

from sslcli.options.annotations import (
    MAX_SEED,
    Blur,
    Brightness,
    Contrast,
    CropMinBySize,
    DataDir,
    Dataset,
    Device,
    Download,
    Fit,
    Flip,
    Format,
    Grey,
    Hue,
    ImageSize,
    Jitter,
    Labels,
    MoreImages,
    OwnImages,
    Saturation,
    StudyName,
    ViewSizes,
)
from sslcli.options.command import Command
from sslcli.options.pretrain import Pretrain


@dataclass(frozen=True, kw_only=True)
class Predict(Command):
    """Draw a grid of test images with true class, predicted class and confidence: for each newest evaluation the same ones.

    With --images it classifies pictures of your own.
    """

    only_reads: ClassVar[bool] = True
    run: Annotated[str | None, Option(help="Only this evaluation: id, name, unique prefix or latest.")] = None
    study: StudyName = None
    n: Annotated[int, Option("--n", min=1, max=400, help="How many test images.")] = 16
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the test images.")] = 1
    images: OwnImages = None
    more: MoreImages = None
    encoder_seed: Annotated[
        int | None,
        Option(
            min=0, max=MAX_SEED, help="On purpose wrong: put the scratch classifier on another random encoder, of this seed."
        ),
    ] = None
    out: Annotated[
        Path | None, Option(help="The picture to write, with --run or --images; default: in results/predictions.")
    ] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Map(Command):
    """Draw the representations of pretrained and scratch beside each other: as a map, and as nearest training images.

    Of the study's newest pair of linear evaluations, into results/figures/linear_eval/map.png and neighbours.png.
    """

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    n: Annotated[
        int, Option("--n", min=10, max=10_000, help="How many test images, or all: on the map, and to average over.")
    ] = 2000
    queries: Annotated[int, Option(min=1, max=40, help="Test images whose nearest training images are shown.")] = 4
    neighbours: Annotated[int, Option(min=1, max=12, help="Nearest training images of each.")] = 5
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the images, and starts the map.")] = 1
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Neighbours(Command):
    """Draw pictures of your own beside the training pictures that an encoder finds nearest, with their similarities.

    Into results/predictions/neighbours.png. Similarity is the cosine of the representations h.
    """

    only_reads: ClassVar[bool] = True
    images: Annotated[list[str] | None, Argument(help="Your own pictures, or folders of them with sub-folders.")] = None
    run: Annotated[
        str | None, Option(help="Whose encoder: id, name or prefix of a finished run; default: the newest pretrain run.")
    ] = None
    k: Annotated[int, Option("--k", min=1, max=12, help="Nearest training images of each.")] = 6
    among: Annotated[int | None, Option(min=1, help="Look among so many training images, drawn by --seed; default: all.")] = (
        None
    )
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses the training images of --among.")] = 1
    out: Annotated[Path | None, Option(help="The picture to write; default: results/predictions/neighbours.png.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Views(Command):
    """Draw some training images beside augmented views of them, as the encoder gets them.

    The first thing to look at when pretraining does not work. Takes the options of ssl pretrain that make views.
    """

    run: Annotated[str | None, Option(help="Take data, sizes and augmentation from this pretrain run.")] = None
    n: Annotated[int, Option("--n", min=1, max=100, help="How many images.")] = 8
    views: Annotated[int, Option(min=1, max=40, help="How many views of each, at every size.")] = 4
    out: Annotated[Path | None, Option(help="The picture to write; default: results/figures/pretrain/views.png.")] = None
    dataset: Dataset = Pretrain.dataset
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = Pretrain.fit
    data_dir: DataDir = None
    download: Download = False
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Chooses images and views.")] = 1
    view_sizes: ViewSizes = Pretrain.view_sizes
    crop_min: CropMinBySize = Pretrain.crop_min
    flip: Flip = Pretrain.flip
    jitter: Jitter = Pretrain.jitter
    brightness: Brightness = Pretrain.brightness
    contrast: Contrast = Pretrain.contrast
    saturation: Saturation = Pretrain.saturation
    hue: Hue = Pretrain.hue
    grey: Grey = Pretrain.grey
    blur: Blur = Pretrain.blur


@dataclass(frozen=True, kw_only=True)
class DataCheck(Command):
    """Find duplicates in a data set, across training and test too; constant images, labels that disagree, class balance.

    Writes results/data/<dataset>.json, which ssl compare --without-duplicates reads, and a picture of pairs.
    """

    dataset: Dataset = "cifar10"
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = "crop"
    data_dir: DataDir = None
    download: Download = False
    threshold: Annotated[
        float | None,
        Option(min=0.5, max=1, help="Least similarity of near duplicates; default: 0.8, chosen by eye on CIFAR-10."),
    ] = None
    format: Format = "table"
