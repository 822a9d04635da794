"""What each job asks of a scheduler: --job NAME=VALUE, or a YAML file of these, as checked options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, TypeVar, get_type_hints

import yaml
from typer import Option

from sslcli.errors import UsageError
from sslcli.files import load_yaml
from sslcli.options.mapping import from_mapping

FILES = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every scheduler is asked for; a place adds what only it has. The annotations are those of a command's options."""

    cpus: Annotated[int, Option(min=1, max=4096, help="CPU cores, and threads, of each process.")] = 1
    gpus: Annotated[int | None, Option(min=0, max=64, help="GPUs of each process. Default: 1 with --device cuda, else 0.")] = (
        None
    )
    memory: Annotated[float | None, Option(min=0.1, help="Memory of each job on each node, in GB. Default: not asked for.")] = (
        None
    )
    processes: Annotated[
        int, Option(min=1, max=4096, help="Processes that do a pretraining together; on Slurm, on each node.")
    ] = 1

    @classmethod
    def hints(cls, values: Mapping[str, object]) -> dict[str, object]:  # noqa: ARG003  (as those of a command)
        """The annotations that values are checked against."""
        return get_type_hints(cls, include_extras=True)

    def gpus_of(self, device: str) -> int:
        """The GPUs of each process of a job with this --device."""
        return int(device == "cuda") if self.gpus is None else self.gpus


RequestT = TypeVar("RequestT", bound=Request)


def request_of(kind: type[RequestT], asked: list[str] | None) -> RequestT:
    """The request that --job options make, in their order: a later one wins. A UsageError names what is not accepted."""
    values: dict[str, object] = {}
    for text in asked or []:
        name, equals, value = text.partition("=")
        if equals:
            values |= from_mapping(kind, {name: _read(value)}, f"--job {text}")
        elif Path(text).suffix in FILES:
            values |= from_mapping(kind, _content(Path(text)), text)
        else:
            names = ", ".join(option.name for option in fields(kind))
            raise UsageError(f"--job {text!r}: accepted is NAME=VALUE, or a YAML file with lines NAME: VALUE; names: {names}")
    build: Callable[..., RequestT] = kind
    return build(**values)


def _read(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text


def _content(path: Path) -> object:
    if not path.is_file():
        raise UsageError(
            f"--job {path}: there is no such file; accepted: NAME=VALUE, or a YAML file with a line NAME: VALUE for each; to "
            "see what a job can ask for, type: ssl study --help"
        )
    return load_yaml(path)
