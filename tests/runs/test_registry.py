import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from sslcli.errors import StateError, UsageError
from sslcli.files import atomic_write, write_text
from sslcli.runs.index import index_text
from sslcli.runs.registry import Registry, find_project
from sslcli.runs.run import Run, parse_run
from tests.conftest import Cli
from tests.measuring import opened, parse_lines, times_as_long


def make(registry: Registry, stem: str = "simclr-resnet9-shapes-s1", **known: object) -> Run:
    values = {"experiment": "pretrain", "status": "finished", **known}
    return registry.create(stem, **values)


def test_a_run_comes_back_as_it_was_saved(registry: Registry) -> None:
    run = make(registry, seed=3, name="mine", options={"lr": 1e-5, "stem": None}, history=[{"epoch": 1, "step": 7}])
    run.metrics, run.note = {"test_acc": 0.5}, "a | [bold]note[/] é"
    registry.save(run)
    assert registry.load(registry.find(run.id)) == run
    assert registry.runs()[0].index_entry() == run.index_entry()


def test_the_index_is_valid_yaml_with_a_run_a_line(registry: Registry) -> None:
    runs = [make(registry) for _ in range(3)]
    text = registry.index.read_text()
    assert [entry["id"] for entry in yaml.safe_load(text)["runs"]] == [run.id for run in runs]
    assert len([line for line in text.splitlines() if line.startswith("- {")]) == 3


def test_an_index_edited_by_hand_into_ordinary_yaml_is_read(registry: Registry) -> None:
    run = make(registry)
    registry.index.write_text(yaml.safe_dump(yaml.safe_load(registry.index.read_text())))
    assert registry.find("latest").id == run.id


def test_runs_are_found_by_id_name_prefix_and_latest(registry: Registry) -> None:
    first = make(registry, name="first-try")
    second = make(registry, stem="scratch-resnet9", experiment="linear_eval")
    assert registry.find(first.id).id == first.id
    assert registry.find("first-try").id == first.id
    assert registry.find("simclr").id == first.id
    assert registry.find("first").id == first.id
    assert registry.find("latest").id == second.id
    assert registry.find("latest", experiment="pretrain").id == first.id


def test_only_runs_of_the_kind_and_status_that_are_asked_for_are_found(registry: Registry) -> None:
    finished = make(registry)
    make(registry, status="interrupted")
    make(registry, stem="probe", experiment="linear_eval")
    assert registry.find("latest", experiment="pretrain", status="finished").id == finished.id
    assert registry.find("simclr", status="finished").id == finished.id


def test_an_id_comes_before_a_name_that_is_equal_to_it(registry: Registry) -> None:
    first = make(registry)
    make(registry, name=first.id)
    assert registry.find(first.id).id == first.id


def test_a_name_too_long_for_an_id_is_cut_and_the_project_stays_whole(registry: Registry) -> None:
    run = make(registry, stem=f"simclr-resnet9-folder-{'x' * 72}-and-more-s1")
    assert registry.find("latest") == Registry(registry.root).find(run.id)
    assert len(run.id) <= 100
    assert "--" not in run.id


def test_a_sign_of_life_is_whole_or_the_one_before(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(registry, status="running")
    registry.beat(run)
    before = registry.heartbeat(run)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    registry.beat(run)
    assert before is not None
    assert registry.heartbeat(run) == before


def test_files_of_an_editor_beside_the_index_are_left_alone(registry: Registry) -> None:
    editors = registry.root / ".registry.yaml.swp"
    editors.write_text("unsaved")
    make(registry)
    assert editors.exists()


def test_an_unknown_or_ambiguous_run_is_said(registry: Registry) -> None:
    with pytest.raises(StateError, match="there is no run"):
        registry.find("latest")
    runs = [make(registry), make(registry)]
    with pytest.raises(StateError, match=r"'nope'.*newest are: .*" + runs[1].id):
        registry.find("nope")
    with pytest.raises(StateError, match="matches 2 runs"):
        registry.find("simclr")


def test_ids_are_unique_and_legal(registry: Registry) -> None:
    ids = {make(registry).id for _ in range(20)}
    assert len(ids) == 20
    assert all(run_id == run_id.lower() and run_id.isascii() for run_id in ids)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("runs:\n- {'id': ", "not plain YAML"),
        ("- 1\n- 2\n", "no run registry"),
        ("runs: 3\n", "no run registry"),
        ("runs:\n- 3\n", "a run is a mapping"),
        ("runs:\n- {id: a}\n", "lacks its 'experiment'"),
        ("runs:\n- {id: a, experiment: pretrain, status: finished, colour: red}\n", "no field 'colour'"),
        ("runs:\n- {id: a, experiment: pretrain, status: finished, seed: one}\n", "'seed' takes int"),
        ("runs:\n- {id: ../../a, experiment: pretrain, status: finished}\n", "no run can be"),
        ("runs:\n- {id: a, experiment: dancing, status: finished}\n", "no run can be"),
        ("runs: !!python/object/apply:os.mkdir [ran]\n", "not plain YAML"),
        ("\x00\x01", "not plain YAML"),
        ("runs:\n" + 2 * '- {"id": "a", "experiment": "pretrain", "status": "finished"}\n', "names a run twice"),
    ],
)
def test_a_damaged_or_foreign_index_is_said_and_never_run(registry: Registry, content: str, message: str) -> None:
    registry.index.write_text(content)
    with pytest.raises(UsageError, match=message):
        registry.runs()
    assert registry.index.read_text() == content
    assert not (registry.root / "ran").exists()


def test_rebuild_saves_the_published_runs_of_a_damaged_index(registry: Registry) -> None:
    published = [Run(id=name, experiment="linear_eval", status="published") for name in ("one", "two")]
    write_text(registry.index, index_text(published))
    text = registry.index.read_text()
    registry.index.write_text(text.replace("runs:", "<<<<<<< ours\nruns:") + "=======\n")
    runs, problems = registry.rebuild()
    assert [run.id for run in runs] == ["one", "two"]
    assert registry.index.read_text() == text
    assert "registry.yaml.damaged" in problems[0]


def test_a_training_goes_on_when_the_index_is_damaged_meanwhile(registry: Registry) -> None:
    run = make(registry)
    registry.index.write_text("runs: 3\n")
    run.note = "kept"
    registry.save(run)
    assert registry.load(run).note == "kept"
    assert registry.index.read_text() == "runs: 3\n"


def test_a_path_that_leaves_the_project_is_refused(registry: Registry, tmp_path: Path) -> None:
    (registry.root / "runs").symlink_to(tmp_path.parent)
    for path in ("../elsewhere", "/etc/passwd", "runs/pretrain"):
        with pytest.raises(UsageError, match="is outside the project"):
            registry.path(path)


def test_rebuild_gives_the_lost_index_and_keeps_published_runs(registry: Registry) -> None:
    published = Run(id="paper", experiment="linear_eval", status="published", metrics={"best_test_acc": 0.5887})
    write_text(registry.index, index_text([published]))
    for number in range(3):
        run = make(registry)
        run.created = f"2026-01-0{number + 1}T00:00:00Z"
        registry.save(run)
    before = registry.index.read_text()
    entries = [json.loads(line[2:]) for line in before.splitlines() if line.startswith("- {")]
    registry.index.write_text(before.replace(entries[2]["id"], entries[2]["id"] + "-lost"))
    _, problems = registry.rebuild()
    assert registry.index.read_text() == before
    assert problems == []


def test_a_folder_that_cannot_be_written_is_a_state_error(registry: Registry) -> None:
    (registry.root / "runs").write_text("a file where a folder should be")
    with pytest.raises(StateError, match="cannot be written"):
        make(registry)
    assert not registry.index.exists()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(handle) -> None:  # type: ignore[no-untyped-def]
        handle.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(StateError, match="No space left"):
        atomic_write(path, fail)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "old")]


def test_what_is_recorded_before_a_rename_is_recorded_while_the_old_file_is_there(tmp_path: Path) -> None:
    path, seen = tmp_path / "file", list[str]()
    path.write_text("old")
    atomic_write(path, lambda handle: handle.write(b"new"), before_rename=lambda: seen.append(path.read_text()))
    assert (seen, path.read_text()) == (["old"], "new")


def test_a_run_that_is_worked_on_is_not_given_to_another(registry: Registry) -> None:
    run = make(registry, status="running")
    assert registry.status(run) == "interrupted"
    with registry.claim(run):
        assert Registry(registry.root).status(run) == "running"
        with pytest.raises(StateError, match="another process"), Registry(registry.root).claim(run):
            pass
    assert registry.status(run) == "interrupted"


def test_the_project_is_the_nearest_folder_with_a_registry(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project(below) == below
    (tmp_path / "registry.yaml").write_text("runs: []\n")
    assert find_project(below) == tmp_path


def test_reading_a_thousand_runs_takes_a_few_times_what_their_json_takes(registry: Registry) -> None:
    entry = Run(id="a", experiment="pretrain", status="finished", metrics={"loss": 1.5}).index_entry()
    lines = [f"- {json.dumps({**entry, 'id': f'a{i}'})}" for i in range(1000)]
    registry.index.write_text("runs:\n" + "\n".join(lines) + "\n")
    with opened(registry.root) as files:
        assert len(registry.runs()) == 1000
    assert files == {"registry.yaml": 1}
    assert times_as_long(registry.runs, partial(parse_lines, registry.index), enough=12) < 12  # it is 6


def test_a_published_run_with_a_note_is_rebuilt_once(registry: Registry, ssl: Cli) -> None:
    published = Run(id="paper", experiment="linear_eval", status="published", metrics={"test_acc": 0.5})
    write_text(registry.index, index_text([published]))
    assert ssl("runs note paper hello").code == 0
    assert ssl("runs rebuild").code == 0
    assert [(run.id, run.note) for run in registry.runs()] == [("paper", "hello")]


@pytest.mark.parametrize(
    ("metrics", "both", "words"),
    [
        ({"test_acc": 58.87}, {}, "fraction from 0 to 1, not 58.87"),
        ({"val_knn": float("inf")}, {}, "fraction from 0 to 1, not inf"),
        ({"test_images": 0}, {}, "whole number from 1, not 0"),
        ({"test_images": 80}, {"b": 99}, "0 to 80"),
    ],
)
def test_figures_that_cannot_be_are_refused(metrics: dict[str, float], both: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_run({"id": "a", "experiment": "linear_eval", "status": "finished", "metrics": metrics, "both_right": both}, "x")
