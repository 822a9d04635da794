"""What next: the commands for what a reader with own pictures asks after the answer."""

from __future__ import annotations

from sslcli.data import FOLDER
from sslcli.report.section import Content, Material, Section

QUESTIONS = (
    ("Is another encoder better?", "ssl study --beside torchvision:resnet50 …", "adds it to this study."),
    ("How sure is it?", "ssl study --folds 10 …", "tests every labelled picture once, so that the intervals are narrower."),
    ("Which pictures to label next?", "ssl suggest --n 50", "chooses them; with --for-test it draws some for the test."),
    ("What are the other labels?", "ssl predict --images FOLDER --out labels.csv", "names a class and a confidence for each."),
    ("Are there wrong labels?", "ssl data check --dataset folder:PATH --labels-too", "lists the most suspect ones."),
    ("Does it hold on another camera's pictures?", "ssl card latest --moved folder:PATH", "measures that on some with labels."),
)  # fmt: skip
"""A question, the command that answers it, and what the command does."""


def content(material: Material) -> Content | None:
    """The questions; None unless the study is of a person's own pictures."""
    own = any((run.dataset or "").startswith(FOLDER) for run in material.chosen)
    return {"questions": QUESTIONS} if own else None


TEMPLATE = """\
<ul>
{% for question, command, does in questions %}
<li>{{ question }} <code>{{ command }}</code> {{ does }}</li>
{% endfor %}
</ul>
"""

SECTION = Section(key="next", heading="What next", chapter="Results", content=content, template=TEMPLATE)
