"""ssl export: the encoder of a run, for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from typer import Argument, Option

from sslcli.options.annotations import DataDir
from sslcli.options.command import Command
from sslcli.options.project_folder import open_registry


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Export the encoder of a run for other programs: weights, preprocessing, and a model card with the lines that load them.

    The files work without ssl. Before it finishes, the command compares them with the encoder on test images.
    """

    only_reads: ClassVar[bool] = True
    run: Annotated[
        str,
        Argument(help="Finished run: id, name or unique prefix. latest: the newest pretrain run."),
    ] = "latest"
    format: Annotated[
        Literal["safetensors", "torchvision", "timm", "onnx"],
        Option(
            help="onnx: any encoder; safetensors: backbones of this program; torchvision and timm: backbones that they have."
        ),
    ] = "safetensors"
    out: Annotated[Path | None, Option(help="Folder to write. Default: results/export/<run>-<format> in the project.")] = None
    data_dir: DataDir = None


def run(command: Export) -> None:
    """Write the folder, whole or not at all."""
    from sslcli.export.export import export

    export(open_registry(command), command.run, name=command.format, out=command.out, data_dir=command.data_dir)
