"""A plan: a training that is fully determined."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from sslcli.options.pairing import begun_with, pair_key
from sslcli.options.trainings import OptionsT_co
from sslcli.runs.run import Choices, Code, Origin
from sslcli.training.context import Context


@dataclass(frozen=True)
class Plan(Generic[OptionsT_co]):
    """A training that is fully determined: resolved options, context, and what the registry keeps beside them."""

    options: OptionsT_co
    context: Context
    experiment: str
    init: str | None = None
    parent: str | None = None
    protocol: str | None = None
    method: str | None = None  # that trains the encoder, or has trained it
    origin: Origin = field(default_factory=Origin)  # of the file of others' weights that it begins with
    code: Code = field(default_factory=Code)  # of the file of a method outside the program
    choices: Choices = field(default_factory=Choices)  # what was settled by measuring, beside the options

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two trainings that would give the same numbers."""
        values = self.options.options()
        return self.experiment, self.init, self.parent, values.get("at_epoch"), self.pair

    @property
    def pair(self) -> str:
        """Equal for evaluations that differ in init alone; two pretrainings by other weights or code are never equal."""
        return pair_key(self.experiment, self.options.options(), self._begun_with)

    @property
    def setup(self) -> str:
        """Equal for trainings that differ in init and seed alone."""
        return pair_key(self.experiment, self.options.options(), self._begun_with, but=("seed",))

    @property
    def _begun_with(self) -> str:
        return begun_with(self.context.fingerprint, *[self.origin, self.code] * (self.experiment == "pretrain"))
