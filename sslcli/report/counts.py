"""How many images a study has, how many of them have a label, and in which parts: the first lines of its page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sslcli.data.folder.manifest import FILE as MANIFEST
from sslcli.data.folder.manifest import Line, read_manifest
from sslcli.data.split import validating
from sslcli.evaluation.naming import heading
from sslcli.report.tested import tested_by
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def counts(registry: Registry, runs: Sequence[Run]) -> list[str]:
    """A sentence or two about each data set: from the list of pictures of a folder, else from the records."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault(run.dataset or "", run)
    told = {dataset: words for dataset, run in found.items() if (words := _of_data(registry, run))}
    return [f"{dataset}: {words}" if len(told) > 1 else words for dataset, words in told.items()]


def picture_lines(registry: Registry, run: Run) -> list[Line]:
    """The list of the pictures of a folder that a run saw; [] for other data."""
    file = registry.path(f"{run.folder}/{MANIFEST}")
    return read_manifest(file) if file.exists() else []


def _of_data(registry: Registry, run: Run) -> str:
    if lines := picture_lines(registry, run):
        return _of_folder(lines)
    classes = record_or_index(registry, run).data.get("classes")
    return f"{heading(tested_by(run))} of {len(classes)} classes." if classes else ""


def _of_folder(lines: Sequence[Line]) -> str:
    """A folder: all its pictures, those with a label by part, and those without."""
    parts = {
        part: Counter(line.label for line in lines if line.part == part and line.label) for part in ("train", "val", "test")
    }
    taught, given, tested = (parts[part].total() for part in ("train", "val", "test"))
    kinds = len(set().union(*parts.values()))
    held_out = given or sum(map(validating, parts["train"].values()))
    training = taught if given else taught - held_out
    without = sum(not line.label and line.part != "test" for line in lines)
    copies = sum(not line.label and line.part == "test" for line in lines)
    rest = f" {without:,} without a label {'is' if without == 1 else 'are'} for pretraining and for no test." if without else ""
    if copies:
        rest += f" {copies:,} more {'is a copy of a test image' if copies == 1 else 'are copies of test images'} and left out."
    return (
        f"{len(lines):,} images; {taught + given + tested:,} of them have a label, of {kinds:,} "
        f"class{'es' * (kinds != 1)}: {training:,} train a classifier, {held_out:,} validate it, {tested:,} test it.{rest}"
    )
