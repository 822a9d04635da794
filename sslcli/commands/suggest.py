"""ssl suggest: the pictures whose labels would help most, in a file to fill in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from typer import Option

from sslcli.options.annotations import MAX_SEED, DataDir, Device
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Suggest(Command):
    """Choose the pictures of your own whose labels would help most: a CSV file to fill in for --labels, and a picture of them.

    Clusters the representations h of the training pictures and takes the most typical of each cluster without a label. The file
    begins with the labels that you have. Fill in the column label, and type the command again with --labels for more.
    """

    only_reads: ClassVar[bool] = True
    n: Annotated[int, Option("--n", min=1, max=10_000, help="Number of pictures to label next.")] = 50
    run: Annotated[
        str | None,
        Option(help="Finished run of your own pictures whose encoder to use. Default: the newest pretrain run."),
    ] = None
    labels: Annotated[Path | None, Option(help="CSV file with the labels that you have. Default: the run's labels.")] = None
    how: Annotated[
        Literal["typical", "margin"],
        Option(help="typical: in clusters without a label. margin: those that a probe on your labels is least sure of."),
    ] = "typical"
    for_test: Annotated[
        bool,
        Option("--for-test", help="Draw pictures at random, for the test part: a test needs pictures of all kinds."),
    ] = False
    seed: Annotated[int, Option(min=0, max=MAX_SEED, help="Seed of clusters and of --for-test.")] = 1
    out: Annotated[Path | None, Option(help="CSV file to write. Default: results/labels/next.csv.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


def run(command: Suggest) -> None:
    """Write the file and the picture, and say what to do with them."""
    from sslcli.labelling.next_labels import LabelsWanted, suggest

    wanted = LabelsWanted(
        n=command.n, how="random" if command.for_test else command.how, seed=command.seed, labels=command.labels
    )
    suggest(
        open_registry(command), command.run, wanted, out=command.out, data_dir=command.data_dir, device=command.device,
    )  # fmt: skip
