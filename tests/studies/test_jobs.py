"""A study is a list of jobs: what --plan prints, and two launchers that share it, in this process and in others."""

import json
import platform
import shlex
import sys
from pathlib import Path

import pytest

from sslcli.cli import main
from sslcli.errors import StateError
from sslcli.options.pretrain import Pretrain
from sslcli.plans import pretraining
from sslcli.runs.choices import Choices
from sslcli.runs.heartbeat import read_heartbeat
from sslcli.runs.registry import Registry
from sslcli.studies import hands as hands_module
from sslcli.studies import jobs
from sslcli.studies.hands import Hands, at_work
from sslcli.studies.jobs import parts_of_study
from sslcli.studies.listing import list_jobs
from sslcli.studies.places import PLACES
from sslcli.studies.places.place import Entry, Place
from tests.conftest import Cli
from tests.studies.presets import write_preset
from tests.studies.stub_place import Stub


@pytest.fixture
def study(tmp_path: Path) -> str:
    """The line of a study of two seeds with an evaluation, and a probe of the checkpoint that the first pretraining keeps."""
    return write_preset(tmp_path, "probe: {epochs: 1}", pretrain="epochs: 2, keep_every: 1") + " --seeds 2"


def planned(ssl: Cli, line: str) -> list[dict[str, object]]:
    found = ssl(f"{line} --plan --format json")
    assert found.code == 0, found.err
    listed: list[dict[str, object]] = json.loads(found.out)
    return listed


def test_the_list_names_each_job_with_its_needs_its_device_its_minutes_and_its_command(
    ssl: Cli, registry: Registry, study: str
) -> None:
    listed = planned(ssl, f"{study} --device cpu")
    runs = {run.id: run for run in registry.runs()}
    assert [job["run"] for job in listed] == list(runs)
    assert [(run.experiment, run.init, run.at_epoch) for run in runs.values()] == [
        ("pretrain", None, None), ("linear_eval", "pretrained", None), ("linear_eval", "scratch", None),
        ("linear_eval", "pretrained", 1),
        ("pretrain", None, None), ("linear_eval", "pretrained", None), ("linear_eval", "scratch", None),
    ]  # fmt: skip
    first, second = (str(listed[place]["run"]) for place in (0, 4))
    assert [job["needs"] for job in listed] == [[], [first], [], [first], [], [second], []]
    for job in listed:
        assert job["device"] == "cpu"
        assert isinstance(job["minutes"], float)
        assert job["minutes"] > 0
        assert job["command"] == [
            sys.executable, "-m", "sslcli", "resume", job["run"], "--if-needed", "--project", str(registry.root),
        ]  # fmt: skip
    assert not list(registry.root.rglob("*.pt"))
    again = planned(ssl, f"{study} --device cpu")
    assert [job | {"minutes": 0} for job in again] == [job | {"minutes": 0} for job in listed]  # nothing is entered twice


def test_one_process_starts_once_and_a_job_of_its_own_each_time(ssl: Cli, study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslcli.bench.cost.STARTING", 6000.0)
    alone, apart = (
        [float(str(job["minutes"])) > 100 for job in planned(ssl, f"{study} --on {on}")] for on in ("local", "local:2")
    )
    assert alone == [True, *[False] * 6]
    assert all(apart)


def test_what_is_advised_after_a_list_is_to_do_the_study(ssl: Cli, study: str) -> None:
    planned(ssl, study)
    assert ssl("").out.rstrip().endswith(f"Next, type: ssl {study}")


def test_the_record_of_a_run_that_waits_names_the_command_that_trains_it(
    ssl: Cli, registry: Registry, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["ssl", *f"{study} --plan --format json".split()])
    planned(ssl, study)
    assert {registry.load(run).command for run in registry.runs()} == {f"ssl {study}"}


def test_resume_without_a_name_takes_a_run_that_was_begun_before_those_that_wait(
    ssl: Cli, registry: Registry, study: str
) -> None:
    first = planned(ssl, study)[0]["run"]
    registry.beat(registry.find(str(first)))
    done = ssl("resume")
    assert done.code == 0, done.err
    assert [run.id for run in registry.runs() if run.status == "finished"] == [first]


def test_a_gpu_that_only_other_machines_have_is_planned_for_here(
    ssl: Cli, registry: Registry, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Entry(key="toy", form="toy", about="a toy", open=lambda _: Stub(registry), elsewhere=True)
    monkeypatch.setitem(PLACES, "toy", there)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    listed = planned(ssl, f"{study} --on toy --device cuda")
    assert {job["device"] for job in listed} == {"cuda"}
    assert {job["minutes"] for job in listed} == {None}  # a CPU does not tell what a GPU takes
    records = [registry.load(run) for run in registry.runs()]
    assert {(run.options["device"], run.options["precision"]) for run in records} == {("cuda", "bf16")}
    assert ssl(f"{study} --device cuda --plan").code == 3
    refused = ssl("study --dataset shapes --minutes 1 --on toy --device cuda --plan")
    assert refused.code == 2
    assert "--minutes 1 with --device cuda on other machines: steps can be timed on this machine only" in refused.err


def test_a_list_with_other_options_replaces_what_was_never_begun(ssl: Cli, registry: Registry, study: str) -> None:
    before = {str(job["run"]) for job in planned(ssl, study)}
    after = {str(job["run"]) for job in planned(ssl, f"{study} --set probe.epochs=2")}
    assert {run.id for run in registry.runs()} == after
    assert {run.id for run in registry.runs() if run.experiment == "pretrain"} <= before
    assert {path.name for path in registry.root.glob("runs/linear_eval/*")} <= after


@pytest.mark.usefixtures("no_pictures")
def test_the_commands_of_the_list_typed_in_its_order_do_the_study_and_a_second_time_nothing(
    ssl: Cli, registry: Registry, study: str
) -> None:
    listed = planned(ssl, study)
    for _ in range(2):
        for job in listed:
            words = job["command"]
            assert isinstance(words, list)
            assert ssl(shlex.join(words[3:])).code == 0
    assert {run.status for run in registry.runs()} == {"finished"}
    assert all(len(registry.load(run).attempts) == 1 for run in registry.runs())
    assert ssl(study).err.count("finished already") == len(listed) == len(registry.runs())


def test_an_evaluation_whose_pretraining_is_not_finished_is_refused_with_the_command_to_type_first(
    ssl: Cli, study: str
) -> None:
    first, needy, *_ = planned(ssl, study)
    refused = ssl(f"resume {needy['run']}")
    assert refused.code == 3
    assert refused.err.endswith(f"needs {first['run']}, which is waiting; first type: ssl resume {first['run']}\n")


@pytest.mark.usefixtures("no_pictures")
def test_a_study_here_leaves_a_run_of_a_living_launcher_alone_does_the_rest_and_then_waits(
    ssl: Cli, registry: Registry, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = planned(ssl, study)
    theirs = registry.find(str(listed[0]["run"]))
    seen: list[set[str]] = []
    with at_work(registry) as other:
        other.take(theirs, "here")

        def look_again(_: float) -> None:
            seen.append({run.id for run in registry.runs() if run.status == "finished"})
            other.drop(theirs.id)

        monkeypatch.setattr(jobs.time, "sleep", look_again)
        done = ssl(study)
    assert done.code == 0, done.err
    assert seen == [{str(job["run"]) for job in listed[4:]}]  # the other seed came first
    assert "another ssl study has the rest; waiting" in done.err
    assert all(len(registry.load(run).attempts) == 1 for run in registry.runs())


@pytest.mark.usefixtures("no_pictures")
def test_a_place_of_one_file_and_one_line_gets_the_jobs_of_a_study(
    ssl: Cli, registry: Registry, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Typing(Stub):
        """Types each job's command here."""

        def ended(self) -> list:  # type: ignore[type-arg]
            for job in self.here:
                with pytest.raises(SystemExit) as stopped:
                    main(job.words(registry.root)[3:])
                assert stopped.value.code == 0
            return super().ended()

    def open_it(asked: object) -> Place:
        opened.append(asked.where)  # type: ignore[attr-defined]
        return Typing(registry, room=2, outcome=lambda run, _: registry.find(run).status)

    monkeypatch.setitem(PLACES, "toy", Entry(key="toy", form="toy:WHERE", about="a toy", open=open_it))
    done = ssl(f"{study} --on toy:there")
    assert done.code == 0, done.err
    assert opened == ["there"]
    assert "Does pretraining help?" in done.out
    assert [run.status for run in registry.runs()] == ["finished"] * 7
    assert not [*registry.root.rglob(".ticket")]


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("lokal", "--on 'lokal': there is no such place; did you mean 'local'? accepted: local[:N]"),
        ("local:0", "--on local:0: accepted is local:N with a number of processes N from 1 to 1024"),
        ("local:two", "--on local:two: accepted is local:N"),
        ("local:9999", "--on local:9999: accepted is local:N"),
    ],
)
def test_a_place_that_there_is_not_is_refused_before_anything_is_entered(
    ssl: Cli, registry: Registry, study: str, on: str, said: str
) -> None:
    refused = ssl(f"{study} --on {on}")
    assert refused.code == 2
    assert said in refused.err
    assert registry.runs() == []


def test_a_ticket_that_cannot_be_read_is_none(registry: Registry) -> None:
    run = registry.create("a", experiment="pretrain", status="interrupted")
    hands = Hands(registry, "me")
    for text in ("", "[]", '{"launcher": "x"}', "{"):
        registry.path(f"{run.folder}/.ticket").write_text(text)
        assert hands.ticket(run) is None
        assert not hands.elsewhere(run)


def test_a_run_says_in_its_heartbeat_how_far_it_is_until_it_says_otherwise(registry: Registry) -> None:
    run = registry.create("a", experiment="pretrain", status="interrupted")
    path = registry.path(f"{run.folder}/.heartbeat")
    registry.beat(run)
    beat = read_heartbeat(path)
    assert beat is not None
    assert (beat.done, beat.left) == (None, None)
    registry.beat(run, done=0.25, left=30.0)
    registry.beat(run)
    beat = read_heartbeat(path)
    assert beat is not None
    assert (beat.done, beat.left) == (0.25, 30.0)
    path.write_text(path.read_text().replace('"process": ', '"process": 1'))
    registry.beat(run)  # of another process nothing is known
    beat = read_heartbeat(path)
    assert beat is not None
    assert beat.done is None


def test_the_locks_of_dead_launchers_are_removed_and_those_of_living_ones_kept(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands_module, "PATIENCE", 0.0)
    folder = registry.root / "runs" / ".launchers"
    folder.mkdir(parents=True)
    (folder / "dead.launcher").touch()
    (folder / "dead.launcher.held").write_text(json.dumps({"host": platform.node(), "process": 2**31 - 1, "started": "1"}))
    with at_work(registry) as first, at_work(registry) as second:
        assert {path.name for path in folder.iterdir()} == {".lock", f"{first.name}.launcher", f"{second.name}.launcher"}
        assert first.others()
        with (
            first.entering(),
            pytest.raises(StateError, match="another ssl study has been entering its runs"),
            second.entering(),
        ):
            pass
    assert [path.name for path in folder.iterdir()] == [".lock"]
    assert not first.others()


def test_the_method_of_a_pretraining_is_built_once_for_all_its_seeds(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Pretrain] = []
    original = pretraining.build_method
    monkeypatch.setattr(pretraining, "build_method", lambda options: built.append(options) or original(options))
    arguments = {"dataset": "shapes", "backbone": "resnet9-small", "batch_size": 32, "temperature": 0.321}
    parts = parts_of_study([(arguments, Choices())], [], seeds=3)
    with at_work(registry) as hands:
        listed = list_jobs(hands, "s", parts, timed=False)
    assert [entry.run.seed for entry in listed] == [1, 2, 3]
    assert len({entry.run.pair for entry in listed}) == 3
    assert len(built) == 1
