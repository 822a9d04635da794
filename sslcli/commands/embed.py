"""ssl embed: the representations of images, for numpy and for TensorBoard's projector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from typer import Option

from sslcli.errors import UsageError
from sslcli.options.annotations import DataDir, Device, MoreImages, OwnImages
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Embed(Command):
    """Write the representations h of a data set's images or your own, for numpy and for TensorBoard's projector.

    Writes to results/embeddings/<run>/<test, train or images>: h.npy (float32, one row per image), images.csv (path and
    label of each image), and files that tensorboard --logdir shows under Projector, with a small picture of each image.
    """

    only_reads: ClassVar[bool] = True
    run: Annotated[
        str | None,
        Option(help="Finished run whose encoder to use: id, name or unique prefix. Default: the newest pretrain run."),
    ] = None
    part: Annotated[Literal["test", "train"], Option(help="Part of the run's data set to embed.")] = "test"
    images: OwnImages = None
    more: MoreImages = None
    out: Annotated[Path | None, Option(help="Folder to write. Default: in results/embeddings.")] = None
    data_dir: DataDir = None
    device: Device = "auto"


def run(command: Embed) -> None:
    """Write the files, and say what they are and how to view them."""
    if command.more and not command.images:
        raise UsageError(f"{' '.join(command.more)!r}: type --images before a picture of your own, --run before a run")
    from sslcli.gallery.embeddings import write_embeddings

    write_embeddings(
        open_registry(command), command.run, part=command.part, images=[*(command.images or []), *(command.more or [])],
        out=command.out, data_dir=command.data_dir, device=command.device,
    )  # fmt: skip
