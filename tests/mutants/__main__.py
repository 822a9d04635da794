"""`python -m tests.mutants`: plant wrong versions one after the other, and say which of them no test notices."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants import ALL
from tests.mutants.mutant import Mutant
from tests.mutants.planting import Copies, Copy, Verdict, copies
from tests.mutants.table import HEAD, as_text, count_of, page_of, rows_of

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if every mutant was killed, 1 if not, 2 for wrong options, 130 if it was stopped."""
    options = _options(arguments)
    chosen = [mutant for mutant in ALL if mutant.has(options.only)]
    if not chosen:
        print(
            f"--only {options.only}: no mutant has this word; to see all, type: python -m tests.mutants --list", file=sys.stderr
        )
        return 2
    if options.list:
        print(as_text([("file", "what is wrong", "tests"), *((m.file, m.what, m.tests) for m in chosen)]))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began, verdicts, stopped = time.monotonic(), list[Verdict](), False
    try:
        with copies(ROOT, jobs=options.jobs) as made:
            _judge(made, chosen, verdicts)
    except KeyboardInterrupt:
        stopped = True
    print(as_text([HEAD, *rows_of(verdicts)]))
    print(f"\n{count_of(verdicts)}" + f"; stopped before the other {len(chosen) - len(verdicts)}" * stopped)
    if stopped:
        return 130
    if options.write is not None:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(page_of(verdicts, minutes=(time.monotonic() - began) / 60), encoding="utf-8")
    return int(any(verdict.state != "killed" for verdict in verdicts))


def _judge(made: Copies, chosen: Sequence[Mutant], verdicts: list[Verdict]) -> None:
    """First the tests where nothing is wrong, each set of them once, then the mutants; `verdicts` grows meanwhile."""
    sets = list(dict.fromkeys(mutant.tests for mutant in chosen))
    unfit: dict[str, str] = {}
    for number, (tests, outcome) in enumerate(made.each(lambda copy, tests: (tests, copy.passes(tests)), sets), 1):
        _say(f"{number} of {len(sets)} sets of tests, nothing wrong: {outcome.state}, {outcome.seconds:.1f} s: {tests}")
        if outcome.state != "passed":
            unfit[tests] = f"its tests do not pass unmutated: {outcome.words}"
    verdicts += [Verdict(mutant, "broken", unfit[mutant.tests], 0.0) for mutant in chosen if mutant.tests in unfit]
    fit = [mutant for mutant in chosen if mutant.tests not in unfit]
    for verdict in made.each(Copy.judge, fit):
        verdicts.append(verdict)
        _say(f"{len(verdicts)} of {len(chosen)}: {verdict.state}, {verdict.seconds:.1f} s: {verdict.mutant.what}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="WORD", default="", help="only the mutants that have WORD in file, words or tests")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="how many to plant at a time, each in its own copy")
    parser.add_argument("--list", action="store_true", help="show the mutants and their tests; plant none")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the page docs/mutants.md of a run of all mutants")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: accepted is 1 and more")
    if options.write is not None and options.only:
        parser.error("--write: the page is of all mutants; leave --only out")
    return options


if __name__ == "__main__":
    sys.exit(main())
