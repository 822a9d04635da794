"""Few labels: accuracy by fraction of the labels, pretrained beside scratch."""

from __future__ import annotations

from sslcli.report.class_sizes import possible_fraction
from sslcli.report.section import Content, Material, Section
from sslcli.report.tables import few_label_tables


def content(material: Material) -> Content:
    """A table for each protocol that was run with fewer labels."""
    fraction = possible_fraction(material.registry, material.chosen)
    return {"few_labels": few_label_tables(material.measured.differences), "fraction": fraction and f"{fraction:g}"}


TEMPLATE = """\
{% for t in few_labels %}{{ table(t, "l" ~ loop.index) }}{% else %}
<p>No pair was run with fewer labels{% if fraction %}; <code>ssl finetune --label-fraction {{ fraction }}</code> and <code>ssl finetune --label-fraction {{ fraction }} --init scratch</code> make one{% else %}: the smallest class has too few for a part of them{% endif %}.</p>
{% endfor %}
"""  # noqa: E501  (a line of the page)

SECTION = Section(key="few", heading="Few labels", chapter="Results", content=content, linked="few_labels", template=TEMPLATE)
