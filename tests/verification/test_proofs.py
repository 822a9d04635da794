"""What verification holds a record to, field by field, on records made up for it: nothing is trained."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from sslcli.evaluation.test_logits import FILE, Kept, keep, read_kept
from sslcli.models.encoder import tensors_hash
from sslcli.options.pairing import pair_key
from sslcli.runs.proofs import Evidence, changed
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import save_checkpoint
from sslcli.verification.numbers import of_best, of_logits, of_training
from sslcli.verification.records import BAD, GOOD, PUBLISHED, by_itself, check, look
from tests.conftest import Cli

OPTIONS = {"name": None, "init": "scratch", "protocol": "knn", "dataset": "shapes", "backbone": "resnet9", "seed": 1,
           "label_fraction": 1.0, "at_epoch": None, "k": 10}  # fmt: skip
WEIGHTS = {"encoder.w": torch.ones(2), "head.w": torch.zeros(3)}


@pytest.fixture
def run(registry: Registry) -> Run:
    """A finished evaluation as the program leaves one: two of four test images right."""
    sha256 = "f" * 64
    known = {name: OPTIONS[name] for name in ("init", "protocol", "dataset", "backbone", "seed", "label_fraction")}
    made = registry.create(
        "scratch", experiment="knn", status="finished", options=OPTIONS, attempts=[{"status": "finished"}],
        pair=pair_key("knn", OPTIONS, sha256), setup=pair_key("knn", OPTIONS, sha256, but=("seed",)),
        data={"sha256": sha256}, metrics={"test_acc": 0.5, "test_images": 4}, **known,
    )  # fmt: skip
    save_checkpoint(registry, made, "best", {"model": WEIGHTS})
    keep(registry.path(f"{made.folder}/{FILE}"), Kept(np.eye(4, 2, dtype=np.float32), np.array([0, 1, 1, 1]), np.arange(4)))
    registry.save(made)
    return made


def test_a_record_as_it_was_written_is_as_recorded(registry: Registry, run: Run) -> None:
    assert check(registry, run) == []
    assert look(registry, run, None) == (GOOD, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pair", "0" * 12), ("setup", "0" * 12), ("seed", 2), ("init", "pretrained"), ("dataset", "cifar10"),
        ("backbone", "resnet18"), ("label_fraction", 0.1), ("protocol", "linear"), ("at_epoch", 3), ("sha256", "0" * 64),
        ("status", "interrupted"),
    ],
)  # fmt: skip
def test_an_edited_field_contradicts_the_rest_of_the_record(run: Run, field: str, value: Any) -> None:
    edited = replace(run, **{field: value})
    assert field in {words.split()[1] for words in changed(edited, [by_itself(edited)])}
    assert changed(run, [by_itself(run)]) == []


@pytest.mark.parametrize("option", [name for name in OPTIONS if name not in ("name", "init")])
def test_an_edited_option_contradicts_the_pair(run: Run, option: str) -> None:
    edited = replace(run, options=run.options | {option: "another"})
    wrong = {words.split()[1] for words in changed(edited, [by_itself(edited)])}
    assert wrong >= ({"pair"} if option == "seed" else {"pair", "setup"} if option != "at_epoch" else {"at_epoch"})


def test_other_data_contradict_the_pair(run: Run) -> None:
    edited = replace(run, data={"sha256": "0" * 64})
    assert {words.split()[1] for words in changed(edited, [by_itself(edited)])} == {"pair", "setup"}


def test_a_checkpoint_of_other_bytes_is_damaged_and_one_on_no_record_foreign(registry: Registry, run: Run) -> None:
    path = registry.path(run.checkpoint or "")
    path.with_name("epoch-0001.pt").write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes() + b" ")
    problems = check(registry, run)
    assert [problem.partition(":")[0] for problem in problems] == ["damaged", "foreign"]
    assert f"{path} has sha256" in problems[0]


def test_verify_tells_damaged_missing_changed_and_orphaned_apart(ssl: Cli, registry: Registry) -> None:
    runs = [registry.create("made", experiment="pretrain", status="finished", seed=seed) for seed in range(4)]
    for run in runs:
        save_checkpoint(registry, run, "last", {"model": WEIGHTS})
        registry.save(run)
    damaged, missing, changed, orphaned = runs
    path = registry.path(damaged.checkpoint or "")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    registry.path(missing.checkpoint or "").unlink()
    record = registry.path(f"{changed.folder}/run.yaml")
    record.write_text(record.read_text().replace("seed: 2", "seed: 7"))
    registry.remove({orphaned.id})
    result = ssl("runs verify")
    assert result.code == 3
    lines = {line.split(":")[0]: line for line in result.out.splitlines()}
    assert "damaged" in lines[damaged.id]
    assert "missing" in lines[missing.id]
    assert "changed" in lines[changed.id]
    assert "orphaned" in lines[orphaned.folder]


def test_a_run_with_files_that_is_called_published_is_looked_at(registry: Registry, run: Run) -> None:
    run.status = "published"
    registry.save(run)
    assert look(registry, registry.runs()[0], None)[0] == BAD
    lone = Run(id="paper", experiment="knn", status="published", metrics={"test_acc": 0.5})
    assert look(registry, lone, None) == (PUBLISHED, "")


def test_what_the_index_says_otherwise_is_named(registry: Registry, run: Run) -> None:
    problems = check(registry, replace(run, metrics={"test_acc": 0.99, "test_images": 4}))
    assert "registry.yaml and run.yaml disagree in metrics" in "".join(problems)


@pytest.mark.parametrize("metrics", [{"test_acc": 0.75}, {"test_acc": 0.5 + 1e-6}, {"test_images": 5}])
def test_the_test_logits_prove_the_figures(registry: Registry, run: Run, metrics: dict[str, Any]) -> None:
    kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
    assert changed(run, of_logits(registry, run, kept, {}, all_kin=False)) == []
    edited = replace(run, metrics=run.metrics | metrics)
    wrong = changed(edited, of_logits(registry, edited, kept, {}, all_kin=False))
    assert [words.split(" is ")[0] for words in wrong] == [f"changed: metric {name}" for name in metrics]


def test_the_test_logits_prove_the_best_over_epochs_and_what_is_right_in_both(registry: Registry, run: Run) -> None:
    kept = read_kept(registry.path(f"{run.folder}/{FILE}"))
    other = registry.create("other", experiment="knn", status="finished", setup=run.setup)
    keep(registry.path(f"{other.folder}/{FILE}"), kept)
    run.both_right = {other.id: 2}
    held = {"progress": {"history": [{"epoch": 1, "step": 1, "test/acc": 0.75}, {"epoch": 2, "step": 2, "test/acc": 0.5}]}}
    run.metrics["best_test_acc"] = 0.75
    assert changed(run, of_logits(registry, run, kept, held, all_kin=False)) == []
    for field, value in (("metrics", run.metrics | {"best_test_acc": 0.8}), ("both_right", {other.id: 1})):
        edited = replace(run, **{field: value})
        assert len(changed(edited, of_logits(registry, edited, kept, held, all_kin=False))) == 1, field


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "val/acc": 0.6}], [{"epoch": 1, "val/acc": 0.5}] * 2])
def test_the_state_of_a_training_proves_its_history(run: Run, history: list[dict[str, Any]]) -> None:
    evidence = of_training({"progress": {"history": [{"epoch": 1, "val/acc": 0.5}]}})
    assert changed(replace(run, history=[{"epoch": 1, "val/acc": 0.5}]), evidence) == []
    assert changed(replace(run, history=history), evidence)


def test_the_weights_prove_which_encoder_was_measured(run: Run) -> None:
    best = {"model": WEIGHTS, "backbone": "resnet9", "stem": "own", "mean": torch.zeros(3), "std": torch.ones(3)}
    run.options = run.options | {"stem": "own"}
    run.data |= {"mean": [0.0] * 3, "std": [1.0] * 3, "encoder_sha256": tensors_hash({"w": WEIGHTS["encoder.w"]})}
    assert changed(run, of_best(run, best, {})) == []
    for name, value in (("encoder_sha256", "0" * 64), ("mean", [0.1, 0.0, 0.0]), ("std", [1.0, 1.0, 1.1])):
        edited = replace(run, data=run.data | {name: value})
        wrong = changed(edited, of_best(edited, best, {}))
        assert [words[: len(f"changed: data.{name}")] for words in wrong] == [f"changed: data.{name}"]


@pytest.mark.parametrize(
    ("here", "there", "within", "equal"),
    [
        (0.5, 0.5, 0.0, True), (0.5, 0.5 + 1e-12, 1e-9, True), (0.5, 0.5 + 1e-6, 1e-9, False), (1, True, 0.0, False),
        (1, 1.0, 0.0, False), ("1", 1, 0.0, False), (float("nan"), float("nan"), 0.0, True), (None, 0, 0.0, False),
    ],
)  # fmt: skip
def test_values_are_the_same_within_rounding_and_of_one_type(
    run: Run, here: object, there: object, within: float, equal: bool
) -> None:
    evidence = Evidence("checkpoint", {"options.k": there}, within=within)
    assert (changed(replace(run, options={"k": here}), [evidence]) == []) == equal


def test_what_a_source_has_whole_may_have_no_more_and_no_less(run: Run) -> None:
    figures = {f"metrics.{name}": value for name, value in run.metrics.items()}
    whole = Evidence("checkpoint", figures, ("metrics",))
    assert changed(run, [whole]) == []
    assert len(changed(replace(run, metrics=run.metrics | {"val_acc": 0.9}), [whole])) == 1
    assert len(changed(replace(run, metrics={"test_acc": 0.5}), [whole])) == 1
    assert changed(replace(run, note="any"), [Evidence("checkpoint", {"note": None})]) == []  # no source proves a note
    assert asdict(run)["metrics"] == run.metrics
