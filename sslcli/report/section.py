"""The class of a section of the page, and the input of all sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslcli.comparison.arms import ArmDifference
from sslcli.comparison.ranked import Ranking
from sslcli.report.embedded import Picture
from sslcli.report.provenance import Measured
from sslcli.report.tables import Table
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

Content = Mapping[str, Any]
"""The values for a section's template, by name."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """The input of a page: the study's evaluations, what was `measured` in them, and the pictures.

    `beside` are the differences of own pretraining from encoders from elsewhere, `names` the names of all encoders by init.

    `checks` are the tables of the data checks, `unchecked` sentences about data sets without one, `copies` the numbers of test
    images that training has copies of, by data set, where there are some. `found` are all pictures, in
    order; `kept` are those that fit into the page, `left_out` the others. `damaged` are the names of damaged files.
    """

    registry: Registry
    chosen: Sequence[Run]
    measured: Measured
    rankings: Sequence[Ranking]
    beside: Sequence[ArmDifference]
    names: Mapping[str, str]
    checks: Sequence[Table]
    unchecked: Sequence[str]
    copies: Mapping[str, int]
    found: Sequence[Picture]
    damaged: Sequence[str]
    kept: Sequence[Picture] = ()
    left_out: Sequence[Picture] = ()

    @property
    def records(self) -> list[Run]:
        """The records of the study's evaluations."""
        shown = {run.id for run in self.chosen}
        return [run for run in self.measured.runs if run.id in shown]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page. `key` is its id there, `heading` its title, also in the navigation.

    `content(material)` returns the values for `template`; None leaves the section out. `template` is a Jinja template of the
    HTML below the heading: every value is escaped, `table(t, id)` shows a Table, `picture(p)` a Picture.

    The navigation has a link to every section; with `linked`, only if the value of this name in the content is not empty.
    Consecutive sections with the same `chapter` share one link, to the first of them; a section without a chapter has its own.
    """

    key: str
    heading: str
    template: str
    content: Callable[[Material], Content | None]
    linked: str = ""
    chapter: str = ""
