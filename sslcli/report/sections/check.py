"""The data check: the results of `ssl data check` for each data set."""

from __future__ import annotations

from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The tables, and sentences about the data sets without one."""
    return {"checks": material.checks, "unchecked": material.unchecked}


TEMPLATE = """\
{% for t in checks %}{{ table(t, "c" ~ loop.index) }}{% endfor %}
{% for words in unchecked %}<p>{{ words[0]|upper }}{{ words[1:] }}; <code>ssl data check</code> makes one.</p>{% endfor %}
"""

SECTION = Section(key="check", heading="Data check", chapter="Data", content=content, linked="checks", template=TEMPLATE)
