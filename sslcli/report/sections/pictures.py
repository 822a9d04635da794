"""A section for each kind of picture."""

from __future__ import annotations

from functools import partial

from sslcli.report.pictures import KINDS, Kind, kind_of, shown_at_once
from sslcli.report.section import Content, Material, Section
from sslcli.runs.naming import INIT_WORDS

OF_TEST = ("over-time", "curves", "predictions", "map", "neighbours")
"""The kinds of picture that show the test images, never those of folds."""
PREDICTED = "predictions"
"""The kind of picture that shows what a classifier says of single images."""
OF_A_PAIR = ("curves", "map", "neighbours")
"""The kinds of picture without encoders from elsewhere."""
TEMPLATE = """\
{% if kind.meaning or note %}<p class="lead">{{ kind.meaning }} {{ note }}</p>{% endif %}
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
    folded = [picture for picture in mine if picture not in shown]
    return {"kind": kind, "pictures": shown, "folded": folded, "note": note(kind, material)}


def _place_among_of_test(kind: Kind) -> int:
    """The place of a kind of picture among those of the test images; the others come last."""
    return KINDS.index(kind) if kind.key in OF_TEST else len(KINDS)


def note(kind: Kind, material: Material) -> str:
    """What a kind of picture leaves out, beside the tables: the images that only folds test, and encoders from elsewhere."""
    tested = {run.metrics["test_images"] for run in material.measured.runs if "test_images" in run.metrics}
    in_folds = any(row.folds for row in material.measured.rows)
    words = []
    if kind.key in OF_TEST and in_folds and len(tested) == 1:
        first = min((kind_of(picture.name) for picture in material.kept), key=_place_among_of_test)
        words.append(
            f"The test images here are the {tested.pop():,.0f} of the test part"
            f"{', classified by one classifier of each encoder' * (kind.key == PREDICTED)}"
            f"{'; the tables of folds count all labelled images' * (kind is first)}."
        )
    if kind.key in OF_A_PAIR and set(material.names) - set(INIT_WORDS):
        words.append("Drawn for one's own encoder and scratch; encoders from elsewhere are in the tables.")
    return " ".join(words)


SECTIONS = [
    Section(key=kind.key, heading=kind.heading, chapter=kind.chapter, template=TEMPLATE, content=partial(content, kind))
    for kind in KINDS
]
"""The sections in display order of their kinds."""
