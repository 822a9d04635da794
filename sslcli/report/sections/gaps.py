"""What was not measured, and so what the numbers do not show."""

from __future__ import annotations

from sslcli.report.provenance import gaps
from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The sentences."""
    unchecked = [f"{words[0].upper()}{words[1:]}." for words in material.unchecked]
    return {"gaps": [*gaps(material.measured), *material.copies, *unchecked]}


TEMPLATE = """\
<ul>
{% for sentence in gaps %}
<li>{{ sentence }}</li>
{% endfor %}
</ul>
"""

SECTION = Section(key="gaps", heading="What was not measured", chapter="Limits", content=content, template=TEMPLATE)
