"""How well figures without labels order a study's encoders: Spearman's correlation with the accuracy of linear evaluation.

    python -m tests.benchmarks.rank_correlation --project FOLDER --study league

Over methods: each method counts once, with the means over its seeds. Over epochs: the kept checkpoints of one pretraining
(--keep-every), which the study has probed; the mean over pretrainings. The figures are those at the same epoch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from scipy.stats import spearmanr

from sslcli.evaluation.protocols import usual
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import study_runs

FIGURES = {
    "rankme": "RankMe of z",
    "lidar": "LiDAR of h",
    "alpha_req": "alpha-ReQ of h, distance from 1",
    "knn": "kNN on held-out labels",
}
"""The figures to rank by, and what they are; the last one uses labels, and stands there to compare with."""
LEAST = 3  # points; two are always in perfect order, or in the opposite one


@dataclass(frozen=True)
class Measured:
    """An encoder at an epoch (None: the last): its figures, higher is better, and its linear accuracy, a fraction."""

    run: str
    method: str
    at_epoch: int | None
    figures: Mapping[str, float]
    accuracy: float


def encoders(registry: Registry, study: str | None) -> list[Measured]:
    """Every pretraining of a study, at each epoch at which linear evaluation with all labels measured it, the last included."""
    runs = study_runs(registry, study)
    pretrained = {run.id: registry.load(run) for run in runs if run.experiment == "pretrain" and run.status == "finished"}
    probes = [run for run in runs if (run.protocol, run.status, run.label_fraction) == (usual().key, "finished", 1)]
    return [
        Measured(
            record.id, str(record.encoder_method), probe.at_epoch, figures_at(record, probe.at_epoch), probe.metrics["test_acc"]
        )
        for probe in probes if (record := pretrained.get(probe.parent or ""))
    ]  # fmt: skip


def figures_at(record: Run, at_epoch: int | None) -> dict[str, float]:
    """The figures after an epoch of a pretraining, by default the last; without those that were not measured then."""
    wanted = record.history[-1]["epoch"] if at_epoch is None else at_epoch
    measured = next((entry for entry in record.history if entry["epoch"] == wanted), {})
    found = {name: measured[f"val/{name}"] for name in FIGURES if f"val/{name}" in measured}
    return found | ({"alpha_req": -abs(found["alpha_req"] - 1)} if "alpha_req" in found else {})


def of_methods(measured: Sequence[Measured]) -> list[Measured]:
    """One point for each method: means over its pretrainings at their last epoch."""
    last = [one for one in measured if one.at_epoch is None]
    found = []
    for method in dict.fromkeys(one.method for one in last):
        mine = [one for one in last if one.method == method]
        names = [name for name in FIGURES if all(name in one.figures for one in mine)]
        means = {name: fmean(one.figures[name] for one in mine) for name in names}
        found.append(Measured("", method, None, means, fmean(one.accuracy for one in mine)))
    return found


def correlation(measured: Sequence[Measured], figure: str) -> float | None:
    """Spearman's correlation of a figure with accuracy; None of fewer than LEAST points, and where all values are equal."""
    known = [one for one in measured if figure in one.figures]
    columns = [one.figures[figure] for one in known], [one.accuracy for one in known]
    if len(known) < LEAST or any(len(set(column)) == 1 for column in columns):
        return None
    return float(spearmanr(*columns).statistic)


def table(measured: Sequence[Measured]) -> list[str]:
    """The lines of a Markdown table."""
    methods = of_methods(measured)
    by_run = [[one for one in measured if one.run == run] for run in dict.fromkeys(one.run for one in measured)]
    several = [epochs for epochs in by_run if len(epochs) >= LEAST]
    lines = [f"| figure | over {len(methods)} methods | over epochs, {len(several)} pretrainings |", "|---|---:|---:|"]
    for figure, words in FIGURES.items():
        of_epochs = [found for epochs in several if (found := correlation(epochs, figure)) is not None]
        lines.append(f"| {words} | {shown(correlation(methods, figure))} | {shown(fmean(of_epochs) if of_epochs else None)} |")
    return lines


def shown(value: float | None) -> str:
    """A correlation with two digits; a dash if there is none."""
    return "–" if value is None else f"{value:+.2f}"


def main(words: Sequence[str] | None = None) -> int:
    """Print the table of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--study", help="default: the newest")
    given = parser.parse_args(words)
    measured = encoders(Registry(given.project), given.study)
    print("\n".join(table(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
