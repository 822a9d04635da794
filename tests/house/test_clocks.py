"""No test judges by seconds: they differ between machines, and with what else a machine does. Benchmarks and mutants may."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MEASURING = TESTS / "measuring.py"
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "ru_utime", "ru_stime"}
SHORTEST = 60.0  # seconds; a wait with an end below this ends on a busy machine what would have come
ENDS = {"timeout", "patience"}


def clocks_and_short_waits(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and reason of every look at a clock, fixed pause, and wait with an end that a busy machine could reach."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.alias(name=name) if name.removesuffix("_ns") in CLOCKS:
                yield node.lineno, f"{name}: a clock is read in measuring.py alone"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "sleep" as name)):
                yield node.lineno, f"time.{name}: a clock is read, and waited for, in measuring.py alone"
            case ast.ImportFrom(module="time"):
                yield node.lineno, "from time import: the clock's functions are called by their whole name"
            case ast.keyword(arg=name, value=value) if name in ENDS and _is_short(value):
                yield value.lineno, f"{name}={ast.unparse(value)}: use measuring.PATIENCE"
            case ast.Call(func=ast.Attribute(attr="join" | "wait" | "communicate" as name), args=[value]) if _is_short(value):
                yield node.lineno, f"{name}({ast.unparse(value)}): use measuring.PATIENCE"
            case ast.FunctionDef(decorator_list=marks) if _is_given(marks) and "deadline=None" not in " ".join(
                map(ast.unparse, marks)
            ):
                yield node.lineno, "@given: hypothesis ends an example after 0.2 s, unless @settings(deadline=None) says no"
            case ast.keyword(arg="deadline", value=ast.Constant(value=value)) if value is not None:
                yield node.lineno, f"deadline={value}: hypothesis takes None"
            case ast.Call(func=ast.Attribute(attr="set_default_timeout"), args=[ast.Constant()]):
                yield node.lineno, "set_default_timeout: use measuring.PATIENCE"


def _is_given(marks: list[ast.expr]) -> bool:
    return any(ast.unparse(mark).startswith("given(") for mark in marks)


def _is_short(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, (int, float)) and 0 < value.value < SHORTEST


FILES = sorted(path for path in TESTS.rglob("*.py") if path.parent.name not in ("benchmarks", "mutants") and path != MEASURING)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_test_reads_a_clock_or_waits_for_a_short_time(path: Path) -> None:
    assert not list(clocks_and_short_waits(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "line",
    [
        "began = time.monotonic()",
        "assert time.time() - began < 0.4",
        "from time import perf_counter",
        "assert clock.perf_counter_ns() < 3",
        "time.sleep(2)",
        "process.join(10)",
        "process.wait(timeout=30)",
        "subprocess.run(command, timeout=5)",
        "page.set_default_timeout(120_000)",
        "settings(deadline=200)",
        "@given(of=folders)\ndef test() -> None: ...",
        "resource.getrusage(0).ru_utime",
    ],
)
def test_a_bound_in_seconds_is_found(line: str) -> None:
    assert list(clocks_and_short_waits(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "@settings(deadline=None)\n@given(of=folders)\ndef test() -> None: ...",
        "process.join(PATIENCE)",
        "', '.join(words)",
        "monkeypatch.setattr(log.time, 'monotonic', f)",
    ],
)
def test_what_is_no_bound_in_seconds_is_left_alone(line: str) -> None:
    assert not list(clocks_and_short_waits(ast.parse(line)))
