"""An export's lines prepare pictures of every kind to the bit as `load_encoder`'s transform does, where this program is not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from PIL import Image

from sslcli import load_encoder
from sslcli.data.prepare import Fit
from sslcli.data.transform import Transform
from sslcli.export import export
from sslcli.export.formats import FORMATS
from sslcli.export.preprocessing import odd_pictures
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import NEEDS_ONNX, Cli
from tests.export.test_export import make_run

ELSEWHERE = """
import os, re, sys
for name in ("sslcli", *sys.argv[2].split(",")):
    sys.modules[name] = None  # an import of it fails
import numpy as np
from PIL import Image
os.chdir(sys.argv[1])
names = {}
build, use = re.findall(r"```python\\n(.*?)```", open("README.md").read(), re.S)
exec(build, names)
made = {}
for name in sorted(os.listdir("odd")):
    os.replace(f"odd/{name}", "picture.png")
    exec(use, names)
    made[name] = np.asarray(names["preprocess"](names["picture"]))
    made["h " + name] = np.asarray(names["h"])
np.savez("made.npz", **made)
"""
NOT_NEEDED = {"safetensors": "torchvision,timm,onnxruntime", "torchvision": "timm,onnxruntime,safetensors",
              "timm": "onnxruntime", "onnx": "torch,torchvision,timm,safetensors"}  # fmt: skip
SIZE = 32


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the odd pictures two of the usual ones: their numbers are tested in test_export."""
    monkeypatch.setattr(export, "IMAGES", 2)


def run_of(registry: Registry, backbone: str, stem: str, *, kept: int, fit: Fit) -> Run:
    """A pretrain run on pictures of other sizes, whose data are not there any more."""
    record = registry.load(make_run(registry, backbone, stem))
    record.data |= {"sha256": "0" * 64, "image_size": SIZE, "kept_size": kept, "fit": fit}
    registry.save(record)
    return record


def lay_odd_ones(folder: Path, kept: int) -> dict[str, Image.Image]:
    """Files of odd pictures, opened again: Pillow knows their kind by content, whatever their name."""
    folder.mkdir()
    for number, picture in enumerate(odd_pictures(kept).values()):
        file = getattr(picture, "fp", None)
        if file is None:
            picture.save(folder / f"{number:02}", "PNG")
        else:
            file.seek(0)
            (folder / f"{number:02}").write_bytes(file.read())
    return {path.name: Image.open(path) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("form", "kept", "fit"),
    [
        ("safetensors", 37, "crop"), ("safetensors", 32, "pad"), ("torchvision", 35, "crop"), ("torchvision", 32, "pad"),
        ("timm", 36, "crop"), ("timm", 32, "pad"), pytest.param("onnx", 39, "crop", marks=NEEDS_ONNX),
        pytest.param("onnx", 32, "pad", marks=NEEDS_ONNX),
    ],
)  # fmt: skip
def test_odd_pictures_are_prepared_to_the_bit_where_this_program_cannot_be_imported(
    ssl: Cli, registry: Registry, form: str, kept: int, fit: Fit
) -> None:
    own = form in ("safetensors", "onnx")
    run = run_of(registry, *(("resnet9", "own") if own else ("resnet18", "conv3-s2")), kept=kept, fit=fit)
    result = ssl(f"export {run.id} --format {form} --out made")
    assert result.code == 0, result.err
    assert "on 11 pictures of odd kinds by" in result.out
    folder = Path("made").resolve()
    encoder, transform, _ = load_encoder(run.id)
    wanted = {name: transform(picture) for name, picture in lay_odd_ones(folder / "odd", kept).items()}
    told = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), NOT_NEEDED[form]], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    made = np.load(folder / "made.npz")
    assert len(wanted) == 11
    for name, values in wanted.items():
        shown = made[name]
        if form == "onnx":  # the graph normalises
            assert made[name].dtype == np.float32
            mean, std = (np.array(known, np.float32).reshape(3, 1, 1) for known in (transform.mean, transform.std))
            shown = (made[name] - mean) / std
            assert np.abs(shown - values.numpy()).max() < 1e-6
        else:
            assert np.array_equal(shown, values.numpy()), name
        with torch.no_grad():
            h = encoder(values[None]).numpy()
        assert np.abs(made[f"h {name}"] - h).max() < 1e-4 * np.abs(h).max(), name


def test_the_odd_pictures_are_what_they_are_called() -> None:
    odd = odd_pictures(40)
    assert {name: picture.mode for name, picture in odd.items() if picture.mode != "RGB"} == {
        "RGBA": "RGBA", "grey with alpha": "LA", "palette with a transparent colour": "P", "16-bit grey": "I;16",
        "CMYK": "CMYK",
    }  # fmt: skip
    assert odd["wide"].width > odd["wide"].height
    assert odd["tall"].height > odd["tall"].width
    assert max(odd["smaller"].size) < 40
    assert odd["turned by EXIF"].getexif()[0x0112] == 6
    assert "transparency" in odd["palette with a transparent colour"].info
    plain = Transform(32, (0.5,) * 3, (0.25,) * 3, 40)
    alike = [name for name, picture in odd.items() if name != "wide" and torch.equal(plain(picture), plain(odd["wide"]))]
    assert not alike  # each shows whether its kind was heeded


WRONG = {
    "EXIF": ("upright = ImageOps.exif_transpose(picture)", "upright = picture", "turned by EXIF"),
    "transparency": ("    if alpha is None:\n", "    if True:\n", "RGBA, grey with alpha, palette with a transparent colour"),
    "16 bits": ("(255 / white)", "1", "16-bit grey"),
    "profile": ("    if profile:\n", "    if False:\n", "with a colour profile"),
    "squares": (
        "made = ImageOps.fit(picture, (side, side), Image.Resampling.BICUBIC)",
        "made = picture.resize((side, side), Image.Resampling.BICUBIC)",
        "wide, tall, odd, smaller",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_an_export_that_prepares_a_kind_of_picture_in_another_way_is_refused_and_names_the_kind(
    ssl: Cli, registry: Registry, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    right, wrong, kinds = WRONG[what]
    write = export.write_prepare

    def write_wrongly(folder: Path) -> None:
        write(folder)
        source = (folder / "prepare.py").read_text()
        assert right in source
        (folder / "prepare.py").write_text(source.replace(right, wrong))

    monkeypatch.setattr(export, "write_prepare", write_wrongly)
    run = run_of(registry, "resnet9", "own", kept=36, fit="crop")
    result = ssl(f"export {run.id}")
    assert (result.code, "the export differs from the encoder" in result.err) == (3, True)
    assert kinds in result.err
    assert not registry.path("results/export").exists()


@NEEDS_ONNX
@pytest.mark.parametrize(("kept", "fit"), [(37, "crop"), (32, "pad")])
def test_an_onnx_file_says_how_a_picture_becomes_square(ssl: Cli, registry: Registry, kept: int, fit: Fit) -> None:
    run = run_of(registry, "resnet9", "own", kept=kept, fit=fit)
    assert ssl(f"export {run.id} --format onnx --out made").code == 0
    props = {prop.key: prop.value for prop in onnx.load("made/model.onnx").metadata_props}
    told = json.loads(props["preprocessing"])
    assert (told["image_size"], told["kept_size"], told["fit"]) == (32, kept, fit)
    assert told["crop"] == ("central square" if fit == "crop" else "none: the whole picture beside grey")
    words = " ".join(told["steps"])
    assert f"resized to {kept} x {kept} pixels" in words
    assert ("central square" in words) == (fit == "crop")
    assert ("of that the central 32 x 32 pixels" in words) == (fit == "crop")
    for step in told["steps"]:
        assert step in Path("made/README.md").read_text()


@pytest.mark.parametrize(("kept", "fit"), [(36, "crop"), (35, "crop"), (32, "pad")])
def test_the_timm_card_says_what_timms_own_transform_does_otherwise(ssl: Cli, registry: Registry, kept: int, fit: Fit) -> None:
    run = run_of(registry, "resnet18", "conv3-s2", kept=kept, fit=fit)
    assert ssl(f"export {run.id} --format timm --out made").code == 0
    card = Path("made/README.md").read_text()
    assert "timm's own transform" in card
    assert ("one pixel aside" in card) == (kept == 35)
    assert ("mean colour instead of grey" in card) == (fit == "pad")
    config = json.loads(Path("made/config.json").read_text())
    theirs = timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config["pretrained_cfg"]))
    ours = load_encoder("made").transform
    square = odd_pictures(50)["wide"].resize((50, 50))
    assert torch.allclose(theirs(square), ours(square), atol=1e-5) == (kept != 35)


def test_no_other_card_speaks_of_timm(ssl: Cli, registry: Registry) -> None:
    run = run_of(registry, "resnet9", "own", kept=32, fit="crop")
    assert ssl(f"export {run.id} --out made").code == 0
    assert "timm" not in Path("made/README.md").read_text()
    assert set(FORMATS) == set(NOT_NEEDED)
