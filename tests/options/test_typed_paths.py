"""A path that is not there is refused first, by its option, with what is accepted and a command to type."""

import re
from pathlib import Path

import pytest

import sslcli
from sslcli.errors import StateError
from sslcli.options.typed_paths import WANTED
from sslcli.runs.registry import Registry
from tests.conftest import Cli

PICTURES = "a folder with a sub-folder of pictures for each class, or with --labels FILE"
OWN = "pictures, and folders of them"
WEIGHTS = "a file of weights (.pt, .pth, .ckpt, .safetensors), timm:NAME or torchvision:NAME"
WEIGHTS_TOO = f"pretrained (of evaluations), {WEIGHTS}"
CSV = "a CSV file whose first line is path,label or path,label,split"
LINES = "a YAML file with a line NAME: VALUE for each option"
REFUSED = [
    ("study --dataset folder:nowhere --minutes 1", 3, "--dataset folder:nowhere: there is no such folder", PICTURES),
    ("pretrain --dataset shapes --watch folder:nowhere", 3, "--watch folder:nowhere: there is no such folder", PICTURES),
    ("data check --dataset folder:nowhere", 3, "--dataset folder:nowhere: there is no such folder", PICTURES),
    ("views --dataset folder:a-file", 3, "--dataset folder:a-file: this is a file", PICTURES),
    ("card --transfer folder:nowhere", 3, "--transfer folder:nowhere: there is no such folder", PICTURES),
    ("card --moved folder:nowhere", 3, "--moved folder:nowhere: there is no such folder", PICTURES),
    ("study --dataset folder:. --labels nowhere.csv", 3, "--labels nowhere.csv: there is no such file", CSV),
    ("suggest --labels nowhere.csv", 3, "--labels nowhere.csv: there is no such file", CSV),
    ("predict --images nowhere", 3, "--images nowhere: there is no such file or folder", OWN),
    ("predict --images . nowhere --out labels.csv", 3, "--images nowhere: there is no such file or folder", OWN),
    ("embed --images nowhere", 3, "--images nowhere: there is no such file or folder", OWN),
    ("neighbours nowhere", 3, "nowhere: there is no such file or folder", OWN),
    ("pretrain --init nowhere.pt", 2, "--init nowhere.pt: there is no such file", f"scratch, {WEIGHTS_TOO}"),
    ("probe --init timm:resnet18=nowhere.pt", 2, "--init timm:resnet18=nowhere.pt: there is no such file", WEIGHTS),
    ("study --beside nowhere.pt", 2, "--beside nowhere.pt: there is no such file", WEIGHTS),
    ("study --continue-from nowhere.pt", 2, "--continue-from nowhere.pt: there is no such file", WEIGHTS),
    ("plots --logdir nowhere", 3, "--logdir nowhere: there is no such folder", "a folder with TensorBoard's event files"),
    ("plots --check nowhere.md", 3, "--check nowhere.md: there is no such file", "a Markdown file"),
    ("pretrain --data-dir a-file", 3, "--data-dir a-file: this is a file", "a folder, which may be new"),
    ("pretrain --config nowhere.yaml", 2, "--config nowhere.yaml: there is no such file", LINES),
    ("data check --config nowhere.yaml", 2, "--config nowhere.yaml: there is no such file", LINES),
    ("study --preset nowhere.yaml", 2, "--preset 'nowhere.yaml': no such preset or file", "or a YAML file like theirs"),
    ("pretrain --project a-file", 3, "--project a-file is not a folder", "a folder, which may be new"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "wrong", "accepted"), REFUSED, ids=[line for line, *_ in REFUSED])
def test_a_path_that_is_not_there_is_refused_in_one_form(
    ssl: Cli, registry: Registry, tmp_path: Path, line: str, code: int, wrong: str, accepted: str
) -> None:
    (tmp_path / "a-file").write_text("")
    refused = ssl(line)
    assert (refused.code, refused.out) == (code, "")
    assert refused.err.startswith(f"ssl: {wrong}; ")
    assert re.search(f"accepted: .*{re.escape(accepted)}", refused.err)
    name = " ".join(word for word in line.split()[:2] if not word.startswith("-") and word != "nowhere")
    manual = "ssl study --project my-study" if "--project" in line else f"ssl {name} --help"
    assert refused.err.endswith(f"type: {manual}\n")
    assert len(refused.err.splitlines()) == 1  # nothing was said, and so nothing done, before
    assert not registry.runs()


def test_a_similar_name_that_is_there_is_put_into_the_line(ssl: Cli, tmp_path: Path) -> None:
    (tmp_path / "albums" / "photos").mkdir(parents=True)
    refused = ssl("study --dataset folder:albums/photso --minutes 1")
    assert "there is no such folder; did you mean 'photos'? accepted: " in refused.err
    assert refused.err.endswith("; to use it, type: ssl study --dataset folder:albums/photos --minutes 1\n")


@pytest.mark.parametrize("option", ["--dataset folder:dat", "--dataset=folder:dat"])
def test_only_the_value_is_put_right_and_not_the_same_letters_elsewhere(ssl: Cli, tmp_path: Path, option: str) -> None:
    (tmp_path / "data").mkdir()
    line = f"study {option} --data-dir dat"
    assert ssl(line).err.endswith(f"; to use it, type: ssl study {option}a --data-dir dat\n")


def test_a_mistyped_word_of_init_is_put_right(ssl: Cli) -> None:
    refused = ssl("probe --init pretraned")
    assert refused.code == 2
    assert "; did you mean 'pretrained'? accepted: scratch, pretrained (of evaluations), a file of weights (" in refused.err
    assert refused.err.endswith("; to use it, type: ssl probe --init pretrained\n")


def test_from_python_the_same_is_refused_with_the_call_that_explains(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"--dataset folder:nowhere: there is no such folder; .*type: help\(sslcli.pretrain\)"):
        sslcli.pretrain(dataset="folder:nowhere", project=str(tmp_path))


def test_every_case_of_the_table_is_tried() -> None:
    lines = " ".join(line for line, *_ in REFUSED)
    assert [name for name in WANTED if f"--{name.replace('_', '-')} " not in lines and name != "more"] == []
