"""Provenance: the machine and the software, and for every run what made it."""

from __future__ import annotations

from sslcli.report.provenance import machine, provenance
from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The machine in a few lines, and the table of all runs."""
    runs = material.measured.runs
    return {"machine": machine(runs), "provenance": provenance(runs)}


SECTION = Section(
    key="provenance",
    heading="Provenance",
    content=content,
    template="""\
<dl class="machine">
{% for name, text in machine %}
<div><dt>{{ name }}</dt><dd>{{ text }}</dd></div>
{% endfor %}
</dl>
<details><summary>All {{ provenance.rows|length }} runs: command, versions, device, fingerprints</summary>
{{ table(provenance, "p1") }}
</details>
""",
)
