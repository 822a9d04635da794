"""Make a card: everything that is measured, as one value, and its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from sslcli.cards.arms import Arm, arms_of, main_run
from sslcli.cards.elsewhere import Elsewhere, bank_of, loaded, moved, others, outliers, seen, shifted, tell_of_missing, transfer
from sslcli.cards.sturdiness import Answered, Gap, Sturdy, answered, gaps, kinds, sturdy
from sslcli.console.messages import say
from sslcli.data import FOLDER
from sslcli.data.batches import generator
from sslcli.data.corruptions import corrupt
from sslcli.data.image_data import ImageData, centre
from sslcli.data.sets.shifted import SHIFTED, corrupted_archive
from sslcli.launch import as_typed
from sslcli.plans.data_access import data_folder, data_of_run, hold_beside_project
from sslcli.runs.paths import located
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.device import choose_device, describe, use_well
from sslcli.workflows.start import versions

NOWHERE = "none"
"""The word of --transfer for no other data set."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What was measured, as in card.json. Accuracies, AUROCs and calibration errors are fractions.

    `images` test images of `test_images` were corrupted, drawn by `seed`. `archive` is the folder of the published corrupted
    images that the numbers come from; None: they were made here. `ours` then has the accuracies on those made here, by
    classifier and corruption.
    """

    run: str
    dataset: str
    backbone: str | None
    method: str | None
    images: int
    test_images: int
    seed: int
    archive: str | None
    sturdiness: list[Sturdy]
    gaps: list[Gap]
    elsewhere: list[Elsewhere]
    ours: dict[str, dict[str, float]] = field(default_factory=dict)
    command: str = ""
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CardWanted:
    """What a card is asked for: at most `images` test images, drawn by `seed`.

    `transfer` names other data sets (None: all that are at hand), `moved` folders of pictures of the own classes.
    """

    images: int
    seed: int
    transfer: Sequence[str] | None
    moved: Sequence[str]
    data_dir: Path | None
    device: str


def make_card(registry: Registry, selector: str, wanted: CardWanted) -> Card:
    """Measure a run and its partners. A StateError or UsageError says what is missing, before anything is written."""
    device = choose_device(wanted.device)
    use_well(device)
    main = registry.load(main_run(registry, selector))
    for option, names in (("--transfer", wanted.transfer or ()), ("--moved", wanted.moved)):
        for name in names:
            if name.startswith(FOLDER):
                hold_beside_project(registry, name, option=option)
    arms = arms_of(registry, selector, device)
    say(f"{main.id}: beside each other: {'; '.join(f'{arm.name} ({arm.record.id})' for arm in arms)}")
    data = data_of_run(registry, main, wanted.data_dir)
    recorded = located(registry, main.options).get("data_dir")
    data_dir = data_folder(registry, wanted.data_dir or (recorded if isinstance(recorded, Path) else None))
    rows = torch.randperm(len(data.test_labels), generator=generator(wanted.seed, "card"))[: wanted.images]
    clean, labels = centre(data.test_images[rows], data.image_size), data.test_labels[rows]
    elsewhere, more = _elsewhere(arms, main, data, clean, data_dir, wanted, device)
    found, ours, archive = _corrupted(arms, main, clean, labels, rows, data, data_dir, wanted.seed)
    return Card(
        run=main.id, dataset=main.dataset or "", backbone=main.backbone, method=main.encoder_method, images=len(rows),
        test_images=len(data.test_labels), seed=wanted.seed, archive=archive, sturdiness=[sturdy(of) for of in found],
        gaps=[*gaps(found), *more], elsewhere=elsewhere, ours={of.arm.name: kinds(of) for of in ours},
        command=as_typed() or "", device=describe(device), versions=versions(),
    )  # fmt: skip


def _corrupted(
    arms: Sequence[Arm], main: Run, clean: Tensor, labels: Tensor, rows: Tensor, data: ImageData, data_dir: Path, seed: int
) -> tuple[list[Answered], list[Answered], str | None]:
    """The answers on corrupted images, from the published ones where they are; then also those on our own, and the folder."""
    archive = corrupted_archive(main.dataset or "", data_dir, data.test_labels)

    def own(name: str, severity: int) -> Tensor:
        return corrupt(clean.cpu(), name, severity=severity, seed=seed)

    made = answered(arms, clean, labels, own)
    if archive is None:
        return made, [], None
    say(f"the same with the published images in {archive.folder}")
    published = answered(arms, clean, labels, lambda name, severity: archive.images(name, severity=severity, rows=rows))
    return published, made, archive.folder.name


def _elsewhere(
    arms: Sequence[Arm], main: Run, data: ImageData, clean: Tensor, data_dir: Path, wanted: CardWanted, device: torch.device
) -> tuple[list[Elsewhere], list[Gap]]:
    """Everything on other data: the same classes in other pictures, other data sets as outliers, and linear probes there."""
    rows: list[Elsewhere] = []
    made: list[Gap] = []
    for name, (images, labels) in _of_own_classes(main, data, data_dir, wanted).items():
        say(f"{name}: {len(labels):,} images")
        more = shifted(arms, images, labels, name)
        rows, made = rows + more[0], made + more[1]
    if wanted.transfer == [NOWHERE]:
        return rows, made
    banks = [bank_of(arm, data, seed=wanted.seed) for arm in arms]
    own = [seen(arm, clean, bank) for arm, bank in zip(arms, banks, strict=True)]
    missing = []
    for name, load in others(wanted.transfer, main.dataset or "", data_dir, side=data.image_size):
        if (other := loaded(load, named=wanted.transfer is not None)) is None:
            missing.append(name)
            continue
        say(f"{name}: {len(other.train_labels):,} training and {len(other.test_labels):,} test images")
        drawn = torch.randperm(len(other.test_labels), generator=generator(wanted.seed, "card"))[: wanted.images]
        for more in (
            outliers(arms, banks, own, other.test_images[drawn], name),
            transfer(arms, other, name, device),
        ):
            rows, made = rows + more[0], made + more[1]
    tell_of_missing(missing, data_dir)
    return rows, made


def _of_own_classes(main: Run, data: ImageData, data_dir: Path, wanted: CardWanted) -> dict[str, tuple[Tensor, Tensor]]:
    """Other pictures of the own classes with their labels, by name: folders that were named, and test sets that lie there."""
    count, seed = wanted.images, wanted.seed
    found = {name: moved(name, data, data_dir, count=count, seed=seed) for name in wanted.moved}
    for name, read in SHIFTED.get(main.dataset or "", {}).items():
        if (there := read(data_dir, data.classes, count, seed)) is not None:
            found[name] = there
    return found


def json_of(card: Card) -> str:
    """The card as JSON."""
    return json.dumps(asdict(card), indent=2) + "\n"
