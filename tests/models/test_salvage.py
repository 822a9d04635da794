"""Files of weights that hold more, or are something else: each is named for what it is, and the line that is advised works."""

import argparse
import collections
import enum
import gzip
import importlib
import io
import json
import os
import pickle
import shlex
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from sslcli import load_encoder
from sslcli.data.folder.catalogue import read_labels
from sslcli.errors import UserError
from sslcli.file_kinds import kind_of
from sslcli.files import load_yaml
from sslcli.models.encoder import build_encoder
from sslcli.models.salvage import read_inertly
from sslcli.models.weight_files import read_tensors
from sslcli.models.weights import find_weights
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli

ENCODER = build_encoder("resnet9-small", stem="own", seed=77)
NET = ENCODER.backbone
STATE = NET.state_dict()


THEIRS = """
from torch import nn
class Net(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.encoder = net
        self.me = [self]
class Config(dict):
    def __init__(self, **values):
        super().__init__(values)
        self.flags = {1}
class Items(list):
    pass
class Point:
    __slots__ = ('x',)
    def __init__(self):
        self.x = 1
"""


class Colour(enum.Enum):
    RED = 1


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


def foreign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A module that can be imported while a file is written, and not when it is read."""
    (tmp_path / "theirs.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("theirs")


def optimizer() -> dict[str, Any]:
    adam = torch.optim.AdamW(NET.parameters())
    sum(p.sum() for p in NET.parameters()).backward()  # type: ignore[union-attr]
    adam.step = lambda *_: None  # type: ignore[method-assign]
    return adam.state_dict()


KINDS: dict[str, Callable[[Any], Any]] = {
    "a NumPy number": lambda _: {"model": STATE, "best_acc": np.float64(0.7), "curve": np.ones(3)},
    "a path and the optimizer": lambda _: {"state_dict": STATE, "out": Path("x"), "optimizer": optimizer()},
    "a whole model": lambda _: NET,
    "a whole model among others": lambda _: {"net": nn.DataParallel(NET), "epoch": 3},
    "a whole model of an unknown class": lambda theirs: theirs.Net(NET),
    "Lightning's hyperparameters": lambda theirs: {
        "state_dict": {f"model.{name}": value for name, value in STATE.items()},
        "hyper_parameters": theirs.Config(lr=1, net=argparse.Namespace(a=theirs.Items([Colour.RED, theirs.Point()]))),
        "callbacks": {Colour.RED: collections.defaultdict(list, a=[1]), "n": collections.Counter("aab")},
    },
    "nested dicts": lambda theirs: {"a": [{"b": ({"c": STATE}, theirs.Point())}]},
    "code": lambda _: {"state_dict": STATE, "x": Bomb()},
}  # fmt: skip


def advised(ssl: Cli, name: str) -> str:
    """The line that is printed for a file."""
    result = ssl(f"probe --dataset shapes --backbone resnet9-small --init {shlex.quote(name)} --epochs 1")
    assert (result.code, "holds more than tensors and plain data" in result.err or "TorchScript" in result.err) == (2, True), (
        result.err
    )
    return result.err.rstrip("\n").partition("only its tensors: ")[2]


def accepted(path: Path) -> None:
    """The file holds the encoder's weights, and is read as tensors and plain data."""
    tensors, *_ = read_tensors(path)
    found = find_weights(tensors, ENCODER, place=str(path), net="resnet9-small")
    assert all(torch.equal(tensors[theirs], STATE[ours]) for ours, theirs in found.names.items())


@pytest.mark.parametrize(
    "how", [{}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}], ids=["now", "legacy", "4"]
)
@pytest.mark.parametrize("name", KINDS)
def test_the_advised_line_keeps_the_tensors_of_every_file_and_runs_nothing(
    ssl: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, how: dict[str, Any]
) -> None:
    with monkeypatch.context() as patched:
        torch.save(KINDS[name](foreign(patched, tmp_path)), tmp_path / "theirs.pth", **how)
        del sys.modules["theirs"]
        (tmp_path / "theirs.py").unlink()
    python, flag, code = shlex.split(advised(ssl, "theirs.pth"))
    assert (python, flag) == ("python", "-c")
    exec(code, {})
    accepted(tmp_path / "weights.pt")
    assert "theirs" not in sys.modules


def test_a_tensor_of_a_subclass_and_its_attributes_are_kept_as_a_tensor(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter.note = Path("x")  # type: ignore[attr-defined]
    torch.save({"a": parameter, "dtype": torch.float16, "size": torch.Size([1])}, tmp_path / "a.pt")
    value, names = read_inertly((tmp_path / "a.pt").read_bytes())
    assert torch.equal(value["a"], torch.ones(2))
    assert (value["dtype"], value["size"]) == (torch.float16, torch.Size([1]))
    assert all("pathlib" in name for name in names)


def test_a_file_with_torchscript_has_a_line_of_its_own(ssl: Cli, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have people use another
        torch.jit.trace(NET.eval(), torch.rand(1, 3, 32, 32)).save(str(tmp_path / "script.pt"))
    exec(shlex.split(advised(ssl, "script.pt"))[2], {})
    accepted(tmp_path / "weights.pt")


@pytest.mark.parametrize("name", ["weights.pt", "it's.pth", 'a "b" $HOME `c`.pth', "back\\slash.pth", "größe!.pth"])
def test_the_line_can_be_typed_whatever_the_file_is_called(ssl: Cli, tmp_path: Path, name: str) -> None:
    torch.save({"model": STATE, "acc": np.float64(1)}, tmp_path / name)
    line = advised(ssl, name)
    assert shlex.split(line)[:2] == ["python", "-c"]
    target = "tensors.pt" if name == "weights.pt" else "weights.pt"
    if name == 'a "b" $HOME `c`.pth':
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("wrote weights.pt: ")
    else:
        exec(shlex.split(line)[2], {})
    accepted(tmp_path / target)
    read_tensors(tmp_path / target)


def test_the_line_ends_with_a_message_for_a_file_that_changed_since(tmp_path: Path) -> None:
    from sslcli.models.salvage import keep_tensors

    torch.save({"a": Path("x")}, tmp_path / "none.pt")
    for name, said in (("gone.pt", "No such file"), ("none.pt", "holds no tensor")):
        with pytest.raises(SystemExit, match=said):
            keep_tensors(name, "weights.pt")
    assert not (tmp_path / "weights.pt").exists()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return buffer.getvalue()


def saved(**how: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.rand(1000)}, buffer, **how)
    return buffer.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 44\n"
MARKED = {
    "a web page: it begins with <!DOCTYPE html>404": b"<!DOCTYPE html>404",
    "a web page: it begins with <html lang": b"\n  <html lang='en'><body>",
    "a pointer of Git LFS, not the file itself; to get that, type: git lfs pull": LFS,
    "a pointer of git-annex": b"/annex/objects/SHA256E-s4--ab.pth\n",
    "compressed by gzip": gzip.compress(saved()),
    "a tar archive": tarred(),
    "a zip archive of a.txt": zipped(a__txt=b"x"),
    "an archive of NumPy arrays": zipped(a__npy=b"x"),
    "an archive that is cut off": saved()[:2000],
    "an HDF5 file, as Keras writes them": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "a picture (PNG)": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "an ONNX graph": b"\x08\x08\x12\x07pytorch\x1a\x052.14.0" + bytes(100),
    "all zeros": bytes(5000),
}  # fmt: skip
TEXTS = {
    "empty": b"",
    'JSON, as a server answers: it begins with {"message": "Not Found"}': b'{"message": "Not Found"}',
    "XML, as a server answers: it begins with <?xml": b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    "a text: it begins with Entry not found": b"Entry not found",
}
OTHERS = {
    "a pickle": pickle.dumps({"a": 1}, protocol=2),
    "that is cut off or damaged": saved(_use_new_zipfile_serialization=False)[:900],
}


@pytest.mark.parametrize("words", [*MARKED, *TEXTS, *OTHERS])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_file_of_weights_is_called_what_it_is(
    ssl: Cli, registry: Registry, tmp_path: Path, words: str, suffix: str
) -> None:
    (tmp_path / f"theirs{suffix}").write_bytes({**MARKED, **TEXTS, **OTHERS}[words])
    result = ssl(f"probe --init theirs{suffix} --dataset shapes --backbone resnet9")
    assert (result.code, f"can be read: it is {words}" in result.err or words in result.err) == (2, True), result.err
    assert "PyTorch" not in result.err
    assert not registry.runs()


@pytest.mark.parametrize("content", [b"\x00\x01\x02\xfe" * 50, b"\xff" * 9, saved()], ids=["binary", "ones", "torch"])
def test_what_cannot_be_told_is_not_guessed(content: bytes) -> None:
    assert kind_of(content) in (None, "an archive of torch.save")


def test_a_file_is_read_by_what_is_in_it_not_by_its_name(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "wrong.pth")
    torch.save(STATE, tmp_path / "wrong.safetensors")
    for name in ("wrong.pth", "wrong.safetensors"):
        accepted(tmp_path / name)
    (tmp_path / "cut.pth").write_bytes(save(STATE)[:5000])
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_tensors(tmp_path / "cut.pth")


def test_a_folder_names_a_file_of_weights_in_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"is a folder; name a file in it, as .*model/model\.safetensors"):
        read_tensors(tmp_path / "model")


@pytest.mark.parametrize("words", MARKED)
def test_config_preset_registry_and_labels_are_called_what_they_are(ssl: Cli, tmp_path: Path, words: str) -> None:
    for name in ("config.yaml", "labels.csv", "registry.yaml"):
        (tmp_path / name).write_bytes(MARKED[words])
    for line in ("pretrain --config config.yaml", "study --preset config.yaml", "runs list"):
        result = ssl(line)
        assert (result.code, f"it is {words}" in result.err) == (2, True), result.err
    with pytest.raises(UserError) as error:
        read_labels(tmp_path / "labels.csv")
    assert f"not a CSV file: it is {words}" in str(error.value)
    with pytest.raises(UserError):
        load_yaml(tmp_path / "config.yaml")


def test_a_checkpoint_and_an_export_that_are_pointers_are_said_to_be(
    ssl: Cli, done: Callable[[str], Run], tmp_path: Path
) -> None:
    run = done(f"pretrain {TINY} --max-steps 1")
    assert ssl("export --out out").code == 0
    about = (tmp_path / "out" / "encoder.json").read_bytes()
    file = tmp_path / (run.checkpoint or "")
    for path, source in (
        (tmp_path / "out" / "model.safetensors", "out"),
        (tmp_path / "out" / "encoder.json", "out"),
        (file, run.id),
    ):
        path.write_bytes(LFS)
        with pytest.raises(UserError, match=r"it is a pointer of Git LFS, .* type: git lfs pull"):
            load_encoder(source)
    (tmp_path / "alone.pt").write_bytes(LFS)
    with pytest.raises(UserError, match="it is a pointer of Git LFS"):
        load_encoder("alone.pt")
    assert json.loads(about)["format"] == "safetensors"
    assert "git lfs pull" in ssl("probe").err
