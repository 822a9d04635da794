"""A finished evaluation whose partner is not finished yet: compare names the partner, and proposes to train nothing twice."""

from contextlib import ExitStack

import pytest

from sslcli.locks import locked
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import Cli

STUDY = "ssl study --preset mine.yaml"


def probe(registry: Registry, init: str, status: str, *, study: str | None, pair: str = "p") -> Run:
    return registry.create(
        init, experiment="linear_eval", protocol="linear", init=init, status=status, study=study, pair=pair, seed=1,
        label_fraction=1.0, dataset="shapes", command=STUDY if study else "ssl probe",
        metrics={"test_acc": 0.5, "test_images": 80} if status == "finished" else {},
    )  # fmt: skip


def said(ssl: Cli, run: Run) -> str:
    """What compare says of the run without a partner."""
    told = " ".join(ssl("compare").err.split())
    assert told.startswith(f"{run.id} has no partner"), told
    return told.removeprefix(f"{run.id} has no partner")


@pytest.mark.parametrize("study", ["mine", None])
@pytest.mark.parametrize("state", ["running", "waiting", "interrupted", "failed"])
def test_the_partner_is_named_with_its_state_and_what_goes_on_with_it(
    ssl: Cli, registry: Registry, state: str, study: str | None
) -> None:
    done = probe(registry, "pretrained", "finished", study=study)
    partner = probe(registry, "scratch", state.replace("waiting", "interrupted"), study=study)
    words = {
        "running": "is being trained",
        "waiting": "waits to be trained",
        "interrupted": "was interrupted",
        "failed": "failed",
    }
    go_on = f"; to go on, type: {STUDY if study else f'ssl resume {partner.id}'}"
    with ExitStack() as held:
        if state != "waiting":
            registry.beat(partner)
        if state == "running":
            held.enter_context(locked(registry.path(f"{partner.folder}/.lock"), timeout=0))
            go_on = "; to see how far it is, type: ssl status --study mine" if study else ""
        assert said(ssl, done) == f" yet: {partner.id} {words[state]}{go_on}"


@pytest.mark.parametrize("entered", [True, False])
def test_beside_a_study_at_work_what_is_missing_is_on_its_way(ssl: Cli, registry: Registry, entered: bool) -> None:
    done = probe(registry, "pretrained", "finished", study="mine")
    busy = probe(registry, "pretrained", "running", study="mine", pair="another")
    watch = "; to see how far it is, type: ssl status --study mine"
    words = " yet: its study is at work"
    if entered:
        words = f" yet: {probe(registry, 'scratch', 'interrupted', study='mine').id} waits to be trained"
    registry.beat(busy)
    with locked(registry.path(f"{busy.folder}/.lock"), timeout=0):
        assert said(ssl, done) == words + watch
