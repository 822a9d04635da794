"""A method in a file outside the program, --method FILE.py:CLASS: chosen, recorded, gone on with and measured as another."""

import hashlib
import json
import pickle
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import sslcli
from sslcli.errors import UsageError
from sslcli.options.pretrain import Pretrain
from sslcli.runs.naming import class_word
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import log
from sslcli.training.checkpoint import load_checkpoint
from tests.conftest import Cli, Once
from tests.stopping import signal_after
from tests.whole.test_survival import flat

Done = Callable[[str], Run]
CODE = '''"""Near: the two views of an image have the same z (a toy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor, nn
from typer import Option

from sslcli.methods.method import Batch, Method, ViewSpec
from sslcli.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen."""

    width: Annotated[int, Option(min=1, help="Length of the projection z.")] = 64
    temperature: Annotated[float, Option(min=0.5, help="What the loss is divided by.")] = 2.0
    power: Annotated[Literal["one", "two"], Option(help="Of the distance.")] = "two"
    twice: Annotated[bool, Option("--twice", help="Count it twice.")] = False


class MyNear(Method):
    """The distance of two views."""

    views = (ViewSpec(count=2),)

    def __init__(self, encoder: Encoder, options: Options) -> None:
        super().__init__(encoder)
        self.options, self.z_dim = options, options.width
        self.projector = nn.Linear(encoder.dim, options.width)

    def forward(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        first, second = (self.project(self.encoder(view)) for view in batch.views)
        far = (first - second).abs() if self.options.power == "one" else (first - second).square()
        return far.float().mean() * (1 + self.options.twice) / self.options.temperature, {}

    def project(self, h: Tensor) -> Tensor:
        return self.projector(h)
'''
METHOD = "--method ./code/mine.py:MyNear"
LINE = "--dataset shapes --backbone resnet9-small --batch-size 32 --epochs 1 --knn-every 0 --precision fp32"
SHORT = f"{LINE} --max-steps 2"


@pytest.fixture(autouse=True)
def mine(tmp_path: Path) -> Path:
    """The file of the method."""
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "mine.py"
    file.write_text(CODE)
    return file


@pytest.fixture
def near(done: Done, once: Once[Run]) -> Run:
    """A finished run of the method, made once."""

    def make_near() -> Run:
        return done(f"pretrain {METHOD} --width 8 --power one {SHORT}")

    return once(make_near)


def test_its_help_shows_its_options_beside_the_common_ones_and_no_others(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")
    shown = ssl(f"pretrain {METHOD} --help")
    assert shown.code == 0, shown.err
    lines = {line.split()[1]: line for line in shown.out.splitlines() if line.startswith("│ --")}
    assert {"--width", "--temperature", "--power", "--twice", "--backbone", "--epochs"} <= lines.keys()
    assert "[default: 64]" in lines["--width"]
    assert "[default: 2.0]" in lines["--temperature"]
    assert "--projector-dim" not in lines
    assert "Near: the two views of an image have the same z" in " ".join(shown.out.split())
    usual = ssl("pretrain --help").out
    assert "--width" not in usual
    assert "FILE.py:CLASS" in usual


def test_its_run_is_called_by_a_slug_of_the_class_and_records_options_path_and_sha256(
    near: Run, registry: Registry, mine: Path
) -> None:
    sha256 = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert near.method == registry.find("latest").method == "my-near"
    assert near.id.startswith("my-near-resnet9-small-shapes-s1-")
    own = {name: near.options[name] for name in ("method", "width", "temperature", "power", "twice")}
    assert own == {"method": "code/mine.py:MyNear", "width": 8, "temperature": 2.0, "power": "one", "twice": False}
    assert "projector_dim" not in near.options
    assert near.data["method"] == {"file": "mine.py", "sha256": sha256, "name": "my-near"}
    assert registry.path(f"{near.folder}/method.py").read_text() == CODE


@pytest.mark.parametrize(
    ("kind", "name"),
    [("MyMethod", "my-method"), ("MAEPlus", "mae-plus"), ("Größe2", "groe2"), ("under_score", "under-score"), ("Я", "")],
)
def test_a_classs_slug_is_lower_case_ascii(kind: str, name: str) -> None:
    assert class_word(kind) == name


def test_its_class_may_say_another_name(mine: Path) -> None:
    mine.write_text(CODE.replace("    views =", '    NAME = "Nähe!"\n    views ='))
    assert Pretrain(method=f"{mine}:MyNear").file.name == "nahe"


@pytest.mark.usefixtures("near")
def test_without_its_file_a_run_is_measured_exported_looked_at_and_verified(ssl: Cli, mine: Path, tmp_path: Path) -> None:
    mine.unlink()
    for line in (
        "probe --protocol knn", "probe --protocol knn --init scratch", "finetune --epochs 1 --max-steps 1", "export my-near",
        "views --run my-near --n 2", "compare", "runs show my-near", "runs rebuild",    ):  # fmt: skip
        result = ssl(line)
        assert result.code == 0, (line, result.err)
    verified = ssl("runs verify --numbers")
    assert (verified.code, "4 as recorded" in verified.err) == (0, True), verified.out
    rows = json.loads(ssl("compare --format json").out)["rows"]
    assert {row["method"] for row in rows} == {"my-near", None}
    card = next(tmp_path.glob("results/export/my-near-*/README.md")).read_text()
    assert "| method | my-near |" in card
    assert (tmp_path / "results/figures/pretrain_my_near/views.png").exists()


def test_verify_finds_an_edited_name_and_an_edited_copy_of_the_code(ssl: Cli, near: Run, registry: Registry) -> None:
    near.method = "another"
    registry.save(near)
    assert "changed: method is recorded as another, but my-near according to other fields" in ssl("runs verify").out
    near.method = "my-near"
    registry.save(near)
    path = registry.path(f"{near.folder}/method.py")
    path.write_text(CODE + "\n")
    assert f"damaged: {path} has sha256" in ssl("runs verify").out
    path.unlink()
    assert f"missing: {path}" in ssl("runs verify").out


def stop_at(step: int, line: str, ssl: Cli) -> None:
    """Type a command that a signal stops after so many steps."""
    with signal_after(step, signal.SIGTERM) as patch:
        patch.setattr(log, "SAVE_EVERY", float("inf"))
        assert ssl(line).code == 143


def test_its_run_goes_on_to_the_same_bits_with_the_same_file_alone(
    ssl: Cli, done: Done, registry: Registry, mine: Path
) -> None:
    line = f"pretrain {METHOD} --width 8 {LINE}"
    whole = load_checkpoint(registry, done(line), "last")
    stop_at(3, line, ssl)
    begun = registry.find("latest")
    mine.write_text(CODE.replace(".square()", ".pow(2)"))
    changed = ssl("resume")
    assert changed.code == 3
    kept = f"runs/pretrain/{begun.id}/method.py"
    for words in (
        f"run {begun.id}: code/mine.py, the file of its method, has changed since the run started, first in line 37",
        hashlib.sha256(mine.read_bytes()).hexdigest()[:12],
        f"to put it back, type: cp {kept} code/mine.py",
        f"to start a new run instead, type: ssl pretrain {METHOD} --width 8",
    ):
        assert words in changed.err, changed.err
    mine.write_text("class (")
    assert ssl("resume").code == 3
    mine.unlink()
    gone = ssl("resume")
    assert gone.code == 3
    assert f"code/mine.py, the file of its method, is gone; to put it back, type: cp {kept} code/mine.py" in gone.err
    mine.write_bytes(registry.path(kept).read_bytes())
    gone_on = done("resume")
    assert (gone_on.id, gone_on.status) == (begun.id, "finished")
    state = load_checkpoint(registry, gone_on, "last")
    assert flat({"": state["model"]}) == flat({"": whole["model"]})


def test_run_with_a_name_goes_on_wherever_it_is_typed(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, mine: Path
) -> None:
    stop_at(1, f"pretrain {METHOD} --width 8 --run big {SHORT}", ssl)
    monkeypatch.chdir(mine.parent)
    other = ssl(f"pretrain --method mine.py:MyNear --width 9 --run big {SHORT}")
    assert (other.code, "--width 9: run my-near" in other.err) == (2, True), other.err
    result = ssl(f"pretrain --method mine.py:MyNear --width 8 --run big {SHORT}")
    assert result.code == 0, result.err
    assert [run.status for run in registry.runs()] == ["finished"]


BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "syntax": (lambda text: text.replace("class MyNear(Method):", "class MyNear(Method:"), "line 25: SyntaxError: "),
    "no class": (lambda text: text.replace("MyNear", "Other"), "it has no class MyNear at its top level; it has"),
    "no options": (lambda text: text.replace("class Options", "class Choices"), "it has no class Options"),
    "no dataclass": (lambda text: text.replace("@dataclass(frozen=True, kw_only=True)", ""), "its class Options cannot be"),
    "no default": (lambda text: text.replace("] = 64", "]"), "TypeError: the options width have no default"),
    "a name of its own": (lambda text: text.replace("] = 64", "] = SIZE"), "NameError: name 'SIZE' is not defined"),
    "no help": (lambda text: text.replace(", help=\"Length of the projection z.\"", ""), "the option width: accepted is name"),
    "a list": (lambda text: text.replace("Annotated[int,", "Annotated[list[int],"), "the option width: accepted is name"),
    "taken": (lambda text: text.replace("width", "epochs"), "its options epochs have names that are taken; rename them"),
    "default": (
        lambda text: text.replace("] = 64", "] = 0"),
        "wrong default: --width 0: accepted is a whole number of 1 or more",
    ),
    "import": (lambda text: text.replace("from torch import", "import nowhere\nfrom torch import"), "it cannot be imported: M"),
    "base": (
        lambda text: text.replace("MyNear(Method)", "MyNear(nn.Module)"),
        "MyNear is not a subclass of sslcli.methods.method.Method",
    ),
    "a method of ours": (
        lambda text: text.replace("    views =", "    NAME = 'Sim CLR'\n    views ="),
        "simclr is a built-in method; give the class another name, or a line NAME = ",
    ),
    "constructor": (lambda text: text.replace("encoder.dim,", "encoder.size,"), "line 33: AttributeError: 'Encoder' object"),
    "forward": (lambda text: text.replace("first - second)", "first - third)"), "line 37: NameError: name 'third' is not def"),
}  # fmt: skip
"""What a file may have wrong, and what of it is said."""


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_methods_is_refused_with_the_reason(ssl: Cli, mine: Path, case: str) -> None:
    change, words = BAD[case]
    mine.write_text(change(CODE))
    assert mine.read_text() != CODE
    result = ssl(f"pretrain {METHOD} {SHORT}")
    assert (result.code, words in result.err, "Traceback" in result.err) == (2, True, False), result.err
    assert "./code/mine.py" in result.err


def test_a_file_that_is_not_there_and_values_that_are_none_are_refused(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"method": "code/mine.py:MyNear", "width": 0}))
    refused = {
        "--method ./code/none.py:MyNear": "./code/none.py cannot be read: No such file or directory; accepted is FILE.py:CLASS",
        "--method ./code/none.py:MyNear --help": "./code/none.py cannot be read: No such file",
        "--method ./code:MyNear": "--method './code:MyNear': accepted: barlow-twins",
        f"{METHOD} --width 0": "--width 0: accepted is a whole number of 1 or more",
        f"{METHOD} --temperature 0.4": "--temperature 0.4: accepted is a number of 0.5 or more",
        f"{METHOD} --power three": "--power 'three': accepted: one, two",
        f"{METHOD} --projector-dim 8": f"with {METHOD} leave it out",
        "--config own.yaml": "own.yaml: --width 0: accepted is a whole number of 1 or more",
    }
    for line, words in refused.items():
        result = ssl(f"pretrain {line}")
        assert (result.code, words in result.err) == (2, True), (line, result.err)


def test_yaml_and_python_take_its_options(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"method": "code/mine.py:MyNear", "width": 8, "twice": True}))
    shown = ssl(f"pretrain --config own.yaml --dry-run {SHORT}")
    assert shown.code == 0, shown.err
    values = {name: rest for name, *rest in map(str.split, filter(None, shown.out.splitlines()))}
    assert (values["width"], values["twice"]) == (["8", "own.yaml"], ["True", "own.yaml"])
    assert values["temperature"] == ["2.0", "default"]
    (tmp_path / "width.yaml").write_text("width: 9")
    beside = ssl(f"pretrain {METHOD} --config width.yaml --dry-run {SHORT}")
    assert re.search(r"^width +9 +width.yaml$", beside.out, re.MULTILINE), beside.err
    chosen: dict[str, Any] = {"method": "code/mine.py:MyNear", "width": 5, "dataset": "shapes", "backbone": "resnet9-small"}
    run = sslcli.pretrain(quiet=True, max_steps=1, batch_size=32, epochs=1, knn_every=0, **chosen)
    assert (run.method, run.options["width"]) == ("my-near", 5)
    with pytest.raises(UsageError, match="no option 'wide'"):
        sslcli.pretrain(quiet=True, wide=5, **chosen)


def test_bench_times_it_and_its_flags_take_no_value(ssl: Cli) -> None:
    result = ssl(f"bench pretrain {METHOD} --twice --width 8 --width 16 {LINE} --format json")
    assert result.code == 0, result.err
    assert len(json.loads(result.out)) == 2


def test_options_keep_the_file_as_it_was_read_also_in_another_process(mine: Path) -> None:
    options = Pretrain(method="code/mine.py:MyNear", width=8)  # type: ignore[call-arg]
    mine.write_text("nothing")
    copied = pickle.loads(pickle.dumps(options.because("here", epochs=3)))
    assert (copied.width, copied.epochs, copied.origins["epochs"]) == (8, 3, "here")
    assert copied.file.source.content == CODE.encode()
    assert type(copied) is type(options)
    with pytest.raises(UsageError, match="no class MyNear"):
        Pretrain(method="code/mine.py:MyNear")


@pytest.mark.usefixtures("no_pictures")
def test_a_study_has_it_beside_another_and_trains_anew_where_its_file_changed(ssl: Cli, registry: Registry, mine: Path) -> None:
    common = {"dataset": "shapes", "backbone": "resnet9-small", "epochs": 1, "batch_size": 32, "max_steps": 2, "knn_every": 0}
    sections = {"pretrain": [common | {"method": "code/mine.py:MyNear"}, common], "probe": {"protocol": "knn"}}
    Path("both.yaml").write_text(yaml.safe_dump(sections))
    line = "study --preset both.yaml --set pretrain.width=8 --set pretrain.projector_dim=16"
    for _ in range(2):
        result = ssl(line)
        assert result.code == 0, result.err
    made = {run.method: registry.load(run) for run in registry.runs() if run.experiment == "pretrain"}
    assert made.keys() == {"my-near", "simclr"}
    assert (made["my-near"].options["width"], made["simclr"].options["projector_dim"]) == (8, 16)
    assert len(registry.runs()) == 5
    differences = json.loads(ssl("compare --format json").out)["differences"]
    assert [found["method"] for found in differences] == ["my-near", "simclr"]

    moved = mine.rename(mine.with_name("moved.py"))
    again = ssl(f"{line} --set pretrain.method=code/moved.py:MyNear")
    assert again.code == 2  # of the other section, too: a study has each method once
    sections["pretrain"][0]["method"] = "code/moved.py:MyNear"  # type: ignore[index]
    Path("both.yaml").write_text(yaml.safe_dump(sections))
    assert ssl(line).code == 0
    assert len(registry.runs()) == 5
    moved.write_text(CODE.replace(".square()", ".pow(4)"))
    anew = ssl(line)
    assert anew.code == 0, anew.err
    assert "the encoder, the data or the file of the method" in anew.err
    assert len(registry.runs()) == 7
    rows = json.loads(ssl("compare --format json").out)["rows"]
    told = [str(row["setting"]) for row in rows if row["method"] == "my-near"]
    assert all(words.startswith("pretraining's code ") for words in told)
    assert len(set(told)) == 2
