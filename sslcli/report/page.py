"""The page of a study: one HTML file that needs nothing else, to be handed in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sslcli import __version__
from sslcli.comparison.comparison import choose, pretrain_setups, results
from sslcli.comparison.differences import pair_up
from sslcli.comparison.options_apart import settings_in_words
from sslcli.errors import UsageError
from sslcli.files import write_text
from sslcli.report.answer import forest, verdicts
from sslcli.report.embedded import Picture, that_fit
from sslcli.report.pictures import find_pictures, in_order, missing, sections
from sslcli.report.provenance import Measured, data_checks, gaps, machine, provenance
from sslcli.report.quality import quality_figures
from sslcli.report.tables import few_label_tables, ranking_tables, result_tables
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import LEGAL_ID, Run
from sslcli.training.tags import RESERVED

QUESTION = "Does self-supervised pretraining help here?"
LIMIT = 5_000_000  # bytes that the page stays below
MARGIN = 50_000  # of these, kept for headings of pictures


def make(registry: Registry, study: str | None, out: Path | None = None, *, title: str | None = None) -> Path:
    """Write the report of a study, else of the newest; returns its path, by default results/<study>.html in the project.

    A UsageError if `out` is no .html; a StateError if there is no finished evaluation, or it cannot be written.
    """
    if out is not None and out.suffix.lower() != ".html":
        raise UsageError(f"--out {out}: a report is written as HTML; accepted are names that end in .html")
    chosen, _ = choose(registry, study=study, everything=False)
    name = chosen[0].study
    lawful = name and LEGAL_ID.fullmatch(name) and not RESERVED.fullmatch(name)
    file = f"{name}.html" if lawful else "report.html"
    path = out or registry.path(f"results/{file}")
    write_text(path, _page(registry, chosen, title or QUESTION))
    return path


def _page(registry: Registry, chosen: list[Run], title: str) -> str:
    """The whole page: its text first, then as many pictures as there is room for."""
    study = chosen[0].study
    runs = _runs_of(registry, chosen)
    content = _numbers(registry, chosen, runs) | {"title": title, "study": study or "", "version": __version__}
    found, damaged = find_pictures(registry, runs)
    found = in_order([*found, *quality_figures(registry, chosen)])
    absent = {"absent": _absent(registry, found, runs), "damaged": damaged}
    room = LIMIT - MARGIN - len(_render(content | absent | _shown([], found)).encode())
    return _render(content | absent | _shown(*that_fit(found, room)))


def _runs_of(registry: Registry, chosen: Sequence[Run]) -> list[Run]:
    """The records of the study's runs and of the pretrain runs that its evaluations start from."""
    needed = {run.id for run in chosen} | {run.parent for run in chosen}
    wanted = [run for run in registry.runs() if run.id in needed or (run.study and run.study == chosen[0].study)]
    return [record_or_index(registry, run) for run in wanted]


def _numbers(registry: Registry, chosen: list[Run], runs: list[Run]) -> dict[str, Any]:
    """All of the page that is no picture."""
    setups = pretrain_setups(registry, chosen)
    comparison = results(chosen, setups, settings_in_words(registry, chosen, setups))
    rows, differences = comparison["rows"], comparison["differences"]
    datasets = {run.dataset: run.data.get("sha256") for run in runs if run.dataset}
    checks, unchecked = data_checks(registry.root, datasets)
    sentences = gaps(Measured(rows, differences, runs, pair_up(chosen)[1]))
    return {
        "setting": [
            ("Data", list(datasets)),
            ("Method", list(dict.fromkeys(run.encoder_method for run in chosen if run.encoder_method))),
            ("Backbone", list(dict.fromkeys(run.backbone for run in chosen if run.backbone))),
        ],
        "verdicts": verdicts(differences),
        "answer": comparison["answer"].removeprefix("Does pretraining help? "),
        "forest": forest(differences),
        "rankings": ranking_tables(comparison["rankings"]),
        "tables": result_tables(rows, differences),
        "few_labels": few_label_tables(differences),
        "checks": checks,
        "unchecked": unchecked,
        "machine": machine(runs),
        "provenance": provenance(runs),
        "gaps": sentences + [f"{words[0].upper()}{words[1:]}." for words in unchecked],
    }


def _absent(registry: Registry, pictures: Sequence[Picture], runs: Sequence[Run]) -> list[tuple[str, str, str]]:
    """The kinds of picture that are missing: heading, command, and what is special about it."""
    special = "makes an evaluation that keeps its test logits, from which the report draws them."
    kinds = missing(registry, pictures, runs)
    rest = [(heading, command, "") for heading, command in kinds if command != "ssl probe"]
    of_logits = [heading for heading, command in kinds if command == "ssl probe"]
    return rest + ([("; ".join(of_logits), "ssl probe", special)] if of_logits else [])


def _shown(kept: Sequence[Picture], left_out: Sequence[Picture]) -> dict[str, Any]:
    return {"sections": sections(kept), "left_out": left_out}


def _render(content: dict[str, Any]) -> str:
    """The template filled in. Every value is escaped; the script is known to the page by its hash, so no other runs."""
    environment = Environment(
        loader=PackageLoader("sslcli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    folder = resources.files("sslcli") / "templates"
    style, script = ((folder / f"report.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        content, style=Markup(style), script=Markup(script), script_hash=digest  # noqa: S704  (both are the package's own)
    )  # fmt: skip
