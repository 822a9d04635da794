"""What a run's record holds in its nested fields, as types. Imports no torch."""

from __future__ import annotations

from typing import TypedDict


class Origin(TypedDict, total=False):
    """Of the file of others' weights that a run begins with; empty without one. An evaluation keeps file and sha256 alone."""

    file: str
    sha256: str
    renamed: dict[str, str]
    dropped: dict[str, int]


class Code(TypedDict, total=False):
    """Of the file of a method outside the program; empty without one."""

    file: str
    sha256: str
    name: str


class Data(TypedDict, total=False):
    """What a run was trained on: the images, how a picture becomes an input, and what else it began with.

    Sides are in pixels; `mean` and `std` (3,) normalise values in [0, 1]. Older versions recorded less.
    """

    sha256: str
    image_size: int
    kept_size: int
    fit: str
    mean: list[float]
    std: list[float]
    init: Origin
    method: Code
    test_seen_in_pretraining: int
    encoder_sha256: str
    classes: list[str]


class Trial(TypedDict):
    """A rate that was tried, and its accuracy on the validation images, in [0, 1]."""

    rate: float
    val_acc: float


class Choices(TypedDict, total=False):
    """What was chosen before the first step, and a resume takes over."""

    rate: float
    tried: list[Trial]
    minutes: float


class Attempt(TypedDict, total=False):
    """A process's work on a run: when, where, and how it ended. Times are in UTC, as ISO 8601."""

    started: str
    host: str
    process: int
    ended: str
    status: str


class Settled(TypedDict, total=False):
    """Those of a run's options that other parts of the program read by their names."""

    backbone: str
    stem: str
    precision: str
    seed: int
    label_fraction: float
    projector_dim: int
