"""Which run an evaluation is of, whose partner is advised, and which study is shown: of runs that begin, and end at once."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from sslcli.runs.next_step import partner_command
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import study_runs
from sslcli.workflows import begin
from tests.conftest import TINY, Cli

Done = Callable[[str], Run]
PROBE = "--epochs 2 --batch-size 32"


@pytest.fixture(autouse=True)
def _untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is settled and recorded as always, and then finished: to these tests it matters which there are."""

    def end(registry: Registry, run: Run, options: object, context: object) -> Run:  # noqa: ARG001
        run.status, run.metrics = "finished", {"test_acc": 0.5, "test_images": 80}
        registry.save(run)
        return run

    for name in ("PRETRAIN", "PROBE", "FINETUNE"):
        monkeypatch.setattr(begin, name, replace(getattr(begin, name), carry_out=end))


@pytest.mark.parametrize("given", ["", "--encoder first", "--encoder=fir --init scratch", "--init scratch --encoder first"])
def test_the_advised_partner_is_one_though_a_newer_pretrain_run_exists(
    ssl: Cli, done: Done, registry: Registry, given: str
) -> None:
    first = done(f"pretrain {TINY} --seed 1 --name first")
    if given:
        done(f"pretrain {TINY} --seed 2")
    run = done(f"probe {PROBE} {given}")
    done(f"pretrain {TINY} --seed 3")
    advice = partner_command(registry, run).removeprefix("ssl ")
    assert f"--encoder {first.id}" in advice
    partner = done(advice)
    assert (partner.pair, partner.init != run.init) == (run.pair, True)
    assert len(json.loads(ssl("compare --format json").out)["differences"]) == 1


def test_the_partner_of_a_scratch_run_that_was_there_first_is_one(done: Done, registry: Registry) -> None:
    run = done(f"probe {PROBE} --init scratch --dataset shapes --backbone resnet9-small")
    assert partner_command(registry, run).endswith("--init pretrained --seed 1")
    done(f"pretrain {TINY} --seed 1")
    done(f"pretrain {TINY} --seed 3")
    assert done(partner_command(registry, run).removeprefix("ssl ")).pair == run.pair


def test_a_run_of_no_study_hides_a_study_only_with_its_partner(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    def make(init: str, status: str, study: str | None, pair: str) -> None:
        registry.create(init, experiment="linear_eval", protocol="linear", init=init, status=status, study=study, pair=pair)

    for study in ("old", "demo"):
        make("pretrained", "finished", study, study)
        make("scratch", "finished", study, study)
    assert {run.study for run in study_runs(registry, None)} == {"demo"}
    assert capsys.readouterr().err == ""
    for status in ("interrupted", "finished"):
        make("pretrained", status, None, "alone")
        assert {run.study for run in study_runs(registry, None)} == {"demo"}
        said = capsys.readouterr().err
        assert "showing study demo; there are also: " in said
        assert said.rstrip().endswith("of no study, study old (ssl runs list)")
        assert said.count("\n") == 1
    make("scratch", "interrupted", None, "alone")
    assert {run.study for run in study_runs(registry, None)} == {"demo"}
    make("scratch", "finished", None, "alone")
    assert {run.study for run in study_runs(registry, None)} == {None}
    make("pretrained", "interrupted", None, "another")
    assert {run.study for run in study_runs(registry, None)} == {None}
    make("pretrained", "finished", "demo", "more")
    assert {run.study for run in study_runs(registry, None)} == {"demo"}


def test_an_encoder_that_is_no_pretrain_run_is_said_to_be_what_it_is(ssl: Cli, done: Done) -> None:
    done(f"pretrain {TINY}")
    run = done(f"probe {PROBE}")
    for command in ("probe", "finetune --init scratch"):
        result = ssl(f"{command} --encoder {run.id}")
        assert (result.code, f"{run.id} is a run of linear evaluation, finished" in result.err) == (3, True)


def test_a_probe_takes_the_pretrain_run_that_it_is_told(done: Done) -> None:
    first = done(f"pretrain {TINY} --seed 1 --name first")
    second = done(f"pretrain {TINY} --seed 2")
    assert done(f"probe {PROBE}").parent == second.id
    assert done(f"probe {PROBE} --encoder first").parent == first.id
    assert done(f"probe {PROBE} --init scratch --encoder {first.id}").seed == 1


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("--at-epoch 3", 3, "did not keep this epoch's checkpoint; accepted: 1"),
        ("--at-epoch 1 --init scratch", 2, "never trained"),
    ],
)
def test_an_epoch_that_was_not_kept_is_said(ssl: Cli, done: Done, registry: Registry, line: str, code: int, text: str) -> None:
    run = done(f"pretrain {TINY} --epochs 2 --keep-every 1")
    run.checkpoints = {name: ["0" * 64] for name in ("epoch-0001.pt", "last.pt")}
    registry.save(run)
    result = ssl(f"probe {PROBE} {line}")
    assert (result.code, text in result.err) == (code, True)
