"""A section for each kind of picture."""

from __future__ import annotations

from functools import partial

from sslcli.report.pictures import KINDS, Kind, kind_of, shown_at_once
from sslcli.report.section import Content, Material, Section

TEMPLATE = """\
{% if kind.meaning %}<p class="lead">{{ kind.meaning }}</p>{% endif %}
{% if pictures %}
<div class="pictures {{ kind.key }}">
{% for p in pictures %}{{ picture(p) }}{% endfor %}
</div>
{% endif %}
{% if folded %}
<details><summary>{{ folded|length }} more curves: losses, learning rates, validation</summary>
<div class="pictures curves">
{% for p in folded %}{{ picture(p) }}{% endfor %}
</div>
</details>
{% endif %}
"""


def content(kind: Kind, material: Material) -> Content | None:
    """The pictures of a kind, in order: the visible ones, and those folded away below them; None without any."""
    mine = [picture for picture in material.kept if kind_of(picture.name) is kind]
    if not mine:
        return None
    shown = [picture for picture in mine if shown_at_once(picture)]
    return {"kind": kind, "pictures": shown, "folded": [picture for picture in mine if picture not in shown]}


SECTIONS = [
    Section(key=kind.key, heading=kind.heading, chapter=kind.chapter, template=TEMPLATE, content=partial(content, kind))
    for kind in KINDS
]
"""The sections in display order of their kinds."""
