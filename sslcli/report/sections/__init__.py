"""The sections of the page below the answer, a file each; pictures have one for each of their kinds."""

from __future__ import annotations

from sslcli.report.section import Section
from sslcli.report.sections import check, few, gaps, missing, pictures, provenance, results

SECTIONS: dict[str, Section] = {
    entry.key: entry
    for entry in (
        results.SECTION,
        *pictures.SECTIONS,
        check.SECTION,
        few.SECTION,
        missing.SECTION,
        provenance.SECTION,
        gaps.SECTION,
    )
}
"""Every section by its key, in the order in which they are shown."""
