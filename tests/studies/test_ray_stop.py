"""A job on Ray is asked to stop until it does, and what it saves by then is not broken off. A stand-in plays Ray."""

import signal
from _thread import interrupt_main
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sslcli.runs.registry import Registry
from sslcli.studies.places import ray as place_of_ray
from sslcli.studies.places.place import Job
from sslcli.studies.places.ray import Ray, RayRequest
from sslcli.studies.ray_work import Outcome, stopped_once


def test_a_request_to_stop_that_ray_loses_is_repeated(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def wait(tasks: list[str], **_: Any) -> tuple[list[str], list[str]]:
        return ([], tasks) if len(asked) < 3 else (tasks, [])

    stand_in = SimpleNamespace(
        cancel=asked.append, wait=wait, get=lambda _: Outcome(143),
        exceptions=SimpleNamespace(LocalRayletDiedError=OSError, RayError=OSError),
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda *_: "task"),
        get_runtime_context=lambda: SimpleNamespace(gcs_address="here:1"),
    )  # fmt: skip
    monkeypatch.setattr(place_of_ray, "all_see", lambda *_: True)
    monkeypatch.setattr(place_of_ray, "Head", lambda _: SimpleNamespace(hold=lambda: None))
    request = RayRequest(cpus=1, gpus=0)
    place = Ray(stand_in, registry, request, Path("mark"), owns=False)  # type: ignore[arg-type]
    run = registry.create("a", experiment="pretrain", status="running")
    place.start([Job(run=run.id, folder=run.folder, device="cpu")])
    place.end()
    assert asked == ["task"] * 3


def test_what_follows_the_first_request_to_stop_is_not_broken_off_by_the_next() -> None:
    before, saved = signal.getsignal(signal.SIGINT), []
    with stopped_once():
        try:
            interrupt_main()
            pytest.fail("nothing was raised")
        except KeyboardInterrupt:
            interrupt_main()
            saved.append("the state")
    assert saved
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt), stopped_once():
        interrupt_main()
