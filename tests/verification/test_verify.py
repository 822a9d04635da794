"""A record that was edited is found: each field is edited, and named, unless the table says that nothing proves it."""

from __future__ import annotations

import copy
import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sslcli.runs.proofs import PROOFS, SEALED, SOURCES, proofs_of
from sslcli.runs.registry import Registry
from sslcli.runs.run import INDEX_FIELDS, Run
from sslcli.training.checkpoint import load_checkpoint
from sslcli.verification import numbers as verify_numbers
from sslcli.verification import records
from tests.conftest import TINY, Cli, Once

Done = Callable[[str], Run]
PRETRAIN = f"{TINY} --projector-hidden 8 --projector-dim 8 --optimizer sgd"
KINDS = ("pretrain", "linear", "linear scratch", "knn", "finetune")
FIELDS = {f.name: str(f.type) for f in fields(Run)}


@pytest.fixture
def made(done: Done, once: Once[dict[str, Run]]) -> dict[str, Run]:
    """A run of each kind; the fine-tuning has searched its rate."""

    def make_made() -> dict[str, Run]:
        return {
            "pretrain": done(f"pretrain {PRETRAIN}"),
            "linear": done("probe --epochs 1 --batch-size 64"),
            "linear scratch": done("probe --epochs 1 --batch-size 64 --init scratch"),
            "knn": done("probe --protocol knn"),
            "finetune": done("finetune --epochs 1 --batch-size 128 --search-lr"),
        }

    return once(make_made)


def other_values(name: str, value: Any) -> Iterator[Any]:
    """What a forger could put in the place of a value, so that the record can still be read."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value / 2 + 0.01
        yield value * (1 + 1e-6) + 1e-6
    elif name == "status":
        yield from ("published", "interrupted", "failed")
    elif isinstance(value, str):
        yield value + "x"
    elif value is None:
        kind = FIELDS.get(name, "str")
        yield 3 if "int" in kind else 3.0 if "float" in kind else "x"


def edits(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every change of one value, and every removal of one, from a tree of mappings and lists; with its dotted name."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        inner = f"{name}.{key}" if name else str(key)
        if isinstance(value, (dict, list)) and value:
            for where, changed in edits(value, inner):
                yield where, _with(content, key, changed)
        else:
            for other in other_values(inner, value):
                yield inner, _with(content, key, other)
        if name:
            yield inner, [v for i, v in enumerate(content) if i != key] if isinstance(content, list) else _without(content, key)
        elif value and inner not in ("id", "experiment", "status"):
            yield inner, _with(content, key, {} if isinstance(value, dict) else [] if isinstance(value, list) else None)


def _with(content: Any, key: Any, value: Any) -> Any:
    copied = copy.copy(content)
    copied[key] = value
    return copied


def _without(content: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


def provable(name: str, run: Run) -> bool:
    if name in FIELDS and name not in PROOFS:  # all of a nested field
        return any(sources for pattern, sources in PROOFS.items() if pattern.startswith(f"{name}."))
    last = f"attempts.{len(run.attempts) - 1}"
    return bool(proofs_of(name.replace(last, "attempts.last", 1)))


def is_named(name: str, words: str, run: Run) -> bool:
    """Whether a field, or of a list or mapping that became shorter what follows in it, is named."""
    if words.startswith("damaged: ") and name.partition(".")[0] in words:  # what no run can have is not even read
        return True
    if name.startswith("checkpoints"):
        return "sha256" in words or any(file in words for file in run.checkpoints)
    shown = name.replace("metrics.", "metric ", 1)
    beginnings = (shown, f"{shown}.", shown.rpartition(".")[0] + ".", f"{name.partition('.')[0]}.")
    return any(f"changed: {beginning}" in words for beginning in beginnings if beginning != ".") or (
        name == "metrics" and "changed: metric " in words
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_edited_is_named_or_not_provable(
    made: dict[str, Run], registry: Registry, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = made[kind]
    monkeypatch.setattr("os.fsync", lambda _: None)
    read = cache(lambda folder, name: load_checkpoint(registry, run_of[folder], name))
    run_of = {other.folder: other for other in made.values()}
    monkeypatch.setattr(verify_numbers, "load_checkpoint", lambda _, record, name: read(record.folder, name))
    prover = verify_numbers.Prover(registry, from_checkpoint=False, data_dir=None, device="auto")
    content, seen, quiet = asdict(run), 0, []
    for name, changed in edits(content):
        if name in ("id", "experiment"):
            continue
        edited = Run(**changed)
        registry.save(edited)
        state, words = records.look(registry, registry.find(run.id), prover.look)
        if provable(name, run) and not (state == records.BAD and is_named(name, words, run)):
            quiet.append((name, words))
        seen += 1
    registry.save(run)
    assert [name for name, _ in quiet] == []
    assert seen > 60
    assert records.look(registry, registry.find(run.id), prover.look) == (records.GOOD, "")


@pytest.mark.parametrize("addition", [
    "options.colour: red", "data.colour: red", "metrics.test_acc2: 0.5", "metrics.colour: 1.0", "versions.cuda: '13'",
    "choices.rate: 0.5", "both_right.nobody-x: 3", "history: {epoch: 9, step: 99}", "attempts: {started: x}",
])  # fmt: skip
@pytest.mark.parametrize("kind", ["linear scratch", "pretrain"])
def test_what_is_added_to_a_record_is_named(
    ssl: Cli, made: dict[str, Run], registry: Registry, addition: str, kind: str
) -> None:
    run = made[kind]
    ((name, value),) = yaml.safe_load(addition).items()
    field, _, key = name.partition(".")
    if kind == "pretrain" and field == "attempts":  # one more attempt may have had nothing left to do
        return
    getattr(run, field).append(value) if not key else getattr(run, field).update({key: value})
    registry.save(run)
    result = ssl("runs verify --numbers")
    assert result.code == 3
    (words,) = (line for line in result.out.splitlines() if line.startswith(f"{run.id}: changed: "))
    assert f"changed: {'metric ' if field == 'metrics' else field}" in words


def test_the_table_has_every_field_of_a_record_and_names_known_sources() -> None:
    assert {pattern.partition(".")[0] for pattern in PROOFS} == set(FIELDS)
    assert {source for sources in PROOFS.values() for source in sources} == set(SOURCES)
    assert [name for name, sources in PROOFS.items() if not sources] == ["note", "checkpoints.*", "attempts.last.ended"]
    assert set(FIELDS) - set(SEALED) == {
        "status", "checkpoint", "sha256", "metrics", "note", "history", "checkpoints", "error",
    }  # fmt: skip


def test_the_table_is_printed(ssl: Cli) -> None:
    result = ssl("runs verify --fields")
    assert result.code == 0
    for name, sources in PROOFS.items():
        words = "; ".join(SOURCES[source] for source in sources) or "not provable"
        assert re.search(rf"^{re.escape(name)} +{re.escape(words)} *$", result.out, re.MULTILINE), name


def test_every_checkpoint_has_a_copy_of_the_record(made: dict[str, Run], registry: Registry) -> None:
    for run in made.values():
        for file in run.checkpoints:
            held = load_checkpoint(registry, run, file.removesuffix(".pt"))["record"]
            assert (held["id"], held["options"], held["versions"]) == (run.id, run.options, run.versions)


def test_a_run_under_another_id_or_experiment_is_named(ssl: Cli, made: dict[str, Run], registry: Registry) -> None:
    run = made["knn"]
    for name, value in (("id", f"{run.id}x"), ("experiment", "linear_eval")):
        before = {path: path.read_text() for path in (registry.index, registry.path(f"{run.folder}/run.yaml"))}
        for path, text in before.items():
            path.write_text(re.sub(rf'({name}"?: "?){re.escape(getattr(run, name))}', rf"\g<1>{value}", text, count=0))
        result = ssl("runs verify")
        assert result.code == 3
        assert f"missing: {replace(run, **{name: value}).folder}/run.yaml" in result.out or "disagree" in result.out
        for path, text in before.items():
            path.write_text(text)
    renamed = replace(run, id=f"{run.id}x")
    shutil.copytree(registry.path(run.folder), registry.path(renamed.folder))
    renamed.checkpoint = f"{renamed.folder}/checkpoints/best.pt"
    registry.save(renamed)
    assert (
        f"{renamed.id}: changed: id is recorded as {renamed.id}, but {run.id} according to" in ssl("runs verify --numbers").out
    )


@pytest.mark.parametrize("kind", ["linear", "pretrain"])
def test_a_run_that_is_called_published_by_hand_is_checked_in_full(
    ssl: Cli, made: dict[str, Run], registry: Registry, kind: str
) -> None:
    run = made[kind]
    run.status, run.metrics = "published", run.metrics | {"val_acc": 0.99}
    registry.save(run)
    result = ssl("runs verify --numbers")
    assert result.code == 3
    assert (
        f"{run.id}: changed: status is recorded as published, but finished according to other fields of the record"
        in result.out
    )
    assert "changed: metric val_acc is recorded as 0.99" in result.out
    assert f"{run.id}: changed: status" in ssl("runs verify").out
    run.attempts, run.checkpoints, run.checkpoint, run.sha256 = [], {}, None, None
    registry.save(run)
    assert "changed: status" in ssl("runs verify").out
    shutil.rmtree(registry.path(f"{run.folder}/checkpoints"))
    assert ssl("runs verify").code == 3  # its record says that it was made here


def test_published_runs_are_counted_and_are_no_fault(ssl: Cli, made: dict[str, Run], registry: Registry) -> None:
    for number in (1, 2):
        run = registry.create("theirs", experiment="linear_eval", status="published", metrics={"test_acc": 0.99})
        if number == 1:  # a published run stands in the index alone; a note makes it a record
            shutil.rmtree(registry.path(run.folder))
    assert ssl(f"runs note {run.id} seen").code == 0
    for line in ("runs verify", "runs verify --numbers"):
        result = ssl(line)
        assert result.code == 0, result.out
        assert result.out.count(": published: numbers only, not provable here\n") == 2
        assert f"{len(made) + 2} runs; {len(made)} as recorded; 2 published: numbers only" in result.err


def test_compare_marks_published_rows_beside_own_ones_and_no_others(
    ssl: Cli, made: dict[str, Run], registry: Registry, tmp_path: Path
) -> None:
    known = {"experiment": "linear_eval", "protocol": "linear", "status": "published", "dataset": "shapes", "seed": 1}
    for init, accuracy in (("pretrained", 0.99), ("scratch", 0.1)):
        run = registry.create("theirs", **known, init=init, pair="x", metrics={"test_acc": accuracy, "test_images": 80})
        shutil.rmtree(registry.path(run.folder))
    theirs = {run.id.rpartition("-")[2] for run in registry.runs() if run.status == "published"}
    shown = ssl("compare").out
    lines = [line for line in shown.splitlines() if re.search(r"…\w+", line) and "difference" not in line]
    ends = [(re.findall(r"…(\w+)", line)[0] in theirs, line.endswith("published")) for line in lines]
    assert sorted(ends) == [(False, False)] * (len(lines) - 2) + [(True, True)] * 2
    assert len(lines) > 2
    assert shown.endswith("\npublished: numbers only\n")
    alone = tmp_path / "alone"
    alone.mkdir()
    texts = [line for line in registry.index.read_text().splitlines(keepends=True) if made["pretrain"].id not in line]
    (alone / "registry.yaml").write_text("".join(line for line in texts if not line.startswith("- ") or "theirs-" in line))
    shown = ssl("compare --project alone").out
    assert "99.00%" in shown
    assert "published: numbers only" not in shown


def forget_records(registry: Registry, run: Run) -> None:
    """Make a run's checkpoints as earlier versions wrote them: without a copy of the record."""
    for file in run.checkpoints:
        path = registry.path(f"{run.folder}/checkpoints/{file}")
        state = torch.load(path, weights_only=True)
        del state["record"]
        torch.save(state, path)
        run.checkpoints[file] = [hashlib.sha256(path.read_bytes()).hexdigest()]
    run.sha256 = run.checkpoints[Path(run.checkpoint or "").name][0]
    run.choices = {}
    registry.save(run)


def test_of_runs_of_an_earlier_version_what_is_not_proven_is_said_and_is_no_fault(
    ssl: Cli, made: dict[str, Run], registry: Registry
) -> None:
    for run in made.values():
        forget_records(registry, run)
    result = ssl("runs verify --numbers")
    assert result.code == 0, result.out
    lines = {line.partition(":")[0]: line for line in result.out.splitlines()}
    said = "as recorded; an earlier version wrote its checkpoint, so not proven: "
    assert all(said in line for line in lines.values())
    of_pretraining = lines[made["pretrain"].id].partition(said)[2].split(", ")
    assert {"seed", "epochs", "dataset", "options", "data", "versions", "device", "created"} <= set(of_pretraining)
    of_knn = lines[made["knn"].id].partition(said)[2].split(", ")
    assert {"versions", "device", "created", "options.device"} <= set(of_knn)
    assert not {"seed", "options.k", "options", "data", "data.sha256", "epochs"} & set(of_knn)


@pytest.mark.parametrize(
    ("kind", "field", "key", "value", "named"),
    [
        ("knn", "options", "k", 200, "changed: pair is"),
        ("pretrain", "options", "temperature", 0.1, "changed: pair is"),
        ("pretrain", "data", "sha256", "0" * 64, "changed: pair is"),
        ("pretrain", "options", "seed", 2, "changed: seed is recorded as 1, but 2 according to"),
        ("linear", "data", "encoder_sha256", "0" * 64, "changed: data.encoder_sha256 is"),
        ("linear", "data", "mean", [0.1, 0.2, 0.3], "changed: data.mean.0 is recorded as 0.1"),
        ("linear scratch", "both_right", None, {}, "changed: both_right."),
    ],
)
def test_of_runs_of_an_earlier_version_what_can_be_proven_is(
    ssl: Cli, made: dict[str, Run], registry: Registry, kind: str, field: str, key: str | None, value: Any, named: str
) -> None:
    for run in made.values():
        forget_records(registry, run)
    run = made[kind]
    setattr(run, field, value if key is None else getattr(run, field) | {key: value})
    registry.save(run)
    result = ssl("runs verify --numbers")
    assert result.code == 3
    assert f"{run.id}: {named}" in result.out


def test_a_checkpoint_that_is_on_no_record_is_named(ssl: Cli, made: dict[str, Run], registry: Registry) -> None:
    run = made["linear"]
    path = registry.path(f"{run.folder}/checkpoints/last.pt")
    shutil.copy(path, path.with_name("epoch-0001.pt"))
    result = ssl("runs verify")
    assert (result.code, "foreign: " in result.out) == (3, True)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("id: ["), lambda path: path.unlink()])
def test_a_parent_that_is_spoilt_is_no_fault_of_its_children(
    ssl: Cli, made: dict[str, Run], registry: Registry, spoil: Callable[[Path], object]
) -> None:
    spoil(registry.path(f"{made['pretrain'].folder}/run.yaml"))
    result = ssl("runs verify --numbers")
    assert (result.code, result.out.count(": as recorded\n")) == (3, len(made) - 1)


def test_the_encoder_of_a_frozen_evaluation_is_held_to_its_parents(
    made: dict[str, Run], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_numbers.Prover, "frozen_sha256", lambda *_: "0" * 64)
    prover = verify_numbers.Prover(registry, from_checkpoint=False, data_dir=None, device="auto")
    state, words = records.look(registry, registry.find(made["linear"].id), prover.look)
    assert state == records.BAD
    assert f"but {'0' * 64} according to the encoder of the pretrain run" in words


def test_only_what_needs_checkpoints_takes_torch(made: dict[str, Run], registry: Registry) -> None:
    code = "import sys\nfrom sslcli.cli import main\ntry:\n    main(['runs', 'verify'])\n"
    code += "finally:\n    print({*sys.modules} & {'torch'})"
    done = subprocess.run([sys.executable, "-c", code], cwd=registry.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "set()"
    assert done.stdout.count(": as recorded") == len(made)


def test_a_published_record_has_no_more_than_its_line_in_the_index(registry: Registry) -> None:
    assert "note" in INDEX_FIELDS
    run = registry.create("theirs", experiment="knn", status="published", note="x")
    assert not records.made_here(registry, run)
    run.device = "a GPU"
    registry.save(run)
    assert records.made_here(registry, run)
