"""The index of many runs: a change adds a line to a second file, any reader sees all runs, and at last it is one file again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sslcli.errors import UsageError
from sslcli.runs import index as index_module
from sslcli.runs.index import index_text
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests import forked, survival
from tests.measuring import PATIENCE, opened


@pytest.fixture
def large(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of twenty runs that counts as large."""
    monkeypatch.setattr(index_module, "LARGE", 1000)
    registry.index.write_text(index_text([Run(id=f"old-{n}", experiment="pretrain", status="finished") for n in range(20)]))
    return registry


def newer(registry: Registry) -> list[Path]:
    return [*registry.root.glob("runs/.newer-*")]


def test_adding_a_run_to_a_large_index_writes_its_line_alone(large: Registry) -> None:
    made = [large.create("a", experiment="pretrain", status="interrupted") for _ in range(2)]
    before = large.index.read_bytes()
    made.append(large.create("a", experiment="pretrain", status="interrupted"))
    assert large.index.read_bytes() == before
    (file,) = newer(large)
    assert [json.loads(line[2:])["id"] for line in file.read_text().splitlines()] == [run.id for run in made]
    for reader in (large, Registry(large.root)):
        assert [run.id for run in reader.runs()] == [f"old-{n}" for n in range(20)] + [run.id for run in made]


def test_the_newest_line_of_a_run_counts_and_keeps_its_place(large: Registry) -> None:
    run = large.create("a", experiment="pretrain", status="interrupted")
    large.create("b", experiment="pretrain", status="interrupted")
    for status in ("running", "finished"):
        run.status = status
        large.save(run)
    old = large.load(run)
    found = Registry(large.root).runs()
    assert [(run.id[:1], run.status) for run in found[20:]] == [("a", "finished"), ("b", "interrupted")]
    (file,) = newer(large)
    lines = len(file.read_text().splitlines())
    large.save(old)  # nothing of its entry changes
    assert len(file.read_text().splitlines()) == lines == 4


def test_both_files_become_one_when_the_second_has_grown_and_when_a_study_ends(large: Registry) -> None:
    for _ in range(200):
        large.create("a", experiment="pretrain", status="interrupted")
        sizes = [path.stat().st_size for path in newer(large)]
        assert len(sizes) < 2
        assert sum(sizes) < 0.5 * large.index.stat().st_size + 300
    large.create("a", experiment="pretrain", status="interrupted")
    runs = large.runs()
    assert len(runs) == 20 + 201
    large.settle()
    assert not newer(large)
    assert large.index.read_text() == index_text(runs)


def test_a_line_that_a_dead_writer_began_is_passed_over_and_cut_off(large: Registry) -> None:
    large.create("a", experiment="pretrain", status="interrupted")
    (file,) = newer(large)
    whole = file.read_bytes()
    file.write_bytes(whole + b'- {"id": "half')
    assert len(Registry(large.root).runs()) == 21
    run = large.create("b", experiment="pretrain", status="interrupted")
    assert file.read_bytes().startswith(whole + b'- {"id": "' + run.id.encode())
    assert len(large.runs()) == 22


def damage(file: Path) -> None:
    file.write_text('- {"id": "half\n')


@pytest.mark.parametrize(("spoil", "said"), [(Path.unlink, "is missing"), (damage, "newer lines are damaged")])
def test_newer_lines_that_are_missing_or_damaged_are_named_and_rebuilt_from_the_records(
    large: Registry, spoil: Callable[[Path], None], said: str
) -> None:
    run = large.create("a", experiment="pretrain", status="interrupted")
    (file,) = newer(large)
    spoil(file)
    with pytest.raises(UsageError, match=rf"{said}.*ssl runs rebuild"):
        Registry(large.root).runs()
    large.rebuild()
    assert [found.id for found in Registry(large.root).runs()] == [run.id]
    assert not newer(large)


@pytest.mark.parametrize(("spoil", "said"), [(Path.unlink, "is missing"), (damage, "newer lines are damaged")])
def test_a_process_that_has_read_the_newer_lines_sees_when_they_are_missing_or_cut_off(
    large: Registry, spoil: Callable[[Path], None], said: str
) -> None:
    large.create("a", experiment="pretrain", status="interrupted")
    assert len(large.runs()) == 21
    (file,) = newer(large)
    spoil(file)
    with pytest.raises(UsageError, match=said):
        large.runs()


def test_two_writers_that_have_both_read_the_index_see_every_change_of_the_other(large: Registry) -> None:
    writers = [large, Registry(large.root)]
    for number in range(60):
        one, other = writers[number % 2], writers[1 - number % 2]
        run = one.create("a", experiment="pretrain", status="interrupted")
        assert other.find(run.id).status == "interrupted"
        for status in ("running", "finished"):
            run.status = status
            other.save(run)
            assert one.find(run.id).status == status
    whole = [(run.id, run.status) for run in Registry(large.root).runs()]
    assert len(whole) == 20 + 60
    assert [[(run.id, run.status) for run in writer.runs()] for writer in writers] == [whole] * 2


def test_after_a_line_that_is_not_ascii_the_next_is_written_whole(large: Registry) -> None:
    large.create("a", experiment="pretrain", status="interrupted")
    (file,) = newer(large)
    line = '- {"id": "b", "experiment": "knn", "status": "finished", "note": "é"}\n'
    file.write_bytes(file.read_bytes() + line.encode())
    run = large.create("c", experiment="pretrain", status="interrupted")
    assert [(found.id, found.note) for found in large.runs()][-2:] == [("b", "é"), (run.id, None)]


def test_an_index_that_somebody_wrote_as_other_yaml_becomes_this_programs_again(large: Registry) -> None:
    large.index.write_text(
        "runs:\n" + "".join(f"- experiment: pretrain\n  id: old-{n}\n  status: finished\n" for n in range(50))
    )
    large.create("a", experiment="pretrain", status="interrupted")
    assert not newer(large)
    assert len(large.index.read_text().splitlines()) == 2 + 51


def test_an_index_without_its_first_comment_is_written_as_a_whole(large: Registry) -> None:
    large.index.write_text(large.index.read_text().partition("\n")[2])
    run = large.create("a", experiment="pretrain", status="interrupted")
    assert not newer(large)
    assert Registry(large.root).runs()[-1].id == run.id


def test_a_large_index_that_nobody_changed_is_read_once(large: Registry) -> None:
    large.create("a", experiment="pretrain", status="interrupted")
    large.runs()
    with opened(large.root) as files:
        for _ in range(5):
            large.runs()
    assert files["registry.yaml"] == 0


def test_the_runs_of_two_reads_share_nothing(large: Registry) -> None:
    first, second = large.runs()[0], large.runs()[0]
    first.metrics["test_acc"] = 1.0
    assert second.metrics == {}
    assert large.runs()[0].metrics == {}


@pytest.mark.parametrize("limit", [index_module.LARGE, 1000])
def test_sixty_four_writers_at_once_lose_nothing(tmp_path: Path, limit: int) -> None:
    processes = [forked.process(survival.register, str(tmp_path), 2, limit) for _ in range(64)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0] * 64
    registry = Registry(tmp_path)
    runs = registry.runs()
    assert len({run.id for run in runs}) == len(runs) == 128
    assert {run.status for run in runs} == {"finished"}
    assert len({registry.load(run).note for run in runs}) == 128


def test_an_index_that_a_formatter_indented_is_another_programs(large: Registry) -> None:
    large.index.write_text(large.index.read_text().replace("\n- {", "\n  - {"))
    large.create("a", experiment="pretrain", status="interrupted")
    assert not newer(large)
    assert len(Registry(large.root).runs()) == 21
