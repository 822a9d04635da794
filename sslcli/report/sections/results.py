"""The results: a ranking of methods if there are several, and a table for each protocol."""

from __future__ import annotations

from sslcli.report.class_sizes import uneven
from sslcli.report.section import Content, Material, Section
from sslcli.report.tables import ranking_tables, result_tables


def content(material: Material) -> Content:
    """The tables of the comparison."""
    measured = material.measured
    tables = result_tables(measured.rows, measured.differences)
    sentences = uneven(material.registry, material.chosen)
    return {"rankings": ranking_tables(material.rankings), "tables": tables, "uneven": sentences}


TEMPLATE = """\
<p class="lead">A table for each protocol; accuracies of different protocols answer different questions.</p>
{% for sentence in uneven %}<p>{{ sentence }}</p>
{% endfor %}
{% for heading, sentence, t in rankings %}
<h3>{{ heading }}</h3>
<p>{{ sentence }}</p>
{{ table(t, "r" ~ loop.index) }}
{% endfor %}
{% for words, t in tables %}
<h3>{{ words.heading }}</h3>
{% if words.meaning %}<p>{{ words.meaning }}</p>{% endif %}
{{ table(t, "t" ~ loop.index) }}
{% endfor %}
"""

SECTION = Section(key="results", heading="Results", chapter="Results", content=content, template=TEMPLATE)
