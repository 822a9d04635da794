"""The planted mutants fit the program as it is, and the command tells killed, alive and broken apart."""

import ast
import re
import signal
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.measuring import wait_until
from tests.mutants import ALL, BELIEVED
from tests.mutants.__main__ import ROOT, main
from tests.mutants.mutant import LostTextError, Mutant, placed
from tests.mutants.planting import Copy, copies, understood
from tests.mutants.table import as_text, count_of, page_of, rows_of

PAGE = ROOT / "docs" / "mutants.md"
SLOW_HERE = ("pytest", "xdist.plugin", "hypothesis")
TOY = {
    "sslcli/__init__.py": "",
    "sslcli/toy.py": '"""A toy."""\n\n\ndef double(x: int) -> int:\n    return 2 * x\n',
    "tests/__init__.py": "",
    "tests/test_toy.py": "from sslcli.toy import double\n\n\ndef test_two():\n    assert double(2) == 4\n\n\n"
    "def test_any():\n    assert double(0) == 0\n\n\ndef test_wrong():\n    assert double(1) == 3\n",
}


@cache
def parsed(file: str) -> str:
    return ast.dump(ast.parse((ROOT / file).read_text(encoding="utf-8")))


@cache
def functions(file: str) -> set[str]:
    return set(re.findall(r"(?m)^def (\w+)\(", (ROOT / "tests" / file).read_text(encoding="utf-8")))


def unfit(mutant: Mutant) -> str:
    """Why a mutant cannot be planted; nothing if it can."""
    try:
        if ast.dump(ast.parse(mutant.plant(ROOT))) == parsed(mutant.file):
            return "it is the same program"
    except (LostTextError, SyntaxError) as error:
        return str(error)
    named = [test.partition("[")[0].split("::") for test in placed(ROOT, mutant.tests).split()]
    return "".join(f"there is no test {file}::{name}" for file, name in named if name not in functions(file))


def test_each_mutant_changes_one_place_into_another_program_and_its_tests_are_there() -> None:
    assert {mutant.what: words for mutant in ALL if (words := unfit(mutant))} == {}


def test_mutants_are_many_and_half_of_them_stand_where_a_wrong_number_would_be_believed() -> None:
    assert len(ALL) >= 60
    assert len(BELIEVED) >= len(ALL) / 2
    assert len({mutant.what for mutant in ALL}) == len({(m.file, m.right, m.wrong) for m in ALL}) == len(ALL)


def test_the_page_tells_of_every_mutant_and_none_lives() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [mutant.what for mutant in ALL if f"| {mutant.what} |" not in page] == []
    assert (
        f"**{len(ALL)} mutants in {len({mutant.file for mutant in ALL})} files: {len(ALL)} killed, 0 alive, 0 broken**" in page
    )


def toy(what: str, wrong: str, test: str = "test_two", right: str = "2 * x") -> Mutant:
    return Mutant(what, "sslcli/toy.py", right, wrong, f"test_toy.py::{test}")


def laid_out(root: Path) -> Path:
    """A tree that is quickly tested."""
    for name, text in TOY.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_killed_is_only_what_a_test_fails_of_and_the_tree_stays_as_it_is(tmp_path: Path) -> None:
    planted = [
        toy("killed", "3 * x"), toy("killed as long", "4 * x"), toy("ALIVE", "3 * x", "test_any"), toy("broken: a name", "y"),
        toy("broken: syntax", "2 *"), toy("broken: lost", "x", right="5 * x"), toy("broken: no test", "3 * x", "test_none"),
    ]  # fmt: skip
    with copies(laid_out(tmp_path), jobs=1, slow=SLOW_HERE) as made:
        fit = dict(made.each(lambda copy, test: (test, copy.passes(f"test_toy.py::{test}").state), ["test_two", "test_wrong"]))
        found = list(made.each(Copy.judge, planted))
        after = {name: (made._all[0].folder / name).read_text() for name in TOY}
        folder = made._all[0].folder.parent
    assert fit == {"test_two": "passed", "test_wrong": "failed"}
    states = {verdict.mutant.what: verdict.state for verdict in found}
    assert states == {what: re.split("[: ]", what)[0] for what in states}
    assert {name: (tmp_path / name).read_text() for name in TOY} == after == TOY
    assert not folder.exists()
    words = {verdict.mutant.what: verdict.words for verdict in found}
    assert words["killed"] == "test_toy.py::test_two"
    assert "NameError" in words["broken: a name"]
    assert "stands 0 times" in words["broken: lost"]
    assert count_of(found) == "7 mutants in 1 files: 2 killed, 1 alive, 4 broken"
    assert "| `toy.py` | killed | `test_two` |" in page_of(found, minutes=2)
    assert "ALIVE" in as_text(rows_of(found))


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """SIGINT is a KeyboardInterrupt, also where a shell has started the tests in the background, which lets them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_what_is_broken_off_leaves_no_copy_and_nothing_runs_on(tmp_path: Path) -> None:
    (laid_out(tmp_path) / "tests" / "test_toy.py").write_text("import time\n\n\ndef test_two():\n    time.sleep(600)\n")
    main_thread = threading.main_thread().ident or 0

    def interrupt(copy: Copy) -> None:
        wait_until(lambda: bool(copy._tests))
        signal.pthread_kill(main_thread, signal.SIGINT)

    with copies(tmp_path, jobs=1, slow=SLOW_HERE) as made:
        (copy,) = made._all
        threading.Thread(target=interrupt, args=(copy,), daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            list(made.each(Copy.judge, [toy("slow", "3 * x"), toy("never begun", "4 * x")]))
        assert copy._server.poll() is not None
    assert not copy.folder.exists()


@pytest.mark.parametrize(
    ("code", "output", "state", "words"),
    [
        (0, "1 passed", "passed", ""),
        (1, "FAILED tests/test_a.py::test_b[x y] - assert 1 == 2", "failed", "test_a.py::test_b[x y]"),
        (1, "E   NameError: name 'x'\nFAILED tests/test_a.py::test_b - NameError", "broken", "NameError in test_a.py::test_b"),
        (
            1,
            "ERROR tests/test_a.py::test_b - a fixture",
            "broken",
            "pytest ended with 1: ERROR tests/test_a.py::test_b - a fixture",
        ),
        (2, "ERROR tests/test_a.py - collection", "broken", "pytest ended with 2: ERROR tests/test_a.py - collection"),
        (-9, "", "broken", "pytest ended with -9: "),
    ],
)
def test_an_end_without_a_failing_test_kills_nothing(code: int, output: str, state: str, words: str) -> None:
    assert understood(code, output) == (state, words)


def test_a_text_that_stands_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    with pytest.raises(LostTextError, match=r"stands 2 times in a\.py"):
        Mutant("twice", "a.py", "x = 1", "x = 2", "").plant(tmp_path)


def test_the_list_is_shown_and_a_word_that_no_mutant_has_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "Nesterov"]) == 0
    assert "Muon without Nesterov" in capsys.readouterr().out
    assert main(["--only", "nowhere at all"]) == 2
    assert "--only nowhere at all: no mutant has this word" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--jobs 0", "--write x.md --only muon"])
def test_options_that_make_no_sense_are_refused(line: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(line.split())
    assert stopped.value.code == 2
