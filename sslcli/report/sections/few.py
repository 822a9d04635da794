"""Few labels: accuracy by fraction of the labels, pretrained beside scratch."""

from __future__ import annotations

from sslcli.report.section import Content, Material, Section
from sslcli.report.tables import few_label_tables


def content(material: Material) -> Content:
    """A table for each protocol that was run with fewer labels."""
    return {"few_labels": few_label_tables(material.measured.differences)}


SECTION = Section(
    key="few",
    heading="Few labels",
    chapter="Results",
    content=content,
    linked=lambda content: bool(content["few_labels"]),
    template="""\
{% for t in few_labels %}{{ table(t, "l" ~ loop.index) }}{% else %}
<p>No pair was run with fewer labels; <code>ssl finetune --label-fraction 0.1</code> and <code>ssl finetune --label-fraction 0.1 --init scratch</code> make one.</p>
{% endfor %}
""",  # noqa: E501  (a line of the page)
)
