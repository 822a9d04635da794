"""What version 0.1.0 (commit e27a41b) left in a project is worth as much as what this version makes.

`old_project/make.py` made the project with that version, and let that version itself finish what was stopped. This version must
come to the same weights: to the bit where `bits_here` finds that this machine computes the bits that the other one did,
elsewhere within rounding. The order of the images and what is drawn at random must be the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import field, fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import pytest
import torch
import yaml
from typer import Option

from sslcli.data.batches import Batches, generator
from sslcli.data.image_data import ImageData
from sslcli.data.sets import shapes
from sslcli.evaluation.protocols import finetune
from sslcli.methods import FILES, OptionOfMethod, options_of
from sslcli.options.command import NO_OPTION_OF_A_RUN, Command
from sslcli.options.finetune import Finetune
from sslcli.options.of_methods import OF_METHODS
from sslcli.options.pairing import pair_key
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import TRAININGS
from sslcli.runs import option_versions
from sslcli.runs.option_versions import CHANGES, FIELD, FIRST, Change, as_now, current
from sslcli.runs.registry import Registry
from sslcli.runs.run import EXPERIMENTS, Run, parse_run
from sslcli.training.checkpoint import load_checkpoint
from tests.conftest import Cli
from tests.whole.old_project.alike import HALF, ORDERS, STOPPED, STUDY, bits_here, key_of, shrink, state_of, weights_of

Done = Callable[[str], Run]
HERE = Path(__file__).parent / "old_project"
REACHED = json.loads((HERE / "reached.json").read_text(encoding="utf-8"))
NEWER = ("val_rankme", "val_lidar", "val_alpha_req")
"""What the old program did not measure."""
WITHIN = {"rel": 1e-4, "abs": 1e-5}  # of what another processor computes; it is about 1e-6


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The old project in the current folder, and the pictures that it was made with."""
    shrink(monkeypatch)
    with np.load(HERE / "pictures.npz") as arrays:
        data = ImageData(**{name: torch.from_numpy(arrays[name]) for name in arrays}, classes=tuple(shapes.OUTLINES))
    monkeypatch.setattr(shapes, "load", lambda *_, **__: data)
    monkeypatch.setattr("sslcli.studies.study.save_pictures", lambda *_: None)
    monkeypatch.setattr("sslcli.report.page.quality_figures", lambda *_: [])
    shutil.copytree(HERE / "project", tmp_path, dirs_exist_ok=True)
    return Registry(tmp_path)


@pytest.fixture(scope="module")
def same_bits() -> bool:
    """Whether this machine computes to the bit what the one computed that made the old project."""
    return bits_here() == REACHED["bits"]


def as_written(registry: Registry) -> dict[str, dict[str, Any]]:
    """The records by their ids, as the old program wrote them."""
    found = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in registry.root.glob("runs/*/*/run.yaml")]
    return {record["id"]: record for record in found}


def contents(registry: Registry) -> dict[str, str]:
    """A hash of every file of a project, but for locks, which any reader may leave."""
    paths = [path for path in registry.root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def of_study(registry: Registry, study: str) -> list[Run]:
    return [registry.load(run) for run in registry.runs() if run.study == study]


def test_the_old_project_is_what_the_first_version_wrote(old: Registry) -> None:
    records = as_written(old)
    assert {record["versions"]["commit"] for record in records.values()} == {"e27a41b23801"}
    assert not any(FIELD in record or "choices" in record for record in records.values())
    assert sorted(record["status"] for record in records.values()) == ["finished"] * 10 + ["interrupted"] * 3
    assert {record["experiment"] for record in records.values()} == set(EXPERIMENTS)


def test_it_is_listed_shown_compared_and_verified_and_nothing_is_written(ssl: Cli, old: Registry, same_bits: bool) -> None:
    records, before = as_written(old), contents(old)
    rows = json.loads(ssl("runs list --format json").out)
    assert {row["run"]: row["status"] for row in rows} == {name: record["status"] for name, record in records.items()}
    for name, record in records.items():
        shown = ssl(f"runs show {name}")
        assert (shown.code, record["pair"] in shown.out) == (0, True)
    for line in ["runs verify", "runs verify --numbers", *["runs verify --from-checkpoint"] * same_bits]:
        verified = ssl(line)
        assert verified.code == 0, verified.out
        assert verified.out.count(": as recorded") == len(records)
        assert "search_lr" not in verified.out
    assert contents(old) == before


def test_its_pairs_are_compared(ssl: Cli, old: Registry) -> None:
    records = [record for record in as_written(old).values() if record.get("study") == "whole" and "at_epoch" not in record]
    pairs = {
        (first["id"], second["id"]): first["metrics"]["test_acc"] - second["metrics"]["test_acc"]
        for first in records for second in records
        if first["pair"] == second["pair"] and (first.get("init"), second.get("init")) == ("pretrained", "scratch")
    }  # fmt: skip
    found = json.loads(ssl("compare --study whole --format json").out)
    assert {(d["pretrained_run"], d["scratch_run"]): d["difference"] for d in found["differences"]} == pytest.approx(pairs)
    assert len(pairs) == 3


def test_its_index_is_rebuilt_as_it_was(ssl: Cli, old: Registry) -> None:
    before = old.index.read_bytes()
    old.index.unlink()
    assert ssl("runs rebuild").code == 0
    assert old.index.read_bytes() == before


@pytest.mark.parametrize(("protocol", "spoil", "named"), [
    ("finetune", lambda record: record["options"].pop("momentum"), "pair"),
    ("knn", lambda record: record["options"].update(k=200), "pair"),
    ("linear", lambda record: record.update(setup="0" * 12), "setup"),
])  # fmt: skip
def test_what_is_edited_in_it_is_named(
    ssl: Cli, old: Registry, protocol: str, spoil: Callable[[dict[str, Any]], object], named: str
) -> None:
    run = next(run for run in of_study(old, "whole") if run.protocol == protocol)
    path = old.path(f"{run.folder}/run.yaml")
    record = yaml.safe_load(path.read_text())
    spoil(record)
    path.write_text(yaml.safe_dump(record, sort_keys=False))
    verified = ssl("runs verify")
    assert verified.code == 3
    assert f"changed: {named} is" in next(line for line in verified.out.splitlines() if line.startswith(run.id))


def hold_to_end(run: Run, end: dict[str, Any], *, exactly: bool) -> None:
    """Hold what a run measured to what the old program measured in it."""
    found = state_of(run)
    assert [epoch["step"] for epoch in found["history"]] == [epoch["step"] for epoch in end["history"]]
    for mine, theirs in zip([found["metrics"], *found["history"]], [end["metrics"], *end["history"]], strict=True):
        known = {name: value for name, value in mine.items() if name.replace("/", "_") not in NEWER}
        assert known == (theirs if exactly else pytest.approx(theirs, **WITHIN))


@pytest.mark.parametrize("name", STOPPED)
def test_what_was_stopped_goes_on_to_the_weights_that_the_old_version_comes_to(
    ssl: Cli, old: Registry, same_bits: bool, name: str
) -> None:
    resumed = ssl(f"resume {name}")
    assert resumed.code == 0, resumed.err
    assert ("continuing from step 6 of 12" if name == "stopped" else "continuing from step 4 of 6") in resumed.err
    run = old.load(old.find(name))
    weights = weights_of(load_checkpoint(old, run, "last" if run.experiment == "pretrain" else "best"))
    hold_to_end(run, REACHED["ends"][name], exactly=same_bits)
    with np.load(HERE / "reached.npz") as arrays:
        wanted = {key.removeprefix(f"{name}/"): arrays[key] for key in arrays if key.startswith(f"{name}/")}
    assert weights.keys() == wanted.keys()
    for key, array in wanted.items():
        if same_bits:
            assert np.array_equal(weights[key], array), key
        else:
            assert np.allclose(weights[key], array, rtol=WITHIN["rel"], atol=WITHIN["abs"]), key
    assert ssl("runs verify --numbers").code == 0


def test_images_come_in_the_same_order_and_the_same_is_drawn() -> None:
    for name, (count, size, drop_last) in ORDERS.items():
        batches = Batches(count, size, seed=1, drop_last=drop_last)
        found = [batches.at(step).tolist() for step in range(2 * batches.epoch_steps)]
        assert found == REACHED["orders"][name]
    draws = [torch.rand(4, generator=generator(1, "views", step)).tolist() for step in range(len(REACHED["draws"]))]
    assert draws == REACHED["draws"]


def test_a_half_done_study_goes_on_and_repeats_nothing(ssl: Cli, old: Registry, same_bits: bool) -> None:
    begun = {run.id: run for run in of_study(old, "half")}
    paths = [old.path(f"{run.folder}/run.yaml") for run in begun.values() if run.status == "finished"]
    before = [path.read_bytes() for path in paths]
    done = ssl(HALF)
    assert done.code == 0, done.err
    assert [path.read_bytes() for path in paths] == before
    assert done.err.count("finished already") == len(before) == 2
    assert done.err.count("continuing from step 5 of 9") == 1
    assert "a new run" not in done.err
    ended = of_study(old, "half")
    ends = REACHED["ends"]["half"]
    assert sorted(map(key_of, ended)) == sorted(ends)
    assert begun.keys() <= {run.id for run in ended}
    for run in ended:
        if run.id in begun or (run.protocol == "knn" and same_bits):  # of neighbours rounding may make others
            hold_to_end(run, ends[key_of(run)], exactly=same_bits)
    again = ssl(HALF)
    assert (again.code, again.err.count("finished already")) == (0, len(ended))
    assert of_study(old, "half") == ended


def test_a_finished_study_trains_nothing_anew(ssl: Cli, old: Registry) -> None:
    runs, before = of_study(old, "whole"), contents(old)
    done = ssl(f"{STUDY} --name whole")
    assert (done.code, done.err.count("finished already")) == (0, len(runs)), done.err
    assert {name: content for name, content in contents(old).items() if name in before} == before
    assert of_study(old, "whole") == runs


EVALUATIONS = {
    "linear": "probe --epochs 3 --batch-size 30 --precision fp32",
    "knn": "probe --protocol knn --k 5 --precision fp32",
    "finetune": "finetune --epochs 2 --batch-size 30 --optimizer muon --lr 0.1 --precision fp32",
}


@pytest.mark.parametrize("protocol", EVALUATIONS)
def test_new_runs_are_pairs_with_old_ones(ssl: Cli, done: Done, old: Registry, protocol: str) -> None:
    pretrained, scratch = (
        next(run for run in of_study(old, "whole") if (run.protocol, run.init, run.at_epoch) == (protocol, init, None))
        for init in ("pretrained", "scratch")
    )
    new = done(f"{EVALUATIONS[protocol]} --init scratch --encoder {pretrained.parent}")
    assert (new.pair, new.setup) == (pretrained.pair, pretrained.setup) == (scratch.pair, scratch.setup)
    found = json.loads(ssl("compare --all --format json").out)
    rows = {row["run"]: row for row in found["rows"]}
    assert [rows[run.id]["setting"] for run in (new, pretrained)] == [None, None]
    assert (pretrained.id, new.id) in {(d["pretrained_run"], d["scratch_run"]) for d in found["differences"]}
    other = done(f"{EVALUATIONS[protocol]} --init scratch --encoder {pretrained.parent} --label-fraction 0.5")
    assert other.setup != scratch.setup


def test_a_new_pretraining_is_the_old_one_again_and_a_probe_of_it_too(done: Done, old: Registry) -> None:
    before = of_study(old, "whole")[0]
    line = "pretrain --dataset shapes --backbone resnet9 --epochs 2 --batch-size 25 --projector-hidden 8 --projector-dim 8"
    new = done(f"{line} --knn-images 50 --keep-every 1 --precision fp32")
    assert (new.pair, new.setup) == (before.pair, before.setup)
    probe = next(run for run in of_study(old, "whole") if (run.protocol, run.init) == ("linear", "pretrained"))
    assert done(EVALUATIONS["linear"]).setup == probe.setup


def with_new_option(command: str) -> type[Command]:
    """The options of a command and one more, `toy`, which is 3 where nobody says otherwise."""
    made: type[Command] = make_dataclass(
        "Toy", [("toy", Annotated[int, Option(help="A toy.")], 3)], bases=(TRAININGS[command],), frozen=True, kw_only=True
    )
    return made


def with_renamed_option() -> type[Command]:
    """The options of fine-tuning, `crop_min` by the name `least_crop`, as if all code that reads it had been changed, too."""
    read = {"crop_min": property(lambda options: options.least_crop)}
    protocol = replace(finetune.PROTOCOL, options=renamed(finetune.Options, (), namespace=read))
    by_protocol = {"by_protocol": property(lambda _: protocol)}
    made: type[Command] = renamed(Finetune, (Command,), namespace=read | by_protocol)
    return made


def renamed(kind: Any, bases: tuple[type, ...], *, namespace: dict[str, Any]) -> Any:
    """A dataclass's own fields as those of another, `crop_min` by its new name."""
    hints = get_type_hints(kind, include_extras=True)
    own = [
        ("least_crop" if f.name == "crop_min" else f.name, hints[f.name], field(default=f.default))
        for f in fields(kind) if f.name not in Command.__dataclass_fields__
    ]  # fmt: skip
    return make_dataclass("Renamed", own, bases=bases, frozen=True, kw_only=True, namespace=namespace)


@pytest.mark.parametrize("listed", [False, True])
def test_after_a_new_option_a_finished_study_trains_nothing_anew_and_stopped_runs_go_on(
    ssl: Cli, old: Registry, monkeypatch: pytest.MonkeyPatch, same_bits: bool, listed: bool
) -> None:
    if listed:
        change = Change(added={command: {"toy": 3} for command in TRAININGS})
        monkeypatch.setattr(option_versions, "CHANGES", (*CHANGES, change))
    for command in TRAININGS:
        monkeypatch.setitem(TRAININGS, command, with_new_option(command))
    done = ssl(f"{STUDY} --name whole")
    assert (done.code, done.err.count("finished already")) == (0, len(of_study(old, "whole"))), done.err
    for name in STOPPED:
        assert ssl(f"resume {name}").code == 0
        run = old.load(old.find(name))
        assert run.options.get("toy") == (3 if listed else None)
        hold_to_end(run, REACHED["ends"][name], exactly=same_bits)
    verified = ssl("runs verify --numbers")
    assert verified.code == 0, verified.out


def test_after_an_option_was_renamed_a_finished_study_trains_nothing_anew_and_a_stopped_run_goes_on(
    ssl: Cli, done: Done, old: Registry, monkeypatch: pytest.MonkeyPatch, same_bits: bool
) -> None:
    made_before = done(EVALUATIONS["finetune"])  # its checkpoint's copy of the record has the name of before
    change = Change(renamed={"finetune": {"crop_min": "least_crop"}})
    monkeypatch.setattr(option_versions, "CHANGES", (*CHANGES, change))
    monkeypatch.setitem(TRAININGS, "finetune", with_renamed_option())
    again = ssl(f"{STUDY} --name whole")
    assert (again.code, again.err.count("finished already")) == (0, len(of_study(old, "whole"))), again.err
    assert ssl("resume halfway").code == 0
    run = old.load(old.find("halfway"))
    hold_to_end(run, REACHED["ends"]["halfway"], exactly=same_bits)
    written = as_written(old)[run.id]
    assert (written[FIELD], written["options"]["least_crop"], "crop_min" in written["options"]) == (current(), 0.6, False)
    verified = ssl("runs verify --numbers")
    assert verified.code == 0, verified.out
    assert f"{made_before.id}: as recorded\n" in verified.out


def keys_of(run: Run, **options: Any) -> tuple[str, str]:
    """The pair and the setup of a run, with options changed."""
    values = (run.experiment, run.options | options, run.data["sha256"])
    return pair_key(*values), pair_key(*values, but=("seed",))


def kept(run: Run) -> tuple[str | None, str | None]:
    return run.pair, run.setup


def test_the_keys_of_old_runs_are_those_that_this_version_makes(old: Registry) -> None:
    for run in map(old.load, old.runs()):
        assert keys_of(run) == kept(run)


def test_a_new_option_changes_a_key_only_where_a_run_does_otherwise_than_before(
    old: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Change(added={"finetune": {"toy": 1}})  # its default, 3, is not what runs did before
    monkeypatch.setattr(option_versions, "CHANGES", (*CHANGES, change))
    monkeypatch.setitem(TRAININGS, "finetune", with_new_option("finetune"))
    for run in (old.load(run) for run in old.runs() if run.experiment == "finetune"):
        assert run.options["toy"] == 1
        assert keys_of(run) == kept(run)
        assert not {*keys_of(run, toy=3)} & {*kept(run)}


@pytest.fixture
def simclr_has_a_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """SimCLR has one option more, `toy`, which is 3 where nobody says otherwise; its runs of before did what 1 does."""
    toy = OptionOfMethod(Annotated[int, Option(help="A toy.")], 3)
    options = {**FILES["simclr"].options, "toy": toy}
    monkeypatch.setitem(FILES, "simclr", replace(FILES["simclr"], options=options))  # type: ignore[arg-type]
    monkeypatch.setattr(option_versions, "CHANGES", (*CHANGES, Change(added_to_methods={"simclr": {"toy": 1}})))


@pytest.mark.usefixtures("simclr_has_a_toy")
def test_a_new_option_of_a_method_changes_a_key_only_where_a_run_of_it_does_otherwise_than_before(old: Registry) -> None:
    for run in map(old.load, old.runs()):
        assert run.options.get("toy") == (1 if run.experiment == "pretrain" else None)
        assert keys_of(run) == kept(run)
        assert run.experiment != "pretrain" or not {*keys_of(run, toy=3)} & {*kept(run)}


@pytest.mark.usefixtures("simclr_has_a_toy")
def test_a_new_option_of_a_method_is_filled_into_that_methods_records_alone() -> None:
    record = {"id": "a", "experiment": "pretrain", "status": "finished"}
    filled = {method: parse_run(record | {"options": {"method": method}}, "here").options for method in ("simclr", "other")}
    assert filled["simclr"] == {"method": "simclr", "views": 2, "small_views": 0, "watch": None, "toy": 1}
    assert filled["other"] == {"method": "other", "watch": None}
    assert parse_run(record | {"options": {"epochs": 3}}, "here").options["toy"] == 1  # the first version knew one method alone
    assert parse_run(record | {"options": {"method": "simclr"}, FIELD: current()}, "here").options == {"method": "simclr"}


def test_old_pretrainings_saw_two_views_and_one_of_more_views_is_no_repetition_of_them(old: Registry) -> None:
    pretrainings = [old.load(run) for run in old.runs() if run.experiment == "pretrain"]
    assert len(pretrainings) == 3
    for run in pretrainings:
        assert (run.options["views"], run.options["small_views"]) == (2, 0)
        for other in ({"views": 3}, {"small_views": 1}):
            assert not {*keys_of(run, **other)} & {*kept(run)}


def test_a_name_that_changes_twice_changes_no_key(old: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = (
        Change(added={"finetune": {"toy": 1}}),
        Change(renamed={"finetune": {"toy": "game", "crop_min": "least"}}),
        Change(renamed={"finetune": {"least": "smallest"}}),
    )
    monkeypatch.setattr(option_versions, "CHANGES", (*CHANGES, *changes))
    for run in (old.load(run) for run in old.runs() if run.experiment == "finetune"):
        assert (run.options["game"], run.options["smallest"]) == (1, 0.6)
        assert not {"toy", "crop_min", "least"} & run.options.keys()
        assert keys_of(run) == kept(run)
        for other in ({"game": 3}, {"smallest": 0.5}):
            assert not {*keys_of(run, **other)} & {*kept(run)}


def test_without_an_option_runs_count_as_having_its_default(old: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [(f.name, Any, field(default=f.default)) for f in fields(Pretrain) if f.init and f.name != "compile"]
    monkeypatch.setitem(TRAININGS, "pretrain", make_dataclass("Left", left))
    for run in (old.load(run) for run in old.runs() if run.experiment == "pretrain"):
        assert run.options.pop("compile") is False
        assert keys_of(run) == kept(run)
        assert not {*keys_of(run, compile=True)} & {*kept(run)}


def test_another_default_changes_no_key(old: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_dataclass(
        "Other", [("epochs", Annotated[int, Option(help="Epochs.")], 2)], bases=(Finetune,), kw_only=True, frozen=True
    )
    assert (made().options()["epochs"], Finetune.epochs) == (2, 10)
    monkeypatch.setitem(TRAININGS, "finetune", made)
    for run in (old.load(run) for run in old.runs() if run.experiment == "finetune"):
        assert (run.options["epochs"], keys_of(run)) == (2, kept(run))


def test_the_options_of_the_first_version_are_those_that_it_had(old: Registry) -> None:
    assert REACHED["defaults"] == FIRST
    for record in as_written(old).values():
        assert record["options"].keys() == FIRST[EXPERIMENTS[record["experiment"]]].keys()


@pytest.mark.parametrize("command", TRAININGS)
def test_every_option_that_runs_record_is_in_a_version_of_the_options(command: str) -> None:
    """Who adds an option, or renames one, writes a `Change` into CHANGES of option_versions.py.

    Not so with a method that version 1 did not have: no older run has any of its options.
    """
    of_newer_methods = {*OF_METHODS} - options_of(FIRST["pretrain"]["method"]).keys() if command == "pretrain" else set()
    recorded = {f.name for f in fields(TRAININGS[command])} - {*NO_OPTION_OF_A_RUN} - of_newer_methods
    assert recorded - as_now(command, FIRST[command], 1).keys() == set()
    names = list(FIRST[command])
    for change in CHANGES:
        assert change.renamed.get(command, {}).keys() <= set(names)
        names += [*change.added.get(command, {}), *change.renamed.get(command, {}).values()]
        names += change.added_to_methods.get(FIRST[command].get("method", ""), {})
    assert len(names) == len(set(names)), "a name is given to a second option"


def test_only_options_that_a_method_has_are_added_to_it() -> None:
    for change in CHANGES:
        for method, added in change.added_to_methods.items():
            assert added.keys() <= options_of(method).keys(), method


def test_only_what_a_version_did_not_have_is_filled_in() -> None:
    record = {"id": "a", "experiment": "finetune", "status": "finished", "options": {"epochs": 1}}
    assert parse_run(record, "here").options == {"epochs": 1, "search_lr": False}
    assert parse_run(record | {FIELD: 2}, "here").options == {"epochs": 1}


def test_what_is_recorded_now_says_its_version_and_one_of_a_newer_program_is_refused(
    ssl: Cli, done: Done, registry: Registry
) -> None:
    run = done("pretrain --dataset shapes --backbone resnet9-small --batch-size 32 --epochs 1 --max-steps 1")
    path = registry.path(f"{run.folder}/run.yaml")
    assert f"{FIELD}: {current()}\n" in path.read_text()
    assert load_checkpoint(registry, run, "last")["record"][FIELD] == current()
    text = path.read_text()
    for version in (current() + 1, 0, "x", True):
        path.write_text(text.replace(f"{FIELD}: {current()}\n", f"{FIELD}: {version}\n"))
        refused = ssl(f"runs show {run.id}")
        assert (refused.code, f"{FIELD} '{version}': accepted is a whole number from 1 to {current()}" in refused.err) == (
            2,
            True,
        )
