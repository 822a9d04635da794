"""The origin of the page's numbers, and what was not measured. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslcli.comparison.answer import places_in_words
from sslcli.comparison.rows import EvaluationRow
from sslcli.data import FOLDER
from sslcli.evaluation.naming import WORDS, listed
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.statistics import InitDifference
from sslcli.report.answer import protocol_of, share, words_of
from sslcli.report.tables import Cell, Table
from sslcli.runs.run import Run

DONE = ("finished", "published")
CPU = re.compile(r", \d+ threads$")  # the record of a CPU; anything else is a GPU


def provenance(runs: Sequence[Run], names: Mapping[str, str]) -> Table:
    """A row for every run: command, time, device, versions, commit, data and checkpoint. `names` are encoders' by init."""
    columns = ["run", "what", "command", "seconds", "device", "versions", "commit", "data, SHA-256", "checkpoint, SHA-256"]
    rows = [
        [
            Cell(run.id, note="; ".join(filter(None, (run.name, run.note))), kind="code", head=True),
            Cell(_what(run, names), note=run.status),
            Cell(without_folders(run.command) or "–", kind="code"),
            _seconds(run),
            Cell(run.device or "–"),
            Cell(", ".join(f"{key} {value}" for key, value in run.versions.items() if key != "commit") or "–"),
            Cell(str(run.versions.get("commit") or "–"), kind="code"),
            Cell(str(run.data.get("sha256") or "–"), kind="code"),
            Cell(run.sha256 or "–", note=run.checkpoint or "", kind="code"),
        ]
        for run in runs
    ]
    return Table("Every run of the study", [(column, column == "seconds") for column in columns], rows)


def without_folders(command: str | None) -> str:
    """The command as typed, with only the last part of paths out of the project: the page must not show anyone's folders."""
    return re.sub(r"""(?<=[\s='"])(?:/|(?:\.\./)+)(?:[^\s/'"]+/)*""", "…/", command or "")


def _what(run: Run, names: Mapping[str, str]) -> str:
    protocol = words_of(run.protocol).inline if run.protocol else WORDS.get(run.experiment, run.experiment)
    labels = f" on {share(run.label_fraction)} of the labels" if run.label_fraction not in (None, 1) else ""
    epoch = f", encoder of epoch {run.at_epoch}" if run.at_epoch else ""
    return ", ".join(filter(None, (f"{protocol}{labels}", names.get(run.init or "", run.init)))) + epoch


def _seconds(run: Run) -> Cell:
    seconds = run.metrics.get("seconds")
    return Cell("–", kind="number") if seconds is None else Cell(f"{seconds:,.1f}", seconds, kind="number")


def machine(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """The machine and the software in a few lines, with every value that the runs recorded."""
    versions = {key: each(run.versions.get(key) for run in runs) for key in ("platform", "python", "torch", "torchvision")}
    days = sorted(run.created[:10] for run in runs if run.created)
    lines = [
        ("Device", each(run.device for run in runs)),
        ("Platform", versions["platform"]),
        ("Software", ", ".join(f"{key} {versions[key]}" for key in ("python", "torch", "torchvision") if versions[key])),
        ("ssl", each(f"{run.versions['sslcli']} ({run.versions.get('commit')})" for run in runs if "sslcli" in run.versions)),
        ("Training", minutes_in_words(runs)),
        ("Date", " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""),
    ]
    return [(name, text or "not recorded") for name, text in lines]


def minutes_in_words(runs: Sequence[Run]) -> str:
    """The total minutes and the number of the trainings with a recorded time; "" if there are none."""
    timed = [run.metrics["seconds"] for run in runs if "seconds" in run.metrics]
    return f"{sum(timed) / 60:,.1f} minutes in {len(timed)} run{'s' * (len(timed) != 1)}" if timed else ""


def each(values: Iterable[Any]) -> str:
    """The distinct values that are not empty: "a; b"."""
    return "; ".join(dict.fromkeys(str(value) for value in values if value))


@dataclass(frozen=True)
class Measured:
    """The input of the list of gaps: the comparison's rows and differences, all records, and the runs without partner."""

    rows: Sequence[EvaluationRow]
    differences: Sequence[InitDifference]
    runs: Sequence[Run]
    lonely: Sequence[Run]


def gaps(found: Measured) -> list[str]:
    """Sentences about what the numbers do not show."""
    return [*_of_seeds(found), *_of_protocols(found), *_of_setting(found), *_of_figures(found), *_of_runs(found)]


def _of_seeds(found: Measured) -> list[str]:
    names = zip(places_in_words(found.differences), found.differences, strict=True)
    single = [name for name, difference in names if len(difference.seeds) == 1]
    if not single:
        return []
    return [
        f"One seed only in {listed(single)}: the intervals cover other test images, not other seeds, which can differ by more."
    ]


def _of_protocols(found: Measured) -> list[str]:
    sentences = []
    begun = {run.protocol for run in found.runs}
    if others := [other.name for key, other in PROTOCOLS.items() if key not in _run(found) and key not in begun]:
        sentences.append(f"Protocols that were not run: {listed(others)}.")
    parts = {protocol: {row.label_fraction or 1 for row in found.rows if protocol_of(row) == protocol}
             for protocol in _run(found)}  # fmt: skip
    if all_only := [words_of(protocol).inline for protocol, known in parts.items() if known == {1}]:
        sentences.append(f"Few labels: {listed(all_only)} used all labels only.")
    return sentences


def _of_setting(found: Measured) -> list[str]:
    words = {"dataset": "data set", "backbone": "backbone"}
    values = {word: {str(value) for row in found.rows if (value := getattr(row, key))} for key, word in words.items()}
    values["pretraining method"] = {
        run.encoder_method for run in found.runs if run.experiment == "pretrain" and run.encoder_method
    }
    single = [f"one {word} ({known.copy().pop()})" for word, known in values.items() if len(known) == 1]
    sentences = [f"Only {listed(single)}: others were not measured."] if single else []
    if any((row.dataset or "").startswith(FOLDER) for row in found.rows):
        sentences.append("Images from elsewhere, like those of another camera, were not tested.")
    trained = [run for run in found.runs if run.experiment == "pretrain" and run.epochs and run.status in DONE]
    if trained:
        epochs = sorted({run.epochs or 0 for run in trained})
        sentences.append(f"Pretraining ran for {listed([f'{e:g}' for e in epochs])} epochs; more were not measured.")
    devices = {run.device for run in found.runs if run.device}
    if devices and all(CPU.search(device) for device in devices):
        sentences.append("No GPU was used: times and recipes hold for CPUs.")
    return sentences


def _of_figures(found: Measured) -> list[str]:
    sentences = []
    if any(row.best_test_acc is not None for row in found.rows):
        sentences.append(
            "The best test accuracy is the best over epochs: the test images choose the epoch, so it does not estimate the "
            "accuracy on new images."
        )
    if any(row.test_acc is not None and row.best_test_acc is not None for row in found.rows):
        sentences.append(
            "The epoch whose test accuracy is given was chosen on validation images, which are held out of training."
        )
    if any("unpaired" in difference.interval for difference in found.differences):
        sentences.append("Intervals without a record of which images were right are unpaired, and so wider than necessary.")
    judged = [protocol for protocol in _run(found) if protocol not in PROTOCOLS or PROTOCOLS[protocol].probabilities]
    without = [words_of(protocol).inline for protocol in judged if not any(
        row.test_nll is not None or row.folds for row in found.rows if protocol_of(row) == protocol)]  # fmt: skip
    if without:
        sentences.append(f"Likelihood (NLL) and calibration (ECE) were not measured in {listed(without)}.")
    return sentences


def _of_runs(found: Measured) -> list[str]:
    sentences = [f"{run.id} has no partner that differs only in init, so it is in no difference." for run in found.lonely]
    undone = [run.id for run in found.runs if run.status not in DONE]
    if undone:
        sentences.append(f"Not finished, so in no table of results: {listed(undone)}.")
    if any(run.status == "published" for run in found.runs):
        sentences.append("Published runs are numbers without weights: they cannot be checked against a checkpoint here.")
    return sentences


def _run(found: Measured) -> list[str]:
    return list(dict.fromkeys(map(protocol_of, found.rows)))
