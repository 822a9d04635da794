"""What became of the mutants, as a person reads it: in a terminal, and on the page docs/mutants.md."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence

from tests.benchmarks import machine
from tests.mutants.planting import Verdict

HEAD = ("file", "what is wrong", "killed by", "seconds")
CLASSES = {"AVX512": "avx512", "AVX2": "avx2"}
"""What torch calls a CPU's best instructions for float32, and the class of machine."""


def rows_of(verdicts: Sequence[Verdict]) -> list[tuple[str, str, str, str]]:
    """The lines of the table, by file."""
    made = []
    for verdict in sorted(verdicts, key=lambda verdict: verdict.mutant.file):
        by = verdict.words if verdict.state == "killed" else " ".join(filter(None, (verdict.state, verdict.words)))
        made.append((verdict.mutant.file.removeprefix("sslcli/"), verdict.mutant.what, by, f"{verdict.seconds:.1f}"))
    return made


def as_text(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns side by side."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def count_of(verdicts: Sequence[Verdict]) -> str:
    """How many there are of each state, in words."""
    states = Counter(verdict.state for verdict in verdicts)
    found = ", ".join(f"{states[state]} {state.lower()}" for state in ("killed", "ALIVE", "broken"))
    return f"{len(verdicts)} mutants in {len({verdict.mutant.file for verdict in verdicts})} files: {found}"


def page_of(verdicts: Sequence[Verdict], *, minutes: float) -> str:
    """The page docs/mutants.md."""
    lines = [f"| `{file}` | {what} | `{by.partition('::')[2] or by}` |" for file, what, by, _ in rows_of(verdicts)]
    return "\n".join([
        "# Planted mutants", "",
        "A mutant is a wrong version of one important line. `python -m tests.mutants` plants each of them in a copy of the "
        "program, one after the other, and runs the tests that must notice. A mutant that lives is a wrong number that no "
        "test notices, so none may live.", "",
        f"**{count_of(verdicts)}**, in {minutes:.0f} min. Machine of class {machine_class()}: "
        f"{machine('tests.mutants')}.", "",
        "| file | what is wrong | killed by |", "|---|---|---|", *lines, "",
    ])  # fmt: skip


def machine_class() -> str:
    """The class of this machine: what it computes fast decides how numbers are rounded."""
    import torch  # which the rest of the command does without

    from sslcli.training.device import choose_precision

    if torch.cuda.is_available():
        return "cuda"
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "arm"
    if choose_precision("auto", torch.device("cpu")) == "bf16":
        return "bf16"
    return CLASSES.get(torch.backends.cpu.get_cpu_capability(), platform.machine())
