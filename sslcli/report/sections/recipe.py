"""Recipe: the method, the options that differ from the defaults, minutes, machine, and the commands to repeat it."""

from __future__ import annotations

from sslcli.report.provenance import each, minutes_in_words
from sslcli.report.recipe import encoders, pieces, recipe, references
from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The table of trainings, the commands in order, and the papers."""
    runs = material.measured.runs
    return {
        "recipe": recipe(runs),
        "encoders": encoders(runs, material.names),
        "machine": each(run.device for run in runs),
        "minutes": minutes_in_words(runs),
        "commands": list(dict.fromkeys(piece.command for piece in pieces(runs))),
        "references": references(runs),
    }


TEMPLATE = """\
{% if commands %}
<p>{{ "This command reproduces" if commands|length == 1 else "These commands, in this order, reproduce" }} the study
{{- " (…/ stands for a folder)" if "…/" in commands|join }}:</p>
<pre><code>{{ commands|join("\n") }}</code></pre>
{% endif %}
{% if recipe %}{{ table(recipe, "k1") }}{% else %}
<p>The records of these runs are not in this project, so their options and commands are not known here.</p>
{% endif %}
{% if encoders %}{{ table(encoders, "k2") }}{% endif %}
<dl class="machine">
{% if minutes %}<div><dt>Training</dt><dd>{{ minutes }}</dd></div>{% endif %}
{% if machine %}<div><dt>Machine</dt><dd>{{ machine }}</dd></div>{% endif %}
{% for kind, paper in references %}<div><dt>{{ kind if loop.changed(kind) }}</dt><dd>{{ paper }}</dd></div>{% endfor %}
</dl>
"""

SECTION = Section(key="recipe", heading="Recipe", content=content, template=TEMPLATE)
