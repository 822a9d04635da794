"""An exported encoder is the encoder, for a program that has never heard of this one; its card's own lines are what is run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from sslcli import load_encoder
from sslcli.data.loading import load_data
from sslcli.data.transform import Transform, preprocessing
from sslcli.errors import UsageError, UserError, install_line
from sslcli.export import export
from sslcli.export.formats import FORMATS
from sslcli.export.model_card import card, facts
from sslcli.models import BACKBONES, default_stem
from sslcli.models.encoder import build_encoder, weights_hash
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import save_checkpoint
from tests.conftest import NEEDS_ONNX, TINY, Cli

Done = Callable[[str], Run]

ELSEWHERE = """
import json, os, re, sys
sys.modules["sslcli"] = None  # an import of it fails
import numpy as np
found = {}
for folder in sys.argv[1:]:
    os.chdir(folder)
    names = {}
    for block in re.findall(r"```python\\n(.*?)```", open("README.md").read(), re.S):
        exec(block, names)
    found[folder] = np.asarray(names["h"]).tolist()
print(json.dumps(found))
"""


def make_run(registry: Registry, backbone: str, stem: str) -> Run:
    """A finished pretrain run on shapes whose encoder has seen some images, so that its batch norm has statistics."""
    data = load_data("shapes", Path())
    encoder = build_encoder(backbone, stem=stem, seed=3)
    with torch.no_grad():
        encoder(data.normalise(data.train_images[:32]))
    options = {"method": "simclr", "backbone": backbone, "stem": stem, "dataset": "shapes", "seed": 3}
    run = registry.create(
        f"simclr-{backbone.replace(':', '-')}-shapes-s3", experiment="pretrain", status="finished", options=options,
        dataset="shapes", backbone=backbone, seed=3, data={"sha256": data.fingerprint, **preprocessing(data)},
    )  # fmt: skip
    save_checkpoint(
        registry, run, "last", {"model": {f"encoder.{name}": value for name, value in encoder.state_dict().items()}}
    )
    return run


@NEEDS_ONNX
def test_the_cards_lines_give_the_encoders_output_where_this_program_cannot_be_imported(
    pretrained: Run, ssl: Cli, done: Done, registry: Registry
) -> None:
    evaluated = done("probe --epochs 1 --batch-size 32")
    resnet = make_run(registry, "resnet18", "conv3-s2")
    wide = make_run(registry, "resnet18", "conv7-pool")
    exports = [
        (pretrained, "safetensors"),
        (evaluated, "onnx"),
        (resnet, "safetensors"),
        (resnet, "torchvision"),
        (wide, "timm"),
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    folders = {}
    for run, name in exports:
        result = ssl(f"export {run.id} --format {name}")
        assert result.code == 0, result.err
        assert f"{run.id}: on 80 test images of shapes it differs from the encoder by " in result.out
        folder = registry.path(f"results/export/{run.id}-{name}")
        Image.fromarray(pixels).save(folder / "picture.png")
        folders[str(folder)] = run
    told = subprocess.run([sys.executable, "-c", ELSEWHERE, *folders], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    for folder, h in json.loads(told.stdout).items():
        encoder, transform, _ = load_encoder(folders[folder].id)
        with torch.no_grad():
            own = encoder(transform(Image.fromarray(pixels))[None])
        assert np.abs(np.array(h) - own.numpy()).max() < 1e-4 * own.abs().max(), folder
        about = json.loads((Path(folder) / "encoder.json").read_text())
        assert about["provenance"]["run"] == folders[folder].id
        assert about["mean"] == pretrained.data["mean"]
        if about["format"] == "onnx":
            check_onnx(Path(folder), folders[folder])
        else:
            again = load_encoder(folder)
            assert weights_hash(again.encoder) == weights_hash(encoder)
            assert (again.transform, again.provenance) == (transform, about["provenance"])
    (Path(folder) / about["weights"]).write_bytes(b"other")
    with pytest.raises(UserError, match=r"damaged or foreign|cannot be read"):
        load_encoder(folder)


def check_onnx(folder: Path, run: Run) -> None:
    """The file takes any number of images, normalises them itself and says so."""
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    assert json.loads(session.get_modelmeta().custom_metadata_map["preprocessing"])["normalisation"] == "in the graph"
    encoder, transform, _ = load_encoder(run.id)
    images = load_data("shapes", Path()).test_images[:7]
    for count in (1, 2, 7):
        h = session.run(["h"], {"images": images[:count].numpy().astype(np.float32) / 255})[0]
        own = encoder(transform(images[:count])).detach().numpy()
        assert np.abs(h - own).max() < 1e-4 * np.abs(own).max()
    assert "values from 0 to 1" in (folder / "README.md").read_text()
    with pytest.raises(UsageError, match="ONNX"):
        load_encoder(folder)


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if form.of_library])
def test_a_backbone_that_a_library_lacks_is_refused_with_the_formats_that_take_it(
    ssl: Cli, registry: Registry, name: str
) -> None:
    run = make_run(registry, "resnet9", "own")
    result = ssl(f"export {run.id} --format {name}")
    assert result.code == 2
    assert f"--format {name}: not possible for resnet9" in result.err
    assert "accepted are safetensors and onnx" in result.err


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        ("convnext-tiny", "safetensors"), ("efficientnet-b0", "safetensors"), ("resnet9-large", "safetensors"),
        ("vit-tiny", "safetensors"), pytest.param("vit-tiny", "onnx", marks=NEEDS_ONNX), ("timm:test_vit", "timm"),
        pytest.param("timm:test_vit", "onnx", marks=NEEDS_ONNX),
    ],
)  # fmt: skip
def test_encoders_of_every_kind_are_exported_and_load_again(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, backbone: str, name: str
) -> None:
    if name == "onnx":  # which takes a second a layer, and two equal layers show what twelve do
        monkeypatch.setitem(BACKBONES, "vit-tiny", replace(BACKBONES["vit-tiny"], build="tests.narrow_nets:vit_tiny"))
    run = make_run(registry, backbone, default_stem(backbone, 32))
    result = ssl(f"export {run.id} --format {name}")
    assert result.code == 0, result.err
    assert "it differs from the encoder by" in result.out
    if name != "onnx":
        folder = registry.path(f"results/export/{run.id}-{name}")
        assert weights_hash(load_encoder(folder).encoder) == weights_hash(load_encoder(run.id).encoder)


def test_an_export_that_is_not_the_encoder_is_an_error_and_writes_nothing(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(registry, "resnet9", "own")
    write = FORMATS["safetensors"].write

    def wrong(encoder, *others):  # type: ignore[no-untyped-def]
        with torch.no_grad():
            next(encoder.parameters()).mul_(1.01)
        lines = write(encoder, *others)
        with torch.no_grad():
            next(encoder.parameters()).div_(1.02)
        return lines

    monkeypatch.setitem(
        FORMATS, "safetensors", FORMATS["safetensors"].__class__(**{**vars(FORMATS["safetensors"]), "write": wrong})
    )
    result = ssl(f"export {run.id}")
    assert result.code == 3
    assert "the export differs from the encoder" in result.err
    assert not registry.path("results/export").exists()


def test_a_missing_package_is_named_with_what_installs_it(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(registry, "resnet9", "own")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    result = ssl(f"export {run.id} --format onnx")
    assert result.code == 3
    assert f"onnxscript, not installed here; type: {install_line('export')}" in result.err


def test_an_export_overwrites_its_like_alone_and_says_when_it_saw_no_real_image(ssl: Cli, registry: Registry) -> None:
    run = make_run(registry, "resnet9", "own")
    record = registry.load(run)
    record.data["sha256"] = "0" * 64
    registry.save(record)
    for _ in range(2):
        result = ssl(f"export {run.id} --out mine")
        assert result.code == 0, result.err
        assert "compared on random images" in result.err
    assert "256 random images" in Path("mine/README.md").read_text()
    assert "--out mine contains an export in the format safetensors" in ssl(f"export {run.id} --format onnx --out mine").err
    Path("full").mkdir()
    Path("full/thesis.md").write_text("mine")
    refused = ssl(f"export {run.id} --out full")
    assert (refused.code, "contains other files" in refused.err) == (2, True)
    assert [path.name for path in Path("full").iterdir()] == ["thesis.md"]


def test_an_export_that_stops_while_it_is_copied_keeps_the_earlier_one_and_can_be_typed_again(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = make_run(registry, "resnet9-small", "own")
    assert ssl(f"export {run.id} --out out/it").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "it").iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        assert ssl(f"export {run.id} --out out/it").code == 3
        assert ssl(f"export {run.id} --out out/new").code == 3
    assert {path: path.read_bytes() for path in (tmp_path / "out" / "it").iterdir()} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["it", "new"]
    assert ssl(f"export {run.id} --out out/new").code == 0


def test_an_unfinished_run_is_not_exported(ssl: Cli, registry: Registry) -> None:
    run = make_run(registry, "resnet9", "own")
    run.status = "interrupted"
    registry.save(run)
    result = ssl(f"export {run.id}")
    assert (result.code, "is interrupted; accepted is a finished run" in result.err) == (3, True)


@pytest.mark.parametrize(("provenance", "words"), [
    ({"experiment": "pretrain", "epochs": 8.067}, "| epochs of pretraining | 8.067 |"),
    ({"experiment": "linear_eval", "epochs": 30, "init": "scratch"}, None),
    ({"experiment": "linear_eval", "epochs": 30, "init": "file-moco-12"}, None),
    ({"experiment": "linear_eval", "epochs": 30, "pretraining": {"epochs": 100.0}}, "| epochs of pretraining | 100 |"),
    ({"experiment": "linear_eval", "epochs": 30, "at_epoch": 5, "pretraining": {"epochs": 100}},
     "| epochs of pretraining | the first 5 of 100 |"),
])  # fmt: skip
def test_the_card_tells_the_epochs_of_a_pretraining_and_of_nothing_else(provenance: dict[str, Any], words: str | None) -> None:
    (found, *more) = [line for line in facts(provenance, "resnet9", "own").splitlines() if "epochs" in line] or [None]
    assert (found, more) == (words, [])


PRETRAINED = {"run": "a", "experiment": "pretrain", "dataset": "shapes", "options": {"method": "simclr"}}
EVALUATED = PRETRAINED | {"options": {}, "experiment": "linear_eval"}
FILE = {"data": {"init": {"file": "moco.pth", "sha256": "0"}}}


@pytest.mark.parametrize(
    ("provenance", "sentence"),
    [
        (PRETRAINED, "Trained without labels (simclr) on shapes."),
        (PRETRAINED | FILE, "Trained without labels (simclr) on shapes, begun from others' weights (moco.pth)."),
        (EVALUATED | {"init": "pretrained", "pretraining": PRETRAINED}, "Trained without labels (simclr) on shapes."),
        (EVALUATED | {"init": "scratch"}, "**Never trained**"),
        (EVALUATED | {"init": "file-moco"} | FILE, "Others' weights as they are (moco.pth)."),
        (EVALUATED | {"experiment": "finetune", "init": "scratch"}, "Trained with labels on shapes, from random weights."),
    ],
)
def test_the_card_says_what_the_encoder_was_trained_on_or_that_it_was_not(provenance: dict[str, Any], sentence: str) -> None:
    text = card(
        backbone="resnet9", stem="own", dim=512, transform=Transform(32, (0.5,) * 3, (0.25,) * 3, 32), provenance=provenance,
        packages=("torch",), build="", use="", compared="", format="onnx",
    )  # fmt: skip
    assert sentence in text


@NEEDS_ONNX
def test_one_image_is_enough_to_compare_on(ssl: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "IMAGES", 1)
    assert ssl(f"pretrain {TINY}").code == 0
    for name in ("safetensors", "onnx"):
        result = ssl(f"export --format {name}")
        assert result.code == 0, result.err
        assert "on 1 test images" in result.err + result.out


def test_a_torch_that_writes_no_onnx_says_so(ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(registry, "resnet9", "own")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion("2.6.0"))
    result = ssl(f"export {run.id} --format onnx")
    assert result.code == 3
    assert "torch 2.6.0 cannot write this encoder as ONNX; accepted is a newer one" in result.err
    assert not registry.path("results/export").exists()
