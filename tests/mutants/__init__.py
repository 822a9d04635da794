"""Wrong versions of important lines, and the command that plants each in a copy: `python -m tests.mutants`."""

from __future__ import annotations

from tests.mutants import bench_and_export, data, evaluation, intervals, methods, models, own_pictures, records, training
from tests.mutants.mutant import Mutant

BELIEVED = (*evaluation.MUTANTS, *intervals.MUTANTS, *records.MUTANTS, *own_pictures.MUTANTS)
"""Where a wrong number would be believed: evaluation, statistics, records."""
ALL: tuple[Mutant, ...] = (
    *BELIEVED, *data.MUTANTS, *training.MUTANTS, *methods.MUTANTS, *models.MUTANTS, *bench_and_export.MUTANTS,
)  # fmt: skip
