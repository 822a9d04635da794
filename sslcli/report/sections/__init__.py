"""The sections of the page below the answer, a file each; pictures have one for each of their kinds."""

from __future__ import annotations

from sslcli.report.section import Section
from sslcli.report.sections import absent, check, few, made_by, pictures, results, unmeasured

SECTIONS: dict[str, Section] = {
    entry.key: entry
    for entry in (
        results.SECTION,
        *pictures.SECTIONS,
        check.SECTION,
        few.SECTION,
        absent.SECTION,
        made_by.SECTION,
        unmeasured.SECTION,
    )
}
"""Every section by its key, in the order in which they are shown."""
