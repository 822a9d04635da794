"""What a person can mistype, on the command line and in a file of options: each is answered, and nothing is made."""

from pathlib import Path

import pytest
import torch

from sslcli.runs.registry import Registry
from tests.conftest import TINY, Cli

BAD_LINES = [
    ("pretrain --epochs -1", 2, "ssl: --epochs -1: accepted is a whole number of 1 or more"),
    ("pretrain --epochs many", 2, "ssl: --epochs takes a whole number, not 'many'"),
    ("pretrain --epochs 2.5", 2, "ssl: --epochs takes a whole number, not 2.5"),
    ("pretrain --hue 0.6", 2, "ssl: --hue 0.6: accepted is a number from 0 to 0.5"),
    ("pretrain --lr -0.1", 2, "ssl: --lr -0.1: accepted is a number of 0 or more"),
    ("pretrain --lr fast", 2, "ssl: --lr takes a number, not 'fast'"),
    ("probe --k 0", 2, "ssl: --k 0: accepted is a whole number of 1 or more"),
    ("probe --seed -1", 2, f"ssl: --seed -1: accepted is a whole number from 0 to {2**63 - 1}"),
    ("probe --label-fraction 0", 2, "ssl: --label-fraction 0: accepted is a number above 0 and up to 1"),
    ("finetune --label-fraction 1.5", 2, "ssl: --label-fraction 1.5: accepted is a number above 0 and up to 1"),
    ("finetune --optimizer sdg", 2, "ssl: --optimizer 'sdg': did you mean 'sgd'? accepted: sgd, adamw, muon"),
    ("pretrain --name latest", 2, "ssl: --name latest: latest means the newest run; choose another name"),
    ("study --set pretrain.foo=3", 2, "no option 'foo'; accepted: method, backbone"),
    ("study --set probe.foo=3", 2, "precision, deterministic, name"),
    *(
        (f"{line} --project gone", 3, "--project gone: there is no such folder; to make a study in it, type: ssl study")
        for line in ("compare", "runs list", "runs show", "runs verify", "report", "plots", "map", "predict")
    ),
    ("predict --n 500", 2, "ssl: --n 500: accepted is a whole number from 1 to 400"),
    ("map --n few", 2, "ssl: --n takes a whole number, not 'few'"),
    ("pretrain --temperature nan --dataset shapes", 2, "--temperature"),
    ("pretrain --dataset cifra10", 2, "did you mean 'cifar10'?"),
    ("pretrain --backbone resnet19", 2, "accepted: resnet18"),
    ("pretrain --backbone resnet9 --stem conv3 --dataset shapes", 2, "accepted: own"),
    ("pretrain --view-sizes 16:0.5 --dataset shapes", 2, "add up to 1"),
    ("pretrain --dataset shapes --batch-size 9999", 2, "at most the 240 images"),
    ("pretrain --config nowhere.yaml", 2, "no such file"),
    ("pretran", 2, "pretrain"),
    ("probe", 3, "ssl pretrain"),
    ("probe --encoder nope", 3, "ssl pretrain"),
    ("compare", 3, "ssl study"),
    ("compare --format xml", 2, "markdown"),
    ("resume nope", 3, "there is no run"),
    ("resume", 3, "is interrupted"),
    ("runs show nope", 3, "there is no run"),
    ("runs rm nope --yes", 3, "there is no run"),
    ("pretrain", 3, "--data-dir"),
    ("study --preset nope", 2, "cifar10-cpu"),
    ("study --set epochs=3", 2, "COMMAND.OPTION=VALUE"),
    ("study --set pretrain.epoch=3", 2, "did you mean 'epochs'?"),
    ("study --set pretrain.epochs=many", 2, "a whole number"),
    ("study --name ../up", 2, "lower-case"),
    ("study --label-fractions 0.1,2", 2, "up to 1"),
    ("study --label-fractions few", 2, "like 0.01,0.1,1"),
    ("study --seeds 0", 2, "--seeds"),
    ("probe --protocol svm", 2, "logistic"),
    ("study --set pretrain.name=2024-99-99 --set pretrain.epochs=0", 2, "--epochs 0: accepted is a whole number of 1 or more"),
    ("pretrain --seed 99999999999999999999", 2, "--seed"),
    ("pretrain --view-sizes 32:nan --dataset shapes", 2, "add up to 1"),
    ("pretrain --view-sizes 16:-0.5,32:1.5 --dataset shapes", 2, "add up to 1"),
    ("runs", 2, ""),
    ("plots", 3, "ssl study"),
    ("plots --study nope", 3, "ssl study"),
    ("plots --logdir nowhere", 3, "no such folder"),
    ("plots --logdir .", 3, "no event files"),
    ("predict", 3, "ssl study"),
    ("predict --n 0", 2, "--n"),
    ("predict --n 100000", 2, "400"),
    ("predict --run nope", 3, "there is no finished run"),
    ("predict --encoder-seed 3", 3, "ssl study"),
    ("predict a.png", 2, "--images"),
    ("views --n 0", 2, "--n"),
    ("views --run nope", 3, "there is no pretrain run"),
    ("views", 3, "--data-dir"),
]


@pytest.mark.parametrize(("line", "code", "text"), BAD_LINES, ids=[line for line, _, _ in BAD_LINES])
def test_what_a_person_mistypes_is_answered_without_a_traceback(
    ssl: Cli, tmp_path: Path, line: str, code: int, text: str
) -> None:
    result = ssl(line)
    assert result.code == code, result.err
    assert text in " ".join(result.err.replace("│", " ").split())
    assert "Traceback" not in result.err
    assert not list(tmp_path.glob("runs/*/*"))
    assert not list(tmp_path.rglob("*.png"))
    assert not (tmp_path / "registry.yaml").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_that_is_not_there_is_said_with_what_is_accepted(ssl: Cli) -> None:
    result = ssl("pretrain --epochs 200 --device cuda")
    assert result.code == 3
    assert "--device cuda" in result.err
    assert "accepted here: auto or" in result.err


BAD_FILES = {
    "--lr takes a number, not 'fast'": "epochs: 3\nlr: fast\n",
    "no option 'learning_rate'": "learning_rate: 0.1\n",
    "option names and values": "- 1\n",
    "--epochs takes a whole number": "epochs: [1, 2]\n",
    "--download takes true or false": "download: maybe\n",
    "not plain YAML": "epochs: !!python/object/apply:os.mkdir [ran]\n",
    "line 2": "epochs: {\n",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_bad_config_file_is_said_with_the_place(ssl: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "options.yaml").write_text(BAD_FILES[text])
    result = ssl("pretrain --dataset shapes --config options.yaml")
    assert result.code == 2
    assert "options.yaml" in result.err
    assert text in result.err
    assert not (tmp_path / "ran").exists()


def test_a_damaged_registry_stops_every_command_with_the_remedy(ssl: Cli, registry: Registry) -> None:
    for content in ("runs: 3\n", "runs:\n- {id: ", "runs:\n- {id: a}\n"):
        registry.index.write_text(content)
        for line in ("compare", "runs list", f"pretrain {TINY}", ""):
            result = ssl(line)
            assert result.code == 2, line
            assert "ssl runs rebuild" in result.err
        assert registry.index.read_text() == content


def test_a_folder_that_cannot_be_written_is_said(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    result = ssl(f"pretrain {TINY}")
    assert result.code == 3
    assert "cannot be written" in result.err


def test_debug_shows_the_traceback_and_keeps_the_exit_code(ssl: Cli) -> None:
    for line, code in (("pretrain --config nowhere.yaml --debug", 2), ("resume --debug", 3)):
        result = ssl(line)
        assert result.code == code
        assert "Traceback" in result.err


def test_a_file_for_other_commands_is_no_config_of_this_one(ssl: Cli, tmp_path: Path, registry: Registry) -> None:
    (tmp_path / "preset.yaml").write_text("pretrain: {dataset: shapes, epochs: 7}\nprobe: {epochs: 2}\n")
    refused = ssl("study --config preset.yaml")
    assert (refused.code, "ssl study --preset preset.yaml" in refused.err) == (2, True)
    refused = ssl("finetune --config preset.yaml")
    assert (refused.code, "no section finetune for ssl finetune; it has: pretrain, probe" in refused.err) == (2, True)
    (tmp_path / "twice.yaml").write_text("finetune: [{}, {}]\n")
    refused = ssl("finetune --config twice.yaml")
    assert (refused.code, "2 entries" in refused.err) == (2, True)
    assert not registry.runs()


@pytest.mark.parametrize("line", ["pretrain --warmup-epochs inf", "pretrain --lr 1e999", "pretrain --config endless.yaml"])
def test_numbers_without_an_end_are_refused(ssl: Cli, registry: Registry, tmp_path: Path, line: str) -> None:
    (tmp_path / "endless.yaml").write_text("weight_decay: .inf\n")
    refused = ssl(f"{line} --dataset shapes")
    assert refused.code == 2
    assert "takes a number" in refused.err
    assert not registry.runs()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pretain", "no such command 'pretain'; did you mean 'pretrain'? to see what is accepted, type: ssl --help"),
        (
            "pretrain --optimzer sgd",
            "no such option: --optimzer; did you mean --optimizer? to see what is accepted, type: ssl pretrain --help",
        ),
        ("runs '\x1b[31m\n'", r"no such command '\x1b[31m\n'; to see what is accepted, type: ssl runs --help"),
        ("probe nope", "got unexpected extra argument(s) (nope); to see what is accepted, type: ssl probe --help"),
        ("runs shwo", "no such command 'shwo'; did you mean 'show'? to see what is accepted, type: ssl runs --help"),
        ("pretrain --epochs", "option '--epochs' requires an argument; to see what is accepted, type: ssl pretrain --help"),
        (
            "study --optimzer adamw",
            "no such option: --optimzer; did you mean --optimizer of ssl pretrain? in a study add: --set "
            "pretrain.optimizer=adamw (or finetune.optimizer); to see what is accepted, type: ssl study --help",
        ),
        (
            "study --temperature=0.2",
            "no such option: --temperature; ssl pretrain has it; in a study add: --set pretrain.temperature=0.2 "
            "(or probe.temperature); to see what is accepted, type: ssl study --help",
        ),
        (
            "study --compile --seeds 2",
            "no such option: --compile; ssl pretrain has it; in a study add: --set pretrain.compile=true; to see what is "
            "accepted, type: ssl study --help",
        ),
        (
            "study --search-lr",
            "no such option: --search-lr; ssl finetune has it; in a study add: --set finetune.search-lr=true; to see what is "
            "accepted, type: ssl study --help",
        ),
        (
            "study --methds byol",
            "no such option: --methds; did you mean --methods, --seeds, --set? to see what is accepted, type",
        ),
        (
            "study --epoch 3",
            "no such option: --epoch; did you mean --epochs of ssl pretrain? in a study add: --set pretrain.epochs=3 (or "
            "probe.epochs, finetune.epochs); to see what is accepted, type: ssl study --help",
        ),
        ("study --zzz", "no such option: --zzz; to see what is accepted, type: ssl study --help"),
        ("study --preset speedrn", "--preset 'speedrn': no such preset or file; did you mean 'speedrun'? accepted: cifar10, "),
    ],
)
def test_words_that_no_command_takes_are_refused_as_other_errors_are(ssl: Cli, line: str, said: str) -> None:
    refused = ssl(line)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"ssl: {said}")
    assert len(refused.err.splitlines()) == 1
