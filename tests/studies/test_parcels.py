"""A run's folder that travels as one piece of bytes arrives whole, or not at all."""

import os
from pathlib import Path

import pytest

from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.studies.parcels import attempts_here, finish_unpacking, pack, unpack


@pytest.fixture
def there(tmp_path: Path) -> Registry:
    """The registry of a worker, which has the run, too."""
    return Registry(tmp_path / "there")


def entered(registry: Registry) -> Run:
    """A run that was stopped, with a file."""
    run = registry.create("some", experiment="pretrain", status="interrupted")
    write(registry, run, "checkpoints/last.pt", "old")
    return run


def write(registry: Registry, run: Run, name: str, text: str) -> None:
    path = registry.path(f"{run.folder}/{name}")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def files(registry: Registry, run: Run) -> dict[str, str]:
    folder = registry.path(run.folder)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def done_there(registry: Registry, there: Registry, run: Run) -> None:
    """The run travels, and is finished at the worker."""
    unpack(there, pack(registry, run.folder))
    done = there.load(run)
    done.status = "finished"
    done.attempts.append({"status": "finished"})
    there.save(done)
    write(there, run, "checkpoints/last.pt", "new")
    write(there, run, "output.txt", "said")


def test_a_run_comes_back_with_every_file_and_stands_in_the_index_as_it_ended(registry: Registry, there: Registry) -> None:
    run = entered(registry)
    done_there(registry, there, run)
    write(there, run, ".lock", "")
    unpack(registry, parcel := pack(there, run.folder))
    write(there, run, "checkpoints/other.pt", "later")
    assert [(run.status, run.id) for run in registry.runs()] == [("finished", run.id)]
    assert {name: files(registry, run)[name] for name in ("checkpoints/last.pt", "output.txt")} == {
        "checkpoints/last.pt": "new", "output.txt": "said",
    }  # fmt: skip
    assert files(registry, run).keys() == {"checkpoints/last.pt", "output.txt", "run.yaml"}
    assert (attempts_here(registry, run.folder), parcel.attempts) == (1, 1)
    assert attempts_here(registry, "runs/pretrain/none") is None


@pytest.mark.parametrize("renames", range(5))
def test_a_process_that_is_killed_while_it_unpacks_leaves_the_old_or_the_new_folder(
    registry: Registry, there: Registry, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    run = entered(registry)
    done_there(registry, there, run)
    old, new, parcel = files(registry, run), files(there, run), pack(there, run.folder)
    left, rename = iter(range(renames)), os.replace

    def killed(*paths: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        rename(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            unpack(registry, parcel)
    finish_unpacking(registry)
    assert files(registry, run) == (old if renames == 0 else new)
    assert registry.load(run).status == registry.find(run.id).status
    assert sorted(path.name for path in registry.path("runs/pretrain").iterdir()) == [run.id]
