"""The pictures that are not in the page: not made, left out, or damaged."""

from __future__ import annotations

from sslcli.report.pictures import missing
from sslcli.report.section import Content, Material, Section

OF_LOGITS = "makes an evaluation that saves its test logits; the page draws these pictures from them."


def content(material: Material) -> Content | None:
    """The missing kinds, and the pictures left out or damaged; None if nothing is missing."""
    absent = _absent(material)
    if not (absent or material.left_out or material.damaged):
        return None
    return {"absent": absent, "left_out": material.left_out, "damaged": material.damaged}


def _absent(material: Material) -> list[tuple[str, str, str]]:
    """The missing kinds of picture: heading, command, and a special sentence about the command, if any."""
    kinds = missing(material.registry, material.found, material.measured.runs)
    rest = [(heading, command, "") for heading, command in kinds if command != "ssl probe"]
    of_logits = [heading for heading, command in kinds if command == "ssl probe"]
    return rest + ([("; ".join(of_logits), "ssl probe", OF_LOGITS)] if of_logits else [])


TEMPLATE = """\
<ul>
{% for heading, command, special in absent %}
<li>{{ heading }}: <code>{{ command }}</code> {{ special or "makes it." }}</li>
{% endfor %}
{% for p in left_out %}
<li>Left out so that this page stays small: <code>{{ p.name }}</code>.</li>
{% endfor %}
{% for name in damaged %}
<li>Damaged: <code>{{ name }}</code>.</li>
{% endfor %}
</ul>
"""

SECTION = Section(key="missing", heading="Pictures that are not here", chapter="Limits", content=content, template=TEMPLATE)
