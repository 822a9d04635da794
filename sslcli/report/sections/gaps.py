"""What was not measured, and so what the numbers do not show."""

from __future__ import annotations

from sslcli.comparison.differences import folds_of
from sslcli.evaluation.naming import listed
from sslcli.report.provenance import gaps
from sslcli.report.section import Content, Material, Section


def content(material: Material) -> Content:
    """The sentences."""
    unchecked = [f"{words[0].upper()}{words[1:]}." for words in material.unchecked]
    return {"gaps": [*gaps(material.measured), *_of_copies(material), *unchecked]}


def _of_copies(material: Material) -> list[str]:
    """How many test images have copies in training, and what compares the study without them, if it can."""
    tested = {run.dataset for run in material.chosen}
    found = {name: count for name, count in material.copies.items() if name in tested}
    if not found:
        return []
    images = listed([f"{count:,} test image{'s' * (count != 1)} of {name}" for name, count in found.items()])
    have = "has" if [*found.values()] == [1] else "have"
    in_folds = any(folds_of(run) for run in material.chosen)
    of_folds = " Folds drawn after the data check do not add to it: copies lie in one fold." * in_folds
    study = material.chosen[0].study
    command = (
        f" Without them: ssl compare {f'--study {study} ' * bool(study)}--without-duplicates."
        if all(run.status != "published" for run in material.chosen)
        else ""
    )
    return [f"What copies add to the accuracy: {images} {have} a copy or a near copy in training.{of_folds}{command}"]


TEMPLATE = """\
<ul>
{% for sentence in gaps %}
<li>{{ sentence }}</li>
{% endfor %}
</ul>
"""

SECTION = Section(key="gaps", heading="What was not measured", chapter="Limits", content=content, template=TEMPLATE)
