"""The options of ssl study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from sslcli.options.annotations import MAX_SEED, DataDir, Device, Download, Labels, Minutes, StudyDataset
from sslcli.options.command import Command


@dataclass(frozen=True, kw_only=True)
class Study(Command):
    """The whole study: pretrain, linear evaluation and fine-tuning, each pretrained and scratch, pictures, comparison.

    Started again it goes on where it stopped and repeats nothing that is finished.
    """

    preset: Annotated[
        str | None,
        Option(help="demo, cifar10-cpu, cifar10, or a YAML file like theirs; default: demo, or by --minutes."),
    ] = None
    dataset: StudyDataset = None
    labels: Labels = None
    minutes: Minutes = None
    name: Annotated[str | None, Option(help="The study's name; default: the preset's or the data set's.")] = None
    set: Annotated[
        list[str] | None, Option(help="Change an option: COMMAND.OPTION=VALUE, e.g. pretrain.epochs=2. Can be given again.")
    ] = None
    seed: Annotated[int | None, Option(min=0, max=MAX_SEED, help="Seed of everything; default: the preset's.")] = None
    seeds: Annotated[int, Option(min=1, max=100, help="How many seeds, counted up from --seed: the whole study for each.")] = 1
    label_fractions: Annotated[
        str | None,
        Option(help="Parts of the labels for every evaluation, e.g. 0.01,0.1,1; default: the preset's."),
    ] = None
    max_steps: Annotated[int | None, Option(min=1, help="At most so many steps of each training, for a trial.")] = None
    data_dir: DataDir = None
    download: Download = False
    device: Device = "auto"
