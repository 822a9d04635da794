"""What a study's jobs cost beside their work: `python -m tests.benchmarks.jobs [JOBS ...]`, by default 20, 200 and 2000.

The jobs are stubs at a place in this process, 64 at once: each writes its record when it begins and when it ends, as a training
does. So what is measured is to enter the runs, and the launcher and the registry. Prints a table for docs/running.md.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from sslcli.console.live import LiveTable
from sslcli.console.tables import print_rows
from sslcli.files import load_yaml
from sslcli.options.presets import Step
from sslcli.runs.choices import Choices
from sslcli.runs.registry import Registry
from sslcli.runs.run import parse_run
from sslcli.studies.hands import Hands, at_work
from sslcli.studies.jobs import parts_of_study
from sslcli.studies.launcher import Launcher
from sslcli.studies.listing import list_jobs
from sslcli.studies.places.place import Ended, Job, Place

AT_ONCE = 64
FRACTIONS = [round(0.1 + number / 40, 3) for number in range(9)]
PRETRAIN: Step = ("pretrain", {"dataset": "shapes", "backbone": "resnet9-small", "epochs": 1, "batch_size": 32})
PROBES: list[Step] = [
    ("probe", {"protocol": "knn", "label_fraction": fraction, "init": init})
    for fraction in FRACTIONS
    for init in ("pretrained", "scratch")
] + [("finetune", {"epochs": 1, "init": "pretrained"})]  # fmt: skip
PER_SEED = 1 + len(PROBES)
COLUMNS = {
    "jobs": "jobs", "entering": "to enter one, ms", "settled": "of it computing, ms", "launching": "to launch one, ms",
    "computed": "of it computing, ms", "memory": "memory, MB", "index": "index, kB",
}  # fmt: skip


class Stubs(Place):
    """Jobs without work."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.here: list[Job] = []

    def room(self) -> int:
        return AT_ONCE - len(self.here)

    def start(self, jobs: Sequence[Job]) -> list[str]:
        for job in jobs:
            self._write(job, "running")
        self.here += jobs
        return [job.run for job in jobs]

    def ended(self) -> list[Ended]:
        jobs, self.here = self.here, []
        for job in jobs:
            self._write(job, "finished")
        return [Ended(job.run, "code 0") for job in jobs]

    def end(self) -> None:
        pass

    def _write(self, job: Job, status: str) -> None:
        run = parse_run(load_yaml(self.registry.path(f"{job.folder}/run.yaml")), job.run)
        run.status = status
        self.registry.save(run)


def measure(jobs: int, project: Path) -> dict[str, float]:
    registry = Registry(project)
    parts = parts_of_study([(PRETRAIN[1], Choices())], PROBES, seeds=jobs // PER_SEED)
    with at_work(registry) as hands:
        began, computing = time.perf_counter(), time.process_time()
        listed = list_jobs(hands, "stubs", parts, timed=False)
        entered, settled = time.perf_counter(), time.process_time()
        return {
            "jobs": len(listed), "entering": 1000 * (entered - began) / len(listed),
            "settled": 1000 * (settled - computing) / len(listed),
            **launched(hands, [entry.job for entry in listed]), "index": registry.index.stat().st_size / 1000,
        }  # fmt: skip


def launched(hands: Hands, jobs: list[Job]) -> dict[str, float]:
    place = Stubs(hands.registry)
    began, computing = time.perf_counter(), time.process_time()
    with LiveTable({}) as table:
        Launcher(hands, jobs, place, key="stubs").run(table)
    took, computed = time.perf_counter() - began, time.process_time() - computing
    return {
        "launching": 1000 * took / len(jobs), "computed": 1000 * computed / len(jobs),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }  # fmt: skip


def main() -> None:
    rows = []
    for jobs in [int(word) for word in sys.argv[1:]] or [20, 200, 2000]:
        with tempfile.TemporaryDirectory() as project:
            rows.append({name: round(value, 1) for name, value in measure(jobs, Path(project)).items()})
    print_rows(rows, COLUMNS, style="markdown")


if __name__ == "__main__":
    main()
