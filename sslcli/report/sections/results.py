"""The results: a ranking of methods if there are several, and a table for each protocol."""

from __future__ import annotations

from sslcli.report.answer import protocol_of
from sslcli.report.class_sizes import uneven
from sslcli.report.rates import rate_in_words
from sslcli.report.section import Content, Material, Section
from sslcli.report.tables import ranking_tables, result_tables


def content(material: Material) -> Content:
    """The tables of the comparison, each with how its rate was chosen, and the means over uneven classes."""
    measured = material.measured
    protocols = dict.fromkeys(map(protocol_of, measured.rows))
    return {
        "beside": bool(material.beside),
        "rankings": ranking_tables(material.rankings, material.beside),
        "tables": [
            (*of_protocol, rate_in_words(material.records, protocol, material.names))
            for protocol, of_protocol in zip(protocols, result_tables(measured.rows, measured.differences), strict=True)
        ],
        "uneven": uneven(material.registry, material.chosen, material.names),
    }


TEMPLATE = """\
<p class="lead">A table for each protocol; accuracies of different protocols answer different questions.{% if beside %} The intervals in the tables of encoders allow for all their comparisons, and so does who can be told apart; those “for this pair alone” do not.{% endif %}</p>
{% for heading, sentences, t in rankings %}
<h3>{{ heading }}</h3>
{% if sentences %}<p>{{ sentences|join(" ") }}</p>{% endif %}
{{ table(t, "r" ~ loop.index) }}
{% endfor %}
{% for words, t, rate in tables %}
<h3>{{ words.heading }}</h3>
{% if words.meaning %}<p>{{ words.meaning }}</p>{% endif %}
{% if rate %}<p>{{ rate }}</p>{% endif %}
{{ table(t, "t" ~ loop.index) }}
{% endfor %}
{% for u in uneven %}
{% if loop.first %}<h3>Uneven classes</h3>{% endif %}
<p>{{ u.sentence }}</p>
{{ table(u.means, "u" ~ loop.index) }}
{% endfor %}
"""  # noqa: E501  (a line of the page)

SECTION = Section(key="results", heading="Results", chapter="Results", content=content, template=TEMPLATE)
