"""A new method is a new file: a toy is put beside SimCLR in a copy of the program, and works everywhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sslcli import methods
from sslcli.errors import UsageError
from sslcli.methods import FILES, METHODS, methods_with, options_of
from sslcli.methods.simclr import Options
from sslcli.options.mapping import from_mapping
from sslcli.options.of_methods import OF_METHODS
from sslcli.options.pairing import pair_key
from sslcli.options.pretrain import Pretrain
from sslcli.runs.option_versions import FIRST
from tests.conftest import Cli, Result

PACKAGE = Path(methods.__file__).parents[1]
WithToy = Callable[..., list[Result]]
PROGRAM = """
import contextlib, io, json, shlex, sys
sys.path.insert(0, sys.argv[1])
from sslcli.cli import main
from sslcli.data.sets import patchwork
from sslcli.data.sets import shapes
for made in (shapes, patchwork):
    made.TRAIN, made.TEST = 160, 40

def make_rough():  # pictures of few pixels, whose parts stand where they fall: it matters which there are
    import matplotlib.layout_engine, sslcli.studies.study, sslcli.figures.canvas
    sslcli.figures.canvas.DPI = 40
    matplotlib.layout_engine.ConstrainedLayoutEngine.execute = lambda *_: None

results, lines = [], json.loads(sys.argv[2])
for number, line in enumerate(lines):
    if line.startswith("study"):
        make_rough()
        if line in lines[:number]:  # what it draws was looked at after the first time
            sys.modules["sslcli.studies.study"].save_pictures = lambda *_: None
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(shlex.split(line))
        except SystemExit as stopped:
            code = stopped.code or 0
    results.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(results))
"""
"""Types command lines of the copy, on few made pictures."""
ALONE = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The environment of a process that leaves the other core to others."""


def as_typed(option: str) -> str:
    return f"--{option.replace('_', '-')}"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the program that has one file more, the toy's."""
    folder = tmp_path_factory.mktemp("program")
    shutil.copytree(PACKAGE, folder / "sslcli", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(Path(__file__).with_name("toy_method.py"), folder / "sslcli" / "methods" / "toy.py")
    return folder


@pytest.fixture
def with_toy(package: Path, tmp_path: Path) -> WithToy:
    """Type command lines of the program that has the toy, one after the other."""

    def run(*lines: str) -> list[Result]:
        words = [sys.executable, "-c", PROGRAM, str(package), json.dumps(lines)]
        done = subprocess.run(words, cwd=tmp_path, env=ALONE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [Result(*found) for found in json.loads(done.stdout)]

    run.package = package  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize("method", METHODS)
def test_the_options_that_are_read_without_torch_are_those_of_the_method(method: str) -> None:
    recorded = Pretrain(method=method).options()
    assert {name: recorded[name] for name in OF_METHODS if name in recorded} == {
        name: option.default for name, option in options_of(method).items()
    }
    assert re.search(r"\d{4}\.\d{5}", FILES[method].about)


def test_simclrs_options_have_the_defaults_that_they_always_had() -> None:
    of_two_views = {"views": 2, "small_views": 0}
    assert vars(Options()) == {"projector_hidden": 1024, "projector_dim": 128, "temperature": 0.5} | of_two_views
    assert {name: Pretrain().options()[name] for name in vars(Options())} == vars(Options())


def test_an_option_of_no_method_is_refused() -> None:
    with pytest.raises(UsageError, match="no option 'projector'"):
        from_mapping(Pretrain, {"projector": 3}, "here")
    with pytest.raises(TypeError, match="projector"):
        Pretrain(projector=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_help_shows_its_options_with_their_defaults_and_no_others(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    help_text = ssl(f"pretrain --method {method} --help").out
    lines = {line.split()[1]: line for line in help_text.splitlines() if line.startswith("│ --")}
    assert {"--backbone", "--epochs"} <= lines.keys()
    assert lines.keys() & {as_typed(name) for name in OF_METHODS} == {as_typed(name) for name in options_of(method)}
    for name, option in options_of(method).items():
        assert option.default in (None, False) or f"[default: {option.default}]" in lines[as_typed(name)]
    assert FILES[method].about in " ".join(help_text.split())


@pytest.mark.parametrize("method", METHODS)
def test_an_option_of_other_methods_is_refused_with_their_names(ssl: Cli, method: str) -> None:
    for name in (name for name in OF_METHODS if name not in options_of(method)):
        default = FILES[methods_with(name)[0]].options[name].default
        value = "" if isinstance(default, bool) else 1 if default is None else default
        result = ssl(f"pretrain --method {method} {as_typed(name)} {value} --dry-run")
        words = f": belongs to {', '.join(methods_with(name))}; with --method {method} leave it out"
        assert (result.code, result.err.startswith(f"ssl: {as_typed(name)} "), words in result.err) == (2, True, True), (
            result.err
        )


@pytest.mark.parametrize("method", METHODS)
def test_a_methods_options_count_in_a_key_only_where_they_are_not_its_defaults(method: str) -> None:
    """So an option that a method gets later changes no key of its older runs. SimCLR's first options always counted."""
    options = Pretrain(method=method).options()
    for name in options_of(method):
        without = {other: value for other, value in options.items() if other != name}
        keys = [pair_key("pretrain", values, "data") for values in (options, without, options | {name: 12345})]
        assert (keys[0] == keys[1]) == (method != "simclr" or name not in FIRST["pretrain"]), name
        assert keys[2] not in keys[:2], name


def test_help_shows_the_options_of_the_method_beside_the_common_ones(with_toy: WithToy) -> None:
    toy, simclr = (result.out for result in with_toy("pretrain --method toy --help", "pretrain --help"))
    own = {"--inertia", "--distance"}, {"--projector-dim", "--projector-hidden"}
    for shown, mine, others in ((toy, *own), (simclr, *own[::-1])):
        assert all(option in shown for option in {"--temperature", "--backbone", "--epochs"} | mine)
        assert not any(option in shown for option in others)
    assert "[default: 2.0]" in toy
    assert "[default: 0.5]" in simclr
    assert "is predicted from small views of it" in " ".join(toy.split())


def test_what_is_no_option_of_the_method_is_refused_by_name(with_toy: WithToy, tmp_path: Path) -> None:
    projecting, known = (", ".join(names) for names in (methods_with("projector_dim"), sorted([*METHODS, "toy"])))
    foreign = f"--projector-dim 8: belongs to {projecting}; with --method toy leave it out"
    refused = {
        "--method toy --projector-dim 8": foreign,
        "--inertia 0.5": "--inertia 0.5: belongs to toy; with --method simclr leave it out",
        "--method toy --inertia 2": "--inertia 2: accepted is a number from 0 to 1",
        "--method toy --temperature 0.001": "--temperature 0.001: accepted is a number of 0.01 or more",
        "--method toy --distance far": "--distance 'far': accepted: cosine, euclid",
        "--method other": f"--method 'other': accepted: {known}",
        "--config bounds.yaml": "bounds.yaml: --inertia 3: accepted is a number from 0 to 1",
        "--config foreign.yaml": foreign,
        "--config without.yaml": "--inertia 0.5: belongs to toy; with --method simclr leave it out",
    }
    for name, values in {
        "bounds": {"method": "toy", "inertia": 3}, "foreign": {"method": "toy", "projector_dim": 8},
        "without": {"inertia": 0.5},
    }.items():  # fmt: skip
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(values))
    for words, result in zip(refused.values(), with_toy(*(f"pretrain {line} --dry-run" for line in refused)), strict=True):
        assert (result.code, words in result.err) == (2, True), result.err


def test_another_method_brings_its_own_defaults_and_a_choice_stays_a_choice(with_toy: WithToy, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("{method: toy, distance: euclid}")
    line = "--dry-run --dataset shapes --backbone resnet9 --batch-size 32"
    typed, by_file = with_toy(f"pretrain --method toy --temperature 3 {line}", f"pretrain --config own.yaml {line}")
    expected = (
        (typed, {"temperature": "3.0 command line", "inertia": "0.9 default", "distance": "cosine default"}),
        (by_file, {"temperature": "2.0 default", "inertia": "0.9 default", "distance": "euclid own.yaml"}),
    )
    for result, values in expected:
        shown = {name: " ".join(rest) for name, *rest in map(str.split, filter(None, result.out.splitlines()))}
        assert {name: shown.get(name) for name in values} == values, result.err
        assert not {"projector_dim", "projector_hidden"} & shown.keys()


COMMON = {
    "dataset": "shapes", "backbone": "resnet9-small", "epochs": 2, "batch_size": 32, "knn_images": 50, "precision": "fp32",
}  # fmt: skip
STUDY = {
    "pretrain": [COMMON | {"projector_dim": 16}, COMMON | {"method": "toy", "inertia": 0.5}],
    "probe": [{"epochs": 2, "precision": "fp32"}, {"protocol": "knn", "precision": "fp32"}],
}


def test_a_study_of_two_methods_shows_in_every_place_which_made_a_result(with_toy: WithToy, tmp_path: Path) -> None:
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(STUDY))
    study, again, found, page, listed, verified, exported, shown = with_toy(
        "study --preset both.yaml --set pretrain.temperature=0.3 --set pretrain.projector_hidden=32",
        "study --preset both.yaml --set pretrain.temperature=0.3 --set pretrain.projector_hidden=32",
        "compare --format json", "report", "runs list --format json", "runs verify --numbers --from-checkpoint",
        "export toy", "compare --format csv",
    )  # fmt: skip
    assert (study.code, again.code, verified.code, exported.code) == (0, 0, 0, 0), study.err + again.err + exported.err

    runs = {run["run"]: run for run in json.loads(listed.out)}
    records = {path.parent.name: yaml.safe_load(path.read_text()) for path in tmp_path.glob("runs/*/*/run.yaml")}
    assert runs.keys() == records.keys()
    methods_of = sorted(
        (record["experiment"], record.get("init"), record.get("method")) for record in records.values() if "init" in record
    )
    evaluations = [(init, method) for init, method in (("pretrained", "simclr"), ("pretrained", "toy"), ("scratch", None))]
    assert methods_of == sorted(
        [(experiment, *made) for experiment in ("linear_eval", "knn") for made in evaluations], key=str
    )  # scratch once for both
    for name, record in records.items():
        assert runs[name]["method"] == record.get("method")
        assert (record.get("method") or "scratch") in name
    own = {record["method"]: record["options"] for record in records.values() if record["experiment"] == "pretrain"}
    assert (own["simclr"]["projector_hidden"], own["simclr"]["temperature"], own["toy"]["temperature"]) == (32, 0.3, 0.3)
    assert "inertia" not in own["simclr"]
    assert "projector_dim" not in own["toy"]
    assert again.err.count("finished already") == 10  # of 8 runs, each scratch one asked for by two methods

    whole = json.loads(found.out)
    assert sorted((d["protocol"], d["method"]) for d in whole["differences"]) == [
        (protocol, method) for protocol in ("knn", "linear") for method in ("simclr", "toy")
    ]
    assert len({d["scratch_run"] for d in whole["differences"]}) == 2
    assert all(d["setting"] is None for d in whole["differences"])
    for place in ("linear evaluation (simclr)", "linear evaluation (toy)", "kNN (simclr)", "kNN (toy)"):
        assert place in whole["answer"]
        assert place in study.out
    assert shown.out.splitlines()[0].endswith(",setting,method,folds")

    html = (tmp_path / page.out.strip()).read_text()
    assert "linear evaluation (toy)" in html
    assert ">method<" in re.sub(r"\s+", "", html) or "method</" in html
    figures = {path.relative_to(tmp_path / "results/figures").as_posix() for path in tmp_path.glob("results/figures/**/*.png")}
    for folder in ("pretrain", "pretrain_toy"):
        assert {f"{folder}/views.png", f"{folder}/train_loss_epoch.png"} <= figures
    assert {
        "linear_eval/test_acc.png",
        "linear_eval_toy/test_acc.png",
        "linear_eval/map.png",
        "linear_eval_toy/map.png",
    } <= figures

    card = next(tmp_path.glob("results/export/toy-*/README.md")).read_text()
    assert "| method | toy |" in card
    assert "Trained without labels (toy)" in card


def test_the_encoder_that_a_method_names_is_measured_kept_and_exported(with_toy: WithToy, tmp_path: Path) -> None:
    line = (
        "pretrain --method toy --dataset shapes --backbone resnet9 --batch-size 32 --epochs 2 --keep-every 1 --precision fp32"
    )
    with_toy(line, "probe --protocol knn --precision fp32")
    code = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sslcli.training.checkpoint import load_checkpoint
from sslcli.export.encoders import load_encoder
from sslcli.plans.pretraining import load_pretrained
from sslcli.runs.registry import Registry
registry = Registry(Path.cwd())
run = registry.load(registry.find("toy"))
for name, at in (("last", None), ("epoch-0001", 1)):
    state = load_checkpoint(registry, run, name)
    found = load_pretrained(registry, run, at_epoch=at).state_dict()
    assert state["evaluated"] == "teacher"
    assert all(torch.equal(value, state["model"]["teacher." + key]) for key, value in found.items())
    assert any(not torch.equal(value, state["model"]["encoder." + key]) for key, value in found.items())
assert all(torch.equal(value, found2) for value, found2 in zip(load_encoder("toy").encoder.state_dict().values(),
           load_pretrained(registry, run).state_dict().values()))
seen = load_checkpoint(registry, run, "last")["model"]["seen"]
assert int(seen.sum()) == 2 * 5 * 32 and int(seen[160:].sum()) == 0 and int(seen.max()) == 2, seen.sum()
print(sorted(run.history[-1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(with_toy.package))], cwd=tmp_path, capture_output=True, text=True, check=False  # type: ignore[attr-defined]
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "val/rank" in done.stdout  # of h
    assert "val/z_std" not in done.stdout  # the toy compares no projections
