"""The page of a study: a single, complete HTML file to hand in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sslcli import __version__
from sslcli.comparison.answer import answer, speaks_of
from sslcli.comparison.arms import NOUN, arm_words
from sslcli.comparison.comparison import Comparison, choose, compared_runs
from sslcli.comparison.differences import pair_up
from sslcli.comparison.ranked import Ranking
from sslcli.errors import UsageError
from sslcli.evaluation.naming import heading
from sslcli.figures.palette import DARK, LIGHT
from sslcli.files import write_text
from sslcli.report.answer import forest, typeset, verdicts
from sslcli.report.counts import counts
from sslcli.report.data_checks import data_checks
from sslcli.report.embedded import that_fit
from sslcli.report.pictures import find_pictures, in_order, shown_at_once
from sslcli.report.provenance import Measured
from sslcli.report.quality import quality_figures
from sslcli.report.rates import shared_rates
from sslcli.report.section import Content, Material
from sslcli.report.sections import SECTIONS
from sslcli.report.standing import highest, standing, who
from sslcli.report.tested import tested_by, which_tested
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import LEGAL_ID, Run
from sslcli.training.tags import RESERVED

QUESTION = "Does self-supervised pretraining help here?"
QUESTION_BESIDE = "Pretrain here, or take an encoder from elsewhere?"
LIMIT = 3_000_000  # bytes of a page, at most
MARGIN = 50_000  # of these, reserved for headings of pictures
COLOURS = f""":root {{ color-scheme: light dark; {LIGHT.as_css} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK.as_css} }} }}
"""
MACROS = '{% from "report_macros.html.j2" import table, picture %}\n'


def make(
    registry: Registry,
    study: str | None,
    out: Path | None = None,
    *,
    title: str | None = None,
    author: str | None = None,
) -> Path:
    """Write the page of a study, by default the newest; returns its path, by default results/<study>.html in the project.

    A UsageError if `out` does not end in .html; a StateError if there is no finished evaluation, or writing fails.
    """
    if out is not None and out.suffix.lower() != ".html":
        raise UsageError(f"--out {out}: a report is written as HTML; accepted are names that end in .html")
    chosen = choose(registry, study=study, everything=False).runs
    name = chosen[0].study
    lawful = name and LEGAL_ID.fullmatch(name) and not RESERVED.fullmatch(name)
    file = f"{name}.html" if lawful else "report.html"
    path = out or registry.path(f"results/{file}")
    write_text(path, _page(registry, chosen, {"title": title or "", "author": author or ""}))
    return path


def _page(registry: Registry, chosen: list[Run], names: dict[str, str]) -> str:
    """The whole page, with as many pictures as fit."""
    comparison, _, _, beside = compared_runs(registry, chosen)
    material = _material(registry, chosen, comparison, beside)
    head = _head(material) | {name: value for name, value in names.items() if value}
    room = LIMIT - MARGIN - len(_render(head, replace(material, left_out=material.found)).encode())
    kept, left_out = that_fit(sorted(material.found, key=lambda picture: not shown_at_once(picture)), room)
    return _render(head, replace(material, kept=in_order(kept), left_out=left_out))


def _material(registry: Registry, chosen: list[Run], comparison: Comparison, beside: Collection[str]) -> Material:
    """The content of the sections; the pictures that fit are not chosen yet. `beside` are runs compared as encoders."""
    runs = _runs_of(registry, chosen)
    checks, unchecked, copies = data_checks(registry.root, _datasets(runs))
    found, damaged = find_pictures(registry, runs)
    return Material(
        registry=registry, chosen=chosen, checks=checks, unchecked=unchecked, copies=copies, damaged=damaged,
        rankings=comparison.rankings, beside=comparison.beside, names=arm_words(run.init for run in chosen),
        measured=Measured(
            comparison.rows, comparison.differences, runs, [run for run in pair_up(chosen)[1] if run.id not in beside]
        ),
        found=in_order([*found, *quality_figures(registry, chosen)]),
    )  # fmt: skip


def _runs_of(registry: Registry, chosen: Sequence[Run]) -> list[Run]:
    """The records of the study's runs and of the pretrain runs that its evaluations start from."""
    needed = {run.id for run in chosen} | {run.parent for run in chosen}
    wanted = [run for run in registry.runs() if run.id in needed or (run.study and run.study == chosen[0].study)]
    return [record_or_index(registry, run) for run in wanted]


def _datasets(runs: Sequence[Run]) -> dict[str, str | None]:
    """The data sets of runs, and the sha256 of each, None if unknown."""
    return {run.dataset: run.data.get("sha256") for run in runs if run.dataset}


def _head(material: Material) -> dict[str, Any]:
    """The values above the sections: the setting and the answer."""
    chosen, differences = material.chosen, material.measured.differences
    others = [name for init, name in material.names.items() if init not in INIT_WORDS]
    own = [run for run in chosen if run.init in (None, *INIT_WORDS)] or chosen
    images = {run.id: tested_by(run) for run in chosen}
    only_own = all(found.init == INIT_WORDS[0] for found in differences)
    whose = material.names.get(INIT_WORDS[0], INIT_WORDS[0]) if only_own else INIT_WORDS[0]
    encoders = [ranking for ranking in material.rankings if ranking.noun == NOUN]
    order = [(typeset(lead), typeset(rest)) for lead, rest in standing(encoders)]
    return {
        "title": QUESTION_BESIDE if order else QUESTION,
        "author": "",
        "study": chosen[0].study or "",
        "version": __version__,
        "setting": [
            ("Data", list(_datasets(material.measured.runs))),
            ("Method", list(dict.fromkeys(run.encoder_method for run in chosen if run.encoder_method))),
            ("Backbone", list(dict.fromkeys(run.backbone for run in own if run.backbone))),
            ("Beside", others),
        ],
        "counts": counts(material.registry, chosen),
        "standing": order,
        "verdicts": verdicts(differences),
        "who": _about(material, encoders, images) if order else "",
        "tested": which_tested(chosen),
        "speaks_of": speaks_of(differences) if differences else answer(differences),
        "forest": forest(differences, images, material.beside),
        "whose": f"{heading(whose)} minus {INIT_WORDS[1]}{', or minus the encoder that a row names' * bool(material.beside)}",
    }


def _about(material: Material, encoders: Sequence[Ranking], tested: Mapping[str, str]) -> str:
    """Below the order of the encoders: the highest accuracy, what their names mean, and which protocol gave them one rate."""
    sentences = (
        highest(encoders, tested), who(material.chosen, material.names), *shared_rates(material.records),
    )  # fmt: skip
    return " ".join(filter(None, sentences))


def _render(head: Content, material: Material) -> str:
    """The rendered templates. Every value is escaped; the page allows its script by hash, so that no other can run."""
    environment = Environment(
        loader=PackageLoader("sslcli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files("sslcli") / "templates"
    style, script = ((folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shown = [(section, content) for section in SECTIONS.values() if (content := section.content(material)) is not None]
    sections = [
        {"key": section.key, "heading": section.heading,
         "body": Markup(environment.from_string(f"{MACROS}{section.template}\n").render(content))}  # noqa: S704  (escaped)
        for section, content in shown
    ]  # fmt: skip
    chapters: dict[str, str] = {}
    for section, content in shown:
        if not section.linked or content[section.linked]:
            chapters.setdefault(section.chapter or section.heading, section.key)
    return environment.get_template("report.html.j2").render(
        head, sections=sections, keys=[section["key"] for section in sections], chapters=chapters, script_hash=digest,
        style=Markup(COLOURS + style), script=Markup(script),  # noqa: S704  (the package's)
    )  # fmt: skip
