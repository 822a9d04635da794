import random

import pytest
import torch

from sslcli.errors import DivergedError, StateError
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import load_checkpoint, save_checkpoint

STATE = {"model": {"weight": torch.arange(6.0).view(2, 3)}, "step": 3}


@pytest.fixture
def run(registry: Registry) -> Run:
    return registry.create("simclr", experiment="pretrain", status="running")


def test_a_checkpoint_comes_back_and_its_hash_stands_in_run_and_index(registry: Registry, run: Run) -> None:
    save_checkpoint(registry, run, "last", STATE)
    state = load_checkpoint(registry, registry.load(run), "last")
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert state["step"] == 3
    entry = registry.runs()[0]
    assert entry.checkpoint == f"{run.folder}/checkpoints/last.pt"
    assert entry.sha256 == registry.load(run).checkpoints["last.pt"][0]


def test_a_flipped_bit_anywhere_is_refused_by_name(registry: Registry, run: Run) -> None:
    save_checkpoint(registry, run, "last", STATE)
    path = registry.path(f"{run.folder}/checkpoints/last.pt")
    whole = path.read_bytes()
    draw = random.Random(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(StateError, match=f"run {run.id}.*last.pt is damaged.*{run.checkpoints['last.pt'][0]}"):
            load_checkpoint(registry, run, "last")
    path.write_bytes(whole)
    assert load_checkpoint(registry, run, "last")["step"] == STATE["step"]


def test_the_checkpoint_before_is_kept_and_loads(registry: Registry, run: Run) -> None:
    save_checkpoint(registry, run, "last", STATE)
    save_checkpoint(registry, run, "last", {**STATE, "step": 4})
    assert load_checkpoint(registry, run, "previous")["step"] == 3
    assert load_checkpoint(registry, run, "last")["step"] == 4


def test_a_crash_between_hash_and_file_leaves_a_checkpoint_that_loads(
    registry: Registry, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(registry, run, "best", STATE)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sslcli.runs.registry.Registry.save", lambda *_: None)
        patch.setattr("sslcli.runs.registry.os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(registry, run, "best", {**STATE, "step": 4})
    registry.save(run)  # the record names the new hash, the file is the old one
    assert load_checkpoint(registry, registry.load(run), "best")["step"] == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_and_the_checkpoint_before_stays(
    registry: Registry, run: Run, value: float
) -> None:
    save_checkpoint(registry, run, "last", STATE)
    broken = torch.ones(2, 3)
    broken[1, 2] = value
    with pytest.raises(DivergedError, match="weight is not finite"):
        save_checkpoint(registry, run, "last", {"model": {"weight": broken}, "step": 4})
    assert load_checkpoint(registry, registry.load(run), "last")["step"] == 3


def test_code_in_a_checkpoint_is_never_run(registry: Registry, run: Run) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, ("raise SystemExit('it ran')",))

    save_checkpoint(registry, run, "last", {"bomb": Bomb()})
    with pytest.raises(StateError, match="plain data"):
        load_checkpoint(registry, run, "last")


def test_a_missing_or_published_checkpoint_is_said(registry: Registry, run: Run) -> None:
    with pytest.raises(StateError, match="has no checkpoint"):
        load_checkpoint(registry, run, "last")
    run.status = "published"
    with pytest.raises(StateError, match="its weights are not"):
        load_checkpoint(registry, run, "last")
