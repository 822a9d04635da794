"""Print a comparison, for people or for programs."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sslcli.comparison.answer import brief_answer
from sslcli.comparison.comparison import Comparison, chosen_runs, compared_runs
from sslcli.comparison.differences import pair_up
from sslcli.comparison.rows import GAP, PUBLISHED, Row, shared_words, tables, within_room
from sslcli.console.messages import WIDEST, room_across, wrapped
from sslcli.console.tables import print_rows, print_within
from sslcli.evaluation.naming import heading
from sslcli.options.pairing import changed_options
from sslcli.runs.next_step import partner_command, record_or_index, recorded_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import WAITING, Run

COLUMNS = {
    "dataset": "data set", "backbone": "backbone", "epochs": "epochs", "label_fraction": "labels", "folds": "folds",
    "setting": "setting", "init": "init", "method": "method",
    "seeds": "seed", "test_acc": "test accuracy", "interval_acc": "95 % interval", "best_test_acc": "best test accuracy",
    "rate": "rate", "run": "run", "kept": "kept",
}  # fmt: skip

TO_COME = {
    "running": "is being trained", WAITING: "waits to be trained", "interrupted": "was interrupted", "failed": "failed",
}  # fmt: skip
"""The states of a partner that is not there yet, in words, the most advanced first."""
CSV_COLUMNS = ("experiment", "protocol", "init", "dataset", "label_fraction", "at_epoch", "backbone", "epochs", "seed",
               "test_acc", "test_images", "best_test_acc", "test_nll", "test_ece", "run", "setting", "method",
               "folds")  # fmt: skip


def print_comparison(
    registry: Registry,
    study: str | None,
    *,
    everything: bool = False,
    without_duplicates: bool = False,
    style: str = "table",
) -> None:
    """Print a study's tables, with the difference under each pair. The answer is first in a terminal, last in Markdown."""
    chosen, others, ids = chosen_runs(registry, study, everything=everything, without_duplicates=without_duplicates)
    found, setups, settings, beside = compared_runs(registry, chosen)
    own = any(run.status != "published" for run in chosen)
    rows = [vars(row) for row in found.rows]
    if style == "json":
        print_rows(rows, {}, style="json", whole=asdict(found) | {"without_duplicates": without_duplicates})
    elif style == "csv":
        print_rows(rows, dict(zip(CSV_COLUMNS, CSV_COLUMNS, strict=True)), style="csv")
    else:
        made = tables(chosen, found.differences, setups, settings, tell_published=own)
        note = "Without the test images that are duplicates.\n" * without_duplicates
        if style == "markdown":
            _print_markdown(made, epochs_shown=any(run.at_epoch for run in chosen))
            _print_rankings(found, style=style)
            print(f"\n{note}{found.answer}")
        else:
            print(note + "\n".join(brief_answer(found.differences, min(WIDEST, room_across()))))
            _print_rankings(found, style=style)
            print_tables(made, ids=ids, room=room_across())
    lonely = [run for run in pair_up(chosen)[1] if run.id not in beside and not _repeated(run, chosen)]
    for message in _messages(registry, chosen, lonely, others):
        print("\n".join(wrapped(message, min(WIDEST, room_across()))), file=sys.stderr)


def print_tables(tables: Mapping[str, Sequence[Row]], *, ids: Collection[str], room: int) -> None:
    """Print the rows of each protocol under its name, in lines of at most `room` characters.

    `ids` are the ids of all runs; shortened ids must be unique among them.
    """
    for protocol, (rows, columns) in within_room(tables, ids, room).items():
        print(f"\n{heading(protocol)}")
        print("\n".join(wrapped(", ".join(shared_words(tables[protocol]).values()), room)))
        print_within(rows, columns, room=room, gap=GAP)
    if any(row.get("kept") for rows in tables.values() for row in rows):
        print(f"\n{PUBLISHED}: numbers only")


def _print_markdown(made: dict[str, list[dict[str, Any]]], *, epochs_shown: bool) -> None:
    heads = COLUMNS | ({"at_epoch": "of epoch"} if epochs_shown else {})
    for protocol, rows in made.items():
        print(f"\n### {heading(protocol)}\n")
        used = {key: words for key, words in heads.items() if any(row.get(key) for row in rows)}
        print_rows(rows, used, style="markdown")


def _print_rankings(found: Comparison, *, style: str) -> None:
    if found.rankings:
        from sslcli.comparison.ranking_rows import print_ranking  # most studies have one method and do not need this import

        for ranking in found.rankings:
            told = [heading(one.sentence()) for one in found.beside if one.place == ranking.place]
            print_ranking(ranking, style=style, beside=told)


def _messages(registry: Registry, chosen: list[Run], lonely: list[Run], others: list[str]) -> list[str]:
    every = registry.runs() if lonely else []
    at_work = {run.study for run in every if run.status == "running" and registry.status(run) == "running"}
    alike: dict[tuple[str, str | None], list[Run]] = {}
    for run in every:
        alike.setdefault((run.experiment, run.pair), []).append(run)
    found = []
    for run in lonely:
        partners = [other for other in alike.get((run.experiment, run.pair or ""), []) if _are_partners(other, run)]
        found.append(_partner_to_come(registry, run, partners, at_work) or _why_lonely(registry, run, chosen))
    if named := [name for name in others if name]:
        found.append(
            f"other studies here: {', '.join(named)}; to see one, type: {registry.command('ssl compare --study NAME')}"
        )
    return found


def _repeated(run: Run, runs: list[Run]) -> bool:
    """Whether a later run is the same training, and so replaces it."""
    return any((other.pair, other.init) == (run.pair, run.init) for other in runs[runs.index(run) + 1 :] if run.pair)


def _partner_to_come(registry: Registry, run: Run, partners: list[Run], at_work: Collection[str | None]) -> str:
    """That one of the partners of a run is being trained, waits for it, or stopped; "" if none is on its way.

    `at_work` are the studies of which a run is being trained.
    """
    states = {registry.status(other): other for other in partners}
    state = next((state for state in TO_COME if state in states), None)
    partner = run if state is None else states[state]
    is_at_work = partner.study is not None and partner.study in at_work
    watched = f"to see how far it is, type: {registry.command(f'ssl status --study {partner.study}')}"
    if state is None:
        return f"{run.id} has no partner yet: its study is at work; {watched}" if is_at_work else ""
    if partner.study is None:
        more = "" if state == "running" else f"; to go on, type: {registry.command(f'ssl resume {partner.id}')}"
    else:
        more = f"; {watched}" if is_at_work else f"; to go on, type: {recorded_command(registry, partner)}"
    return f"{run.id} has no partner yet: {partner.id} {TO_COME[state]}{more}"


def _why_lonely(registry: Registry, run: Run, others: list[Run]) -> str:
    """That a run has no partner, and the options in which it differs from the closest run with the other init."""
    candidates = [other for other in others if other.protocol == run.protocol and _are_partners(other, run)]
    if not candidates:
        wanted = "pretrained" if run.init == "scratch" else "scratch"
        why = f"there is no {wanted} run; to make it, type: {partner_command(registry, run)}"
        return f"{run.id} has no partner: {why}"
    mine = _identity(registry, run)
    best: list[str] = []
    for other in candidates:
        different = changed_options(run.experiment, mine, _identity(registry, other))
        if not best or len(different) < len(best):
            best = different
    why = f"the closest run of the other init differs in {', '.join(best) or 'options that are not on record'}"
    return f"{run.id} has no partner: {why}"


def _are_partners(one: Run, other: Run) -> bool:
    """Whether one of two runs is from scratch, and the encoder of the other was pretrained, here or by others."""
    return None not in (one.init, other.init) and (one.init == "scratch") != (other.init == "scratch")


def _identity(registry: Registry, run: Run) -> dict[str, Any]:
    record = record_or_index(registry, run)
    options = record.options or {key: getattr(run, key) for key in ("dataset", "backbone", "seed", "epochs", "label_fraction")}
    data = {"data": record.data["sha256"][:12]} if "sha256" in record.data else {}
    return options | data
