"""What a mutant is: one place in the program made wrong, and the tests that must fail of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class LostTextError(Exception):
    """The text that a mutant makes wrong does not stand exactly once in its file."""


def placed(root: Path, tests: str) -> str:
    """The node ids `tests`, each with the folder below tests/ in which its file lies; as it is where there is none."""
    folders = {path.name: path.relative_to(root / "tests").parent for path in (root / "tests").rglob("test_*.py")}
    return " ".join((folders.get(test.partition("::")[0], Path()) / test).as_posix() for test in tests.split())


@dataclass(frozen=True)
class Mutant:
    """`what` says in words what is wrong; `right`, a text that stands once in `file`, becomes `wrong`.

    `tests` are pytest's node ids, with a file's name alone, apart by spaces: when they run, one at least must fail.
    """

    what: str
    file: str
    right: str
    wrong: str
    tests: str

    def plant(self, root: Path) -> str:
        """The wrong version of the file in the tree below `root`, as text; a LostTextError if it cannot be made."""
        text = (root / self.file).read_text(encoding="utf-8")
        if (count := text.count(self.right)) != 1:
            raise LostTextError(f"its text stands {count} times in {self.file}, not once: {self.right!r}")
        return text.replace(self.right, self.wrong)

    def has(self, word: str) -> bool:
        """Whether `--only WORD` means this mutant."""
        return any(word.lower() in text.lower() for text in (self.what, self.file, self.tests))


def in_file(file: str, *rows: tuple[str, ...], tests: str = "") -> tuple[Mutant, ...]:
    """The mutants of one file, a row each: what is wrong, right, wrong, and the tests, if they are not those of most rows."""
    return tuple(Mutant(what, file, right, wrong, *(own or (tests,))) for what, right, wrong, *own in rows)
