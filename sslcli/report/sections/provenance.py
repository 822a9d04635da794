"""Provenance: the machine, the software, and the origin of every run."""

from __future__ import annotations

from sslcli.report.provenance import machine, provenance
from sslcli.report.recipe import pieces
from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The commands with their commits, the machine in a few lines, and the table of all runs."""
    runs = material.measured.runs
    return {"pieces": pieces(runs), "machine": machine(runs), "provenance": provenance(runs, material.names)}


TEMPLATE = """\
{% macro at(piece) %}
<code>{{ piece.command }}</code>{% if piece.commit %}, commit <code>{{ piece.commit }}</code>{% endif %}
{%- endmacro %}
{% if pieces|length == 1 %}
<p>{{ "One command at one commit" if pieces[0].commit else "One command" }}: {{ at(pieces[0]) }}.</p>
{% elif pieces %}
<p>Run in pieces, {{ pieces|length }} in all:</p>
<ol class="pieces">
{% for piece in pieces %}
<li>{{ at(piece) }}: {{ piece.runs }} run{{ "s" if piece.runs != 1 }} ({{ piece.what|join(", ") }})</li>
{% endfor %}
</ol>
{% endif %}
<dl class="machine">
{% for name, text in machine %}
<div><dt>{{ name }}</dt><dd>{{ text }}</dd></div>
{% endfor %}
</dl>
<details><summary>All {{ provenance.rows|length }} runs: command, versions, device, fingerprints</summary>
{{ table(provenance, "p1") }}
</details>
"""

SECTION = Section(key="provenance", heading="Provenance", content=content, template=TEMPLATE)
