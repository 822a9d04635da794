"""A plan: a fully determined training."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic

from sslcli.options.pairing import begun_with, pair_key
from sslcli.options.trainings import OptionsT_co
from sslcli.runs.choices import Choices
from sslcli.runs.run import Code, Origin
from sslcli.training.context import Context


@dataclass(frozen=True)
class Plan(Generic[OptionsT_co]):
    """A fully determined training: resolved options, context, and the other fields of its record."""

    options: OptionsT_co
    context: Context
    experiment: str
    init: str | None = None
    parent: str | None = None
    protocol: str | None = None
    method: str | None = None  # that trains or trained the encoder
    origin: Origin = field(default_factory=Origin)  # of the file of weights that it starts from
    code: Code = field(default_factory=Code)  # of a method's file outside the program
    choices: Choices = field(default_factory=Choices)  # values chosen by measuring, apart from the options

    @property
    def key(self) -> tuple[object, ...]:
        """A key that is equal for trainings that would give the same numbers."""
        values = self.options.options()
        return self.experiment, self.init, self.parent, values.get("at_epoch"), self.pair

    @cached_property
    def pair(self) -> str:
        """A key, equal for evaluations that differ only in init; that of a pretraining depends on its weights and code."""
        return pair_key(self.experiment, self.options.options(), self._begun_with)

    @cached_property
    def setup(self) -> str:
        """A key that is equal for trainings that differ only in init and seed."""
        return pair_key(self.experiment, self.options.options(), self._begun_with, but=("seed",))

    @property
    def _begun_with(self) -> str:
        return begun_with(self.context.fingerprint, *[self.origin, self.code] * (self.experiment == "pretrain"))
