"""The options of the commands that draw: predict, map, neighbours, views and data check."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from typer import Argument, Option

from sslcli.options.annotations import (
    MAX_SEED,
    DataDir,
    Dataset,
    Device,
    Download,
    Fit,
    Format,
    ImageSize,
    Labels,
    MoreImages,
    OwnImages,
    StudyName,
)
from sslcli.options.command import Command
from sslcli.options.of_views import Blur, Brightness, Contrast, CropMinBySize, Grey, Hue, Jitter, Saturation, ViewSizes
from sslcli.options.pretrain import Pretrain
from sslcli.training.recipe import Flip


@dataclass(frozen=True, kw_only=True)
class Predict(Command):
    """Draw a grid of test images with true class, predicted class and confidence.

    The newest evaluations each get a grid of the same images. With --images, classify your own pictures instead; with --images
    FOLDER --out labels.csv, write the classes of any number of pictures, for --labels.
    """

    only_reads: ClassVar[bool] = True
    run: Annotated[str | None, Option(help="Only this evaluation: id, name, unique prefix, or latest.")] = None
    study: StudyName = None
    n: Annotated[int, Option("--n", min=1, max=400, help="Number of test images.")] = 16
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed that chooses the test images.")] = 1
    images: OwnImages = None
    more: MoreImages = None
    encoder_seed: Annotated[
        int | None,
        Option(
            min=0, max=MAX_SEED, help="Wrong on purpose: put the scratch classifier on another random encoder, with this seed."
        ),
    ] = None
    out: Annotated[
        Path | None,
        Option(
            help="Picture to write, with --run or --images. Default: in results/predictions. With --images FOLDER, FILE.csv: "
            "class and confidence of each picture, instead of a picture."
        ),
    ] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Map(Command):
    """Draw the representations of pretrained and scratch side by side: a map, and nearest training images.

    Uses the study's newest pair of linear evaluations. Writes results/figures/linear_eval/map.png and neighbours.png.
    """

    only_reads: ClassVar[bool] = True
    study: StudyName = None
    n: Annotated[
        int,
        Option(
            "--n", min=10, max=10_000, help="Number of test images, on the map and to average over; all if there are fewer."
        ),
    ] = 2000
    queries: Annotated[int, Option(min=1, max=40, help="Number of test images to show with their nearest training images.")] = 4
    neighbours: Annotated[int, Option(min=1, max=12, help="Nearest training images to show for each.")] = 5
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed of the choice of images and of the map.")] = 1
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class Neighbours(Command):
    """Draw your own pictures beside the training pictures that an encoder finds nearest, with their similarities.

    Writes results/predictions/neighbours.png. Similarity is the cosine of the representations h.
    """

    only_reads: ClassVar[bool] = True
    images: Annotated[list[str] | None, Argument(help="Your own pictures or folders, with their sub-folders.")] = None
    run: Annotated[
        str | None,
        Option(help="Finished run whose encoder to use: id, name or unique prefix. Default: the newest pretrain run."),
    ] = None
    k: Annotated[int, Option("--k", min=1, max=12, help="Nearest training images to show for each.")] = 6
    among: Annotated[
        int | None, Option(min=1, help="Search only this many training images, drawn by --seed. Default: all.")
    ] = None
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed that draws the training images of --among.")] = 1
    out: Annotated[Path | None, Option(help="Picture to write. Default: results/predictions/neighbours.png.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class OfData(Command):
    """The options of a command that reads a data set, as ssl pretrain reads it."""

    dataset: Dataset = Pretrain.dataset
    labels: Labels = None
    image_size: ImageSize = None
    fit: Fit = Pretrain.fit
    data_dir: DataDir = None
    download: Download = False


@dataclass(frozen=True, kw_only=True)
class Views(OfData):
    """Draw training images beside their augmented views, as the encoder sees them.

    Look at this first when pretraining does not work. Takes the options of ssl pretrain that make views.
    """

    run: Annotated[str | None, Option(help="Pretrain run to take data, sizes and augmentation from.")] = None
    n: Annotated[int, Option("--n", min=1, max=100, help="Number of images.")] = 8
    views: Annotated[int, Option(min=1, max=40, help="Views of each image, at every size.")] = 4
    out: Annotated[Path | None, Option(help="Picture to write. Default: results/figures/pretrain/views.png.")] = None
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed of images and views.")] = 1
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
class DataCheck(OfData):
    """Check a data set: duplicates (also between training and test), constant images, conflicting labels, class balance.

    Writes results/data/<dataset>.json, which ssl compare --without-duplicates reads, and a picture of duplicate pairs. With
    --labels-too also results/data/<dataset>_labels.csv and a picture of the labels that are most likely wrong.
    """

    threshold: Annotated[
        float | None,
        Option(
            min=0.5,
            max=1,
            help="Similarity from which two images are near duplicates. Default: 0.8, chosen by eye on CIFAR-10.",
        ),
    ] = None
    labels_too: Annotated[
        bool,
        Option("--labels-too", help="List training labels that may be wrong, by classifiers that did not learn from them."),
    ] = False
    run: Annotated[
        str | None, Option(help="Finished run whose encoder --labels-too uses. Default: the newest pretrain run.")
    ] = None
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed of the five parts of --labels-too.")] = 1
    device: Device = "auto"
    format: Format = "table"
