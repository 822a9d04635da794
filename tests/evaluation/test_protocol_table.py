"""The table of protocols says everything about each: a new one is a file and a line, and nothing else spells a name."""

import ast
import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from sslcli.evaluation import protocols
from sslcli.evaluation.protocols import PROTOCOLS, evaluations, own_options, protocol_named, usual
from sslcli.options.finetune import Finetune
from sslcli.options.probe import DEFAULTS, Probe
from sslcli.runs.run import Run
from tests.toys import typed_with

ROOT = Path(__file__).parents[2]
TOY = '''
"""Nearest class mean: an image is of the class whose mean is nearest."""

from dataclasses import dataclass
from typing import Annotated

from typer import Option

from sslcli.evaluation.protocols.protocol import Outcome, Protocol


@dataclass(frozen=True, kw_only=True)
class Options:
    shrink: Annotated[float, Option(min=0, max=1, help="How far the means move to the middle.")] = 0.0


def evaluate(frozen, options, _):
    import torch

    h = frozen.h
    of_train = h.standardised(h.train)
    means = torch.stack([of_train[h.train_labels == label].mean(0) for label in range(h.classes)]) * (1 - options.shrink)
    head = torch.nn.Linear(means.shape[1], h.classes)
    head.load_state_dict({"weight": means, "bias": -means.square().sum(1) / 2})
    with torch.no_grad():
        return Outcome(frozen.classifier(head), head(h.standardised(h.test)))


PROTOCOL = Protocol(
    key="nearest-mean", name="nearest class mean", help="the nearest mean", options=Options, evaluate=evaluate,
    meaning="An image is of the class whose mean is nearest.", limits="It cannot say what lies far from every mean.",
)
'''
PRESET = """
pretrain: {dataset: shapes, backbone: resnet9-small, epochs: 1, batch_size: 32, max_steps: 2}
probe: {protocol: nearest-mean, shrink: 0.25}
"""
LINE = "import toy; from sslcli.evaluation.protocols import PROTOCOLS; PROTOCOLS[toy.PROTOCOL.key] = toy.PROTOCOL"
LINES = {
    "probe --help": 0,
    "study --preset preset.yaml --name toys": 0,
    "compare --study toys": 0,
    "runs verify --numbers --from-checkpoint": 0,
    "bench probe --init scratch --dataset shapes --backbone resnet9-small --protocol nearest-mean --no-presets": 0,
    "probe --protocol nearest-mean --k 3": 2,
    "probe --shrink 0.5": 2,
}


def test_a_protocol_of_one_file_and_one_line_is_an_option_and_in_the_study_the_table_the_page_the_checks_and_the_costs(
    tmp_path: Path,
) -> None:
    files = {"toy.py": TOY, "preset.yaml": PRESET}
    helped, studied, compared, verified, costed, refused, foreign = typed_with(LINE, LINES, tmp_path, files=files)
    assert "nearest-mean: the nearest mean" in helped
    assert "How far the means move to the middle (nearest-mean)." in helped
    assert "In nearest class mean, " in studied
    assert "\nNearest class mean\n" in compared
    assert compared.count("pretrained-simclr-resnet9-small-shapes") == compared.count("scratch-resnet9-small-shapes") == 1
    page = (tmp_path / "results" / "toys.html").read_text()
    assert "An image is of the class whose mean is nearest. It cannot say what lies far from every mean." in page
    assert re.search(r"Nearest class mean, on [\d,]+ test images: every run", page)
    assert "NLL" in page
    assert verified.count("as recorded") >= 3
    assert verified.count("100.00% equal predictions") == 2
    assert re.search(r"nearest class mean +[\d.]+ s", costed)
    assert "--k 3: belongs to knn; with --protocol nearest-mean leave it out" in refused
    assert "--shrink 0.5: belongs to nearest-mean; with --protocol linear leave it out" in foreign
    assert [path.name for path in (tmp_path / "results" / "predictions").iterdir() if "nearest_mean" in path.name]


SPELLED: dict[str, dict[str, tuple[int, str]]] = {
    "__init__.py": {"finetune": (2, "a command")},
    "python.py": {"finetune": (1, "a command")},
    "cli.py": {"finetune": (2, "a command, and its file")},
    "bench/shown.py": {"finetune": (1, "a command")},
    "workflows/table.py": {"finetune": (1, "a command")},
    "options/trainings.py": {"finetune": (1, "a command")},
    "options/finetune.py": {"finetune": (2, "a command")},
    "options/presets.py": {"finetune": (1, "a command, in the preset of --minutes"), "knn": (1, "in the preset of --minutes")},
    "commands/runs_list.py": {
        "finetune": (1, "an experiment"),
        "knn": (1, "an experiment"),
        "linear_eval": (1, "an experiment"),
    },
    "runs/run.py": {
        "finetune": (2, "an experiment, which is the name of a folder, and the command that makes its runs"),
        "knn": (2, "an experiment, and how a measurement's name ends"),
        "linear_eval": (1, "an experiment"),
    },
    "runs/option_versions.py": {"finetune": (2, "a command"), "linear": (1, "a default of version 1, which never changes")},
    "plans/online_metrics.py": {"knn": (2, "a measurement of pretraining, val/knn, and its stream of random numbers")},
    "gallery/curves.py": {"knn": (1, "how a measurement's name ends")},
    "console/tables.py": {"knn": (2, "how a measurement's name ends")},
}
"""Where the key or the experiment of a protocol is quoted: how often, and what it is there, if no protocol."""


def test_no_file_but_a_protocols_own_spells_its_name() -> None:
    names = {word for key in PROTOCOLS for word in (key, key.replace("-", "_"))} | {*evaluations()}
    found: dict[str, dict[str, int]] = {}
    for path in sorted((ROOT / "sslcli").rglob("*.py")):
        place = path.relative_to(ROOT / "sslcli").as_posix()
        constants = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        if counts := Counter(value for value in constants if isinstance(value, str) and value in names):
            found[place] = dict(counts)
    own = {place for place in found if place.startswith("evaluation/protocols/")}
    files = {f"evaluation/protocols/{key.replace('-', '_')}.py" for key in PROTOCOLS}
    assert own == files | {"evaluation/protocols/protocol.py"}  # which names the experiment of most
    rest = {place: counts for place, counts in found.items() if place not in own}
    assert rest == {place: {name: count for name, (count, _) in words.items()} for place, words in SPELLED.items()}


@pytest.mark.parametrize("key", PROTOCOLS)
def test_each_protocol_says_what_it_means_what_it_cannot_say_and_how_it_is_made(key: str) -> None:
    protocol = PROTOCOLS[key]
    assert protocol.key == key
    assert protocol.name
    assert protocol.meaning.endswith(".")
    assert protocol.limits.endswith(".")
    assert {f.name for f in fields(protocol.options)} <= {
        f.name for f in fields(Probe if protocol.command == "probe" else Finetune)
    }


def test_each_protocol_has_the_command_that_makes_its_runs_and_some_train_by_steps() -> None:
    assert {key: (one.experiment, one.command, one.by_steps) for key, one in PROTOCOLS.items()} == {
        "linear": ("linear_eval", "probe", True),
        "linear-augmented": ("linear_eval", "probe", True),
        "logistic": ("linear_eval", "probe", False),
        "knn": ("knn", "probe", False),
        "finetune": ("finetune", "finetune", True),
    }


def test_the_options_of_probe_are_those_of_its_protocols_beside_the_common_ones() -> None:
    assert own_options("probe") == {
        "epochs": ("linear", "linear-augmented"), "batch_size": ("linear", "linear-augmented"),
        "max_steps": ("linear", "linear-augmented"), "k": ("knn",), "temperature": ("knn",),
    }  # fmt: skip
    assert {name: DEFAULTS[name] for name in own_options("probe")} == {
        "epochs": 30, "batch_size": 256, "max_steps": None, "k": 10, "temperature": None,
    }  # fmt: skip
    assert Probe().protocol == usual().key == "linear"


def test_two_protocols_that_mean_different_things_by_one_option_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Options:
        k: int = 3

    monkeypatch.setitem(protocols.PROTOCOLS, "other", replace(PROTOCOLS["knn"], key="other", options=Options))
    with pytest.raises(TypeError, match="have an option 'k'"):
        own_options("probe")


@pytest.mark.parametrize(
    ("protocol", "experiment", "name"),
    [("knn", "knn", "kNN"), (None, "linear_eval", "linear evaluation"), ("of tomorrow", "linear_eval", "of tomorrow")],
)
def test_a_record_of_no_protocol_or_an_unknown_one_has_words_too(protocol: str | None, experiment: str, name: str) -> None:
    found: Any = protocol_named(protocol, Run(id="a", experiment=experiment, status="finished").experiment)
    assert (found.name, found.experiment) == (name, experiment)
