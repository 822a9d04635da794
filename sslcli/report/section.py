"""What a section of the page is, and what all of them are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslcli.comparison.ranking import Ranking
from sslcli.report.embedded import Picture
from sslcli.report.provenance import Measured
from sslcli.report.tables import Table
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

Content = Mapping[str, Any]
"""What a section's template is filled with, by name."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a page is made of: the study's evaluations, what was `measured` in them, and the pictures.

    `checks` are the tables of the data checks, `unchecked` the data sets without one, in words. `found` are the pictures that
    there are, in order; `kept` those that the page has room for, `left_out` the others. `damaged` are names of broken files.
    """

    registry: Registry
    chosen: Sequence[Run]
    measured: Measured
    rankings: Sequence[Ranking]
    checks: Sequence[Table]
    unchecked: Sequence[str]
    found: Sequence[Picture]
    damaged: Sequence[str]
    kept: Sequence[Picture] = ()
    left_out: Sequence[Picture] = ()


def _always(_: Content) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section of the page. `key` is its id there, `heading` what stands above it and in the navigation.

    `content(material)` is what `template` is filled with; None leaves the section out. `template` is HTML in the language of
    Jinja, below the heading: every value is escaped, `table(t, id)` sets a Table, `picture(p)` a Picture. `linked(content)`
    says whether the navigation leads there. Neighbours of one `chapter` share an entry there, which leads to the first of them;
    a section without a chapter has an entry of its own.
    """

    key: str
    heading: str
    template: str
    content: Callable[[Material], Content | None]
    linked: Callable[[Content], bool] = _always
    chapter: str = ""
