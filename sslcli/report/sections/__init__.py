"""The sections of the page below the answer, one file each; each kind of picture is a section."""

from __future__ import annotations

from sslcli.report.section import Section
from sslcli.report.sections import check, few, gaps, missing, next_steps, pictures, provenance, recipe, results

SECTIONS: dict[str, Section] = {
    entry.key: entry
    for entry in (
        results.SECTION,
        few.SECTION,
        next_steps.SECTION,
        recipe.SECTION,
        *pictures.SECTIONS,
        check.SECTION,
        provenance.SECTION,
        gaps.SECTION,
        missing.SECTION,
    )
}
"""Every section by key, in display order."""
