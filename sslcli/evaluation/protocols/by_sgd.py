"""The options of protocols that train linear layers by SGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Option


@dataclass(frozen=True, kw_only=True)
class BySgd:
    """How long, and on how many images a step."""

    epochs: Annotated[int, Option(min=1, help="passes over the training images.")] = 30
    batch_size: Annotated[int, Option(min=2, help="images a step.")] = 256
