"""ssl card: how an encoder holds on pictures that changed, and on other data, beside its partners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from typer import Argument, Option

from sslcli.data import DATASETS, FOLDER
from sslcli.errors import UsageError
from sslcli.options.annotations import MAX_SEED, DataDir, Device
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry
from sslcli.options.values import OneOf

NAMES = OneOf((*DATASETS, "none"), beginnings=(FOLDER,))


@dataclass(frozen=True, kw_only=True)
class Card(Command):
    """Measure an encoder where pictures change, beside scratch: corruptions, calibration, other data sets.

    RUN is a pretrain run with a linear evaluation, or an evaluation. Its partners from another init and its fine-tuned
    siblings are measured on the same images. Writes card.md, card.json and severity.png to results/cards/<run id>.
    """

    only_reads: ClassVar[bool] = True
    run: Annotated[str, Argument(help="Finished run: id, name, unique prefix, or latest, the newest pretrain run.")] = "latest"
    n: Annotated[int, Option("--n", min=10, help="Number of test images to corrupt; all if there are fewer.")] = 2000
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed of the choice of images and of the corruptions.")] = 1
    transfer: Annotated[
        list[str] | None,
        Option(help="Another data set to measure on, or folder:PATH, or none; give it again for more. Default: all at hand."),
    ] = None
    moved: Annotated[
        list[str] | None,
        Option(help="folder:PATH of more pictures of the same classes, like those of another camera. Can be repeated."),
    ] = None
    data_dir: DataDir = None
    device: Device = "auto"
    format: Annotated[Literal["table", "json"], Option(help="Output format.")] = "table"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.transfer or ():
            if not NAMES.accepts(name):
                raise UsageError(f"--transfer {name!r}: accepted: {NAMES.in_words()}")
        for name in self.moved or ():
            if not name.startswith(FOLDER) or name == FOLDER:
                raise UsageError(f"--moved {name!r}: accepted is folder:PATH, with a sub-folder for each class")
        if "none" in (self.transfer or ()) and len(self.transfer or ()) > 1:
            raise UsageError(f"--transfer none with {len(self.transfer or ()) - 1} more: accepted is none alone, or data sets")


def run(command: Card) -> None:
    """Measure, write the files and print the card."""
    from sslcli.cards.card import CardWanted
    from sslcli.cards.files import make_and_show

    wanted = CardWanted(
        images=command.n, seed=command.seed, transfer=command.transfer, moved=command.moved or [],
        data_dir=command.data_dir, device=command.device,
    )  # fmt: skip
    make_and_show(open_registry(command), command.run, wanted, style=command.format)
