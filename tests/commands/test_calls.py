"""What is typed becomes one call, with these values: what is called is replaced, so nothing is trained, drawn or read."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sslcli.cards.card import CardWanted
from sslcli.cli import COMMANDS, DATA_COMMANDS, RUNS_COMMANDS
from sslcli.labelling.next_labels import LabelsWanted
from sslcli.options.finetune import Finetune
from sslcli.options.pictures import DataCheck, Map, Neighbours, Predict, Views
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from tests.conftest import Cli

Calls = Callable[[str], list[tuple[Any, ...]]]
PAGE = Path("page.html")
TRAIN, RESUME, STUDY = "workflows.begin", "workflows.resume.resume", "studies.study.carry_out"
COMPARE, MAKE, LINKS = "comparison.printing.print_comparison", "report.page.make", "report.links.check"
CURVES, FOREIGN, VIEWS = "gallery.curves.save_curves", "gallery.curves.save_foreign_curves", "gallery.views.save_views"
GRIDS, OWN, NEAR = (
    "gallery.predictions.save_predictions",
    "gallery.predictions.save_own_images",
    "gallery.neighbours.save_neighbours",
)
MAPS, CHECK, EMBED = (
    "gallery.representations.save_map",
    "gallery.data_check.check_and_show",
    "gallery.embeddings.write_embeddings",
)
REST, SUGGEST = "labelling.rest.label_rest", "labelling.next_labels.suggest"
FIELDS, STATES, EXPORT = "verification.printing.print_fields", "verification.printing.print_states", "export.export.export"
COLUMN: dict[str, Any] = {"machine_class": "bf16", "expected_seconds": 60.0}
PROVER, COLUMNS, MEASURE = "verification.numbers.Prover", "bench.shown.show", "bench.columns.measure"
CARD = "cards.files.make_and_show"
PLACES: dict[str, Any] = {"data_dir": None, "device": "auto"}
NOTHING = {"out": None, "data_dir": None}
CALLS: list[tuple[str, str, list[object], Mapping[str, object]]] = [
    ("pretrain --dataset shapes --epochs 2 --seed 3", f"{TRAIN}.pretrain",
     [Pretrain(dataset="shapes", epochs=2, seed=3)], {}),
    ("pretrain --method byol --teacher-momentum 0.9 --dry-run", f"{TRAIN}.pretrain",
     [Pretrain(method="byol", teacher_momentum=0.9, dry_run=True)], {}),
    ("probe --init scratch --protocol knn --k 5", f"{TRAIN}.probe", [Probe(init="scratch", protocol="knn", k=5)], {}),
    ("finetune --encoder mine --label-fraction 0.1", f"{TRAIN}.finetune", [Finetune(encoder="mine", label_fraction=0.1)], {}),
    ("resume", RESUME, [None], {"data_dir": None, "device": None, "force": False, "if_needed": False}),
    ("status", "studies.states.print_states", [None], {"style": "table"}),
    ("status --study mine --watch", "studies.states.watch", ["mine"], {"every": 2.0}),
    ("resume mine --data-dir d --device cpu --force", RESUME, ["mine"],
     {"data_dir": Path("d"), "device": "cpu", "force": True, "if_needed": False}),
    ("resume mine --if-needed", RESUME, ["mine"], {"data_dir": None, "device": None, "force": False, "if_needed": True}),
    ("study", STUDY, [Study()], {}),
    ("study --dataset folder:photos --minutes 2 --seeds 3 --set probe.epochs=1 --set probe.lr=2", STUDY,
     [Study(dataset="folder:photos", minutes=2.0, seeds=3, set=["probe.epochs=1", "probe.lr=2"])], {}),
    ("study --on local:2 --plan --format json", STUDY, [Study(on="local:2", plan=True, format="json")], {}),
    ("compare", COMPARE, [None], {"everything": False, "without_duplicates": False, "style": "table"}),
    ("compare --study mine --all --without-duplicates --format csv", COMPARE, ["mine"],
     {"everything": True, "without_duplicates": True, "style": "csv"}),
    ("report", MAKE, [None, None], {"title": None, "author": None}),
    ("report --study mine --title 'My page' --out page.html", MAKE, ["mine", PAGE], {"title": "My page", "author": None}),
    ("plots --study mine --out figures", CURVES, [], {"study": "mine", "out": Path("figures"), "svg": False}),
    ("plots --logdir tb --out figures --svg", FOREIGN, [Path("tb"), Path("figures")], {"svg": True}),
    ("plots --check page.html --fix", LINKS, [PAGE], {"fix": True}),
    ("predict --n 4 --study mine", GRIDS, [Predict(n=4, study="mine")], {}),
    ("predict --run mine --images a.png b.png", OWN, [Predict(run="mine", images=["a.png"], more=["b.png"])], {}),
    ("card", CARD, ["latest", CardWanted(images=2000, seed=1, transfer=None, moved=[], **PLACES)], {"style": "table"}),
    ("card mine --n 50 --transfer svhn --transfer folder:p --moved folder:q --format json", CARD,
     ["mine", CardWanted(images=50, seed=1, transfer=["svhn", "folder:p"], moved=["folder:q"], **PLACES)], {"style": "json"}),
    ("predict --images photos --out labels.csv", REST, [Predict(images=["photos"], out=Path("labels.csv"))], {}),
    ("suggest --n 9 --labels few.csv --out next.csv", SUGGEST,
     [None, LabelsWanted(n=9, how="typical", seed=1, labels=Path("few.csv"))],
     {"out": Path("next.csv"), "data_dir": None, "device": "auto"}),
    ("suggest --for-test --run mine --seed 2", SUGGEST, ["mine", LabelsWanted(n=50, how="random", seed=2)],
     NOTHING | {"device": "auto"}),
    ("map --queries 3 --device cpu", MAPS, [Map(queries=3, device="cpu")], {}),
    ("neighbours a.png photos --k 2", NEAR, [Neighbours(images=["a.png", "photos"], k=2)], {}),
    ("views --dataset shapes --hue 0.2", VIEWS, [Views(dataset="shapes", hue=0.2)], {}),
    ("export", EXPORT, ["latest"], NOTHING | {"name": "safetensors"}),
    ("export mine --format onnx --out o --data-dir d", EXPORT, ["mine"],
     {"name": "onnx", "out": Path("o"), "data_dir": Path("d")}),
    ("embed", EMBED, [None], NOTHING | {"part": "test", "images": [], "device": "auto"}),
    ("embed --run mine --part train", EMBED, ["mine"], NOTHING | {"part": "train", "images": [], "device": "auto"}),
    ("embed --images a.png b.png", EMBED, [None], NOTHING | {"part": "test", "images": ["a.png", "b.png"], "device": "auto"}),
    ("runs verify --fields", FIELDS, [], {}),
    ("runs verify", STATES, [None], {}),
    ("data check --dataset shapes --format json", CHECK, [DataCheck(dataset="shapes", format="json")], {"style": "json"}),
]  # fmt: skip
"""A command line, what it calls, and with which values after the project's registry."""
OF_THEIR_OWN = {"bench", "list", "show", "note", "rebuild", "rm"}
"""Commands that do what is theirs with a registry or other commands' options: tested below, and in tests/runs."""
WITHOUT_PROJECT = (LINKS, FOREIGN, FIELDS)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What a function was called with: it is replaced by one that notes the values, and gives what the commands can show."""

    def of(name: str) -> list[tuple[Any, ...]]:
        made: list[tuple[Any, ...]] = []
        given = {MAKE: PAGE, VIEWS: PAGE, PROVER: SimpleNamespace(look=None), MEASURE: COLUMN}.get(name, [])
        monkeypatch.setattr(f"sslcli.{name}", lambda *values, **named: made.append((list(values), named)) or given)
        return made

    return of


@pytest.mark.parametrize(("line", "name", "values", "named"), CALLS, ids=[line for line, *_ in CALLS])
def test_words_become_one_call(
    ssl: Cli, calls: Calls, registry: Registry, line: str, name: str, values: list[object], named: dict[str, object]
) -> None:
    PAGE.write_text("a page")
    for folder in ("photos", "p", "q", "tb"):
        Path(folder).mkdir()
    for file in ("a.png", "b.png", "few.csv"):
        Path(file).touch()
    made = calls(name)
    result = ssl(line)
    assert result.code == 0, result.err
    ((given, by_name),) = made
    if name not in WITHOUT_PROJECT:
        assert given.pop(0).root == registry.root
    assert (given, by_name) == (values, named)
    assert not registry.index.exists()


def test_with_labels_too_the_suspects_are_found_before_the_check_and_shown_after_it(
    ssl: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    for name in ("labelling.wrong_labels.find_suspects", CHECK, "labelling.wrong_labels.show_suspects"):
        monkeypatch.setattr(f"sslcli.{name}", lambda *_, name=name, **__: made.append(name))
    assert ssl("data check --dataset shapes --labels-too --run mine").code == 0
    assert made == ["labelling.wrong_labels.find_suspects", CHECK, "labelling.wrong_labels.show_suspects"]
    refused = ssl("data check --dataset shapes --run mine")
    assert (refused.code, "--run mine: accepted with --labels-too only" in refused.err) == (2, True)
    assert len(made) == 3


def test_every_command_is_tried() -> None:
    tried = {word for line, *_ in CALLS for word in line.split()[: 2 if line.startswith(("runs", "data")) else 1]}
    assert tried - {"runs", "data"} == {*COMMANDS, *RUNS_COMMANDS, *DATA_COMMANDS} - OF_THEIR_OWN


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--numbers", {"from_checkpoint": False, "data_dir": None, "device": "auto"}),
        ("--from-checkpoint --data-dir d --device cpu", {"from_checkpoint": True, "data_dir": Path("d"), "device": "cpu"}),
    ],
)
def test_verifying_more_takes_a_prover(ssl: Cli, calls: Calls, line: str, named: dict[str, object]) -> None:
    states, provers = calls(STATES), calls(PROVER)
    assert ssl(f"runs verify {line}").code == 0
    assert ([by_name for _, by_name in provers], len(states)) == ([named], 1)


def test_a_project_that_is_named_is_the_one_worked_in(ssl: Cli, calls: Calls, tmp_path: Path) -> None:
    made = calls(COMPARE)
    (tmp_path / "there").mkdir()
    assert ssl("compare --project there").code == 0
    assert made[0][0][0].root == tmp_path / "there"


CONFIGS = {
    "own.yaml": "epochs: 2\nbatch_size: 64\n",
    "sections.yaml": "pretrain:\n  epochs: 7\nprobe:\n- {epochs: 2}\nfinetune:\n- {}\n- {}\n",
    "text.yaml": "pretrain:\n  lr: 1e-3\n",
    "whole.yaml": "label_fraction: 1\nepochs: 2\n",
}
OF_FILES = [
    ("pretrain --config own.yaml --batch-size 32", {"epochs": (2, "own.yaml"), "batch_size": (32, "command line")}, ""),
    ("pretrain --config sections.yaml", {"epochs": (7, "sections.yaml"), "batch_size": (512, "default")}, ""),
    ("probe --config sections.yaml", {"epochs": (2, "sections.yaml")}, ""),
    ("pretrain --config text.yaml", {"lr": (0.001, "text.yaml")}, "'1e-3' is text in YAML"),
    ("probe --config whole.yaml", {"label_fraction": (1.0, "whole.yaml"), "epochs": (2, "whole.yaml")}, ""),
]


@pytest.mark.parametrize(("line", "wanted", "said"), OF_FILES, ids=[line for line, *_ in OF_FILES])
def test_a_file_gives_the_options_that_were_not_typed(
    ssl: Cli, calls: Calls, tmp_path: Path, line: str, wanted: dict[str, tuple[object, str]], said: str
) -> None:
    for name, text in CONFIGS.items():
        (tmp_path / name).write_text(text)
    made = calls(f"{TRAIN}.{shlex.split(line)[0]}")
    result = ssl(line)
    assert (result.code, said in result.err) == (0, True), result.err
    (_, command), _ = made[0]
    found = {name: (getattr(command, name), command.origins[name]) for name in wanted}
    assert repr(found) == repr(wanted)  # 1 and 1.0 are equal, and would be two settings


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        (
            "pretrain --dataset shapes --epochs 1 --batch-size 32 --optimizer adamw --batch-size 16 --optimizer sgd",
            [{"batch_size": 32, "optimizer": "adamw"}, {"batch_size": 16, "optimizer": "sgd"}],
        ),
        ("--config 32.yaml --config 16.yaml --no-presets", [{"batch_size": 32}, {"batch_size": 16}]),
    ],
)
def test_an_option_given_twice_to_bench_makes_two_columns_and_one_given_once_holds_for_both(
    ssl: Cli, calls: Calls, tmp_path: Path, line: str, columns: list[dict[str, Any]]
) -> None:
    for size in (32, 16):
        (tmp_path / f"{size}.yaml").write_text(f"dataset: shapes\nbatch_size: {size}\nepochs: 1\n")
    shown, measured = calls(COLUMNS), calls(MEASURE)
    assert ssl(f"bench {line} --format json").code == 0
    wanted = [Pretrain(dataset="shapes", epochs=1, **column).options() for column in columns]
    assert [training.options() for (_, training, _), _ in measured] == wanted
    names = [" ".join(f"--{name.replace('_', '-')} {value}" for name, value in column.items()) for column in columns]
    assert shown == [([[COLUMN | {"name": name} for name in names], {}], {"style": "json"})]
