"""The table of methods for docs/methods.md, from a study's runs: accuracies, steps, seconds and memory.

    python -m tests.benchmarks.league --project FOLDER --study league --bench

A row for each method, the best in linear evaluation with all labels first, then scratch. Accuracies are means and deviations
over seeds, in per cent. Bold are the best of a column and those that cannot be told from it (`ssl compare`). The seconds are
those of the trainings, with measuring; with --bench, steps are timed and memory is measured here, as by `ssl bench`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sslcli.bench.columns import measure
from sslcli.bench.cost import Costs
from sslcli.comparison.comparison import Comparison, compared
from sslcli.comparison.ranked import Ranked, Ranking
from sslcli.options.mapping import build, from_mapping
from sslcli.options.pretrain import Pretrain
from sslcli.runs.paths import located
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import study_runs


@dataclass(frozen=True)
class Step:
    """A method's steps in training, the seconds of all and of one, and the peak memory in bytes, if measured."""

    steps: float
    whole: float
    seconds: float
    memory: int | None = None


def accuracies(values: Sequence[float]) -> str:
    """Mean and deviation of fractions, in per cent."""
    return f"{100 * fmean(values):.1f}" + (f" ± {100 * stdev(values):.1f}" if len(values) > 1 else "")


def trainings(registry: Registry, study: str) -> dict[str, list[Run]]:
    """The records of the finished pretrainings of a study, by method."""
    found: dict[str, list[Run]] = {}
    for run in study_runs(registry, study):
        if run.experiment == "pretrain" and run.status == "finished":
            found.setdefault(str(run.encoder_method), []).append(registry.load(run))
    return found


def step_of(records: Sequence[Run]) -> Step:
    """The steps of a method's trainings, and the seconds of all and of one: means over seeds."""
    steps = fmean(record.history[-1]["step"] for record in records)
    seconds = fmean(record.metrics["seconds"] for record in records)
    return Step(steps, seconds, seconds / steps)


def benched(registry: Registry, records: Sequence[Run], costs: Costs) -> Step:
    """The same, with a step timed here, and the memory."""
    values = from_mapping(Pretrain, located(registry, records[0].options), records[0].id)
    column: dict[str, Any] = measure(registry, build(Pretrain, values), costs)
    return replace(step_of(records), seconds=column["seconds_per_step"], memory=column["peak_memory"])


def in_order(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Linear evaluation first, all labels first."""
    return sorted(
        rankings, key=lambda ranking: (ranking.protocol != "linear", str(ranking.protocol), -(ranking.label_fraction or 1))
    )


def cell(ranked: Ranked | None, ranking: Ranking, found: Comparison) -> str:
    """A method's accuracy in an evaluation; bold unless it is worse than the best."""
    if ranked is None:
        return "–"
    text = accuracies([float(getattr(row, ranking.metric)) for row in found.rows if row.run in ranked.runs])
    return text if ranked.is_worse else f"**{text}**"


def table(found: Comparison, steps: dict[str, Step]) -> list[str]:
    """The lines of the table in Markdown."""
    rankings = in_order(found.rankings)
    places = [ranking.place for ranking in rankings]
    lines = [
        f"| method | {' | '.join(places)} | pretraining | steps | s/step | memory |",
        "|---|" + "---:|" * (len(places) + 4),
    ]
    for name in [one.method for one in rankings[0].methods] if rankings else []:
        cells = [
            cell(next((one for one in ranking.methods if one.method == name), None), ranking, found) for ranking in rankings
        ]
        step = steps[name.partition(" (")[0]]
        memory = "" if step.memory is None else f"{step.memory / 2**30:.2f} GiB"
        lines.append(
            f"| `{name}` | {' | '.join(cells)} | {step.whole:,.0f} s | {step.steps:,.0f} | {step.seconds:.3f} | {memory} |"
        )
    return [*lines, f"| scratch | {' | '.join(scratch(found, ranking) for ranking in rankings)} | | | | |"]


def scratch(found: Comparison, ranking: Ranking) -> str:
    """The accuracy from scratch in the same evaluation."""
    alike = (ranking.experiment, ranking.protocol, ranking.label_fraction, "scratch")
    rows = [row for row in found.rows if (row.experiment, row.protocol, row.label_fraction, row.init) == alike]
    return accuracies([float(getattr(row, ranking.metric)) for row in rows]) if rows else "–"


def main(words: Sequence[str] | None = None) -> int:
    """Print the table of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--study", default="league")
    parser.add_argument("--bench", action="store_true", help="time steps and measure memory here")
    given = parser.parse_args(words)
    registry, costs = Registry(given.project), Costs(stand_in=True)
    by_method = trainings(registry, given.study)
    steps = {
        name: benched(registry, records, costs) if given.bench else step_of(records) for name, records in by_method.items()
    }
    print("\n".join(table(compared(registry, given.study), steps)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
