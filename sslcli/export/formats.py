"""The formats of an exported encoder: their files, and the lines of Python that build the plain model from them.

The lines do not use this program. In every format `preprocess` turns a PIL picture into an input (3, size, size), with a copy
of this program's `prepare`, and the last lines turn a picture into h (1, dim).
"""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslcli.data.transform import Transform
from sslcli.errors import StateError
from sslcli.export.preprocessing import PREPARE, call_lines, preprocess_lines, sides_of, steps_of
from sslcli.models import BACKBONES, INPUT, SIZED, TIMM
from sslcli.models.backbones.timm_nets import arguments_for
from sslcli.models.convolution import plain_convolutions
from sslcli.models.encoder import Encoder

FOLDER = 'folder = Path(".")  # where this file is'
"""The line with the place of the files; replace it by `folder` to run the lines from elsewhere."""
Write = Callable[[Encoder, Transform, str, str, Path], str]
"""Writes the files of an encoder, its transform, backbone and stem into a folder; returns the lines that build the model."""


@dataclass(frozen=True)
class Format:
    """A format: how it is written, its file of weights, the packages that its lines need, those that writing needs beyond
    a normal install, and the lines that turn a picture into h. `of_library`: the lines build the network from the library
    that the format is named after, so the library must have the backbone.
    """

    write: Write
    weights: str
    packages: tuple[str, ...]
    extra: tuple[str, ...]
    use: str
    of_library: bool = False


def stem_lines(encoder: Encoder, stem: str) -> str:
    """The lines that replace a plain ResNet's stem by the encoder's."""
    if stem == "conv7-pool":
        return ""
    first: Any = encoder.backbone.conv1
    return (
        f"model.conv1 = torch.nn.Conv2d(3, {first.out_channels}, 3, stride={first.stride[0]}, padding={first.padding[0]}, "
        "bias=False)\n"
        "model.maxpool = torch.nn.Identity()\n"
    )


def _weights_of(encoder: Encoder) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.backbone.state_dict().items()}


def _torchvision(encoder: Encoder, transform: Transform, backbone: str, stem: str, folder: Path) -> str:
    torch.save(_weights_of(encoder), folder / "model.pth")
    return f"""\
import runpy
from pathlib import Path

import torch
import torchvision

{FOLDER}
model = torchvision.models.{BACKBONES[backbone].build.partition(":")[2]}()
{stem_lines(encoder, stem)}model.fc = torch.nn.Identity()
model.load_state_dict(torch.load(folder / "model.pth", weights_only=True))
model.eval()
{preprocess_lines(transform)}"""


def _safetensors(encoder: Encoder, transform: Transform, backbone: str, stem: str, folder: Path) -> str:
    from safetensors.torch import save_file

    save_file(_weights_of(encoder), folder / "model.safetensors", metadata={"format": "pt"})
    module, _, name = BACKBONES[backbone].build.partition(":")
    if "torchvision" in BACKBONES[backbone].libraries:
        imports = "import torch\nimport torchvision\n"
        build = f"model = torchvision.models.{name}()\n{stem_lines(encoder, stem)}model.fc = torch.nn.Identity()\n"
    else:  # a network of this program: its file is copied
        file = f"{module.rpartition('.')[2]}.py"
        (folder / file).write_text(inspect.getsource(importlib.import_module(module)), encoding="utf-8")
        imports = "import torch\n"
        told = "" if stem == "own" else f'"{stem}"'
        build = f'model = runpy.run_path(str(folder / "{file}"))["{name}"]({told})\n'
    return f"""\
import runpy
from pathlib import Path

{imports}from safetensors.torch import load_file

{FOLDER}
{build}model.load_state_dict(load_file(folder / "model.safetensors"))
model.eval()
{preprocess_lines(transform)}"""


def _timm(encoder: Encoder, transform: Transform, backbone: str, stem: str, folder: Path) -> str:
    from safetensors.torch import save_file

    save_file(_weights_of(encoder), folder / "model.safetensors", metadata={"format": "pt"})
    size = transform.size
    share = size / (transform.kept + 0.25)  # timm takes the floor of its inverse
    mode = "center" if transform.fit == "crop" else "border"
    preprocessing = {"input_size": [3, size, size], "mean": transform.mean, "std": transform.std, "crop_pct": share,
                     "crop_mode": mode, "interpolation": "bicubic"}  # fmt: skip
    name, arguments, stem_of_resnet = backbone.removeprefix(TIMM), dict[str, Any](), ""
    if backbone.startswith(TIMM):
        arguments = arguments_for(importlib.import_module("timm"), name, int(stem.removeprefix(SIZED)))
    else:
        preprocessing |= {"first_conv": "conv1", "classifier": "fc"}
        stem_of_resnet = stem_lines(encoder, stem)
    config = {"architecture": name, "num_classes": 0, "num_features": encoder.dim, "model_args": arguments,
              "pretrained_cfg": preprocessing}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return f"""\
import json
import runpy
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file

{FOLDER}
config = json.loads((folder / "config.json").read_text())
model = timm.create_model(config["architecture"], num_classes=0, **config["model_args"])
{stem_of_resnet}model.load_state_dict(load_file(folder / "model.safetensors"))
model.eval()
{preprocess_lines(transform)}"""


class _Normalising(nn.Module):
    """Values in [0, 1] (B, 3, H, W) to representations: the normalisation is part of the net."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder, transform: Transform) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", torch.tensor(transform.mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(transform.std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        h: Tensor = self.encoder((images - self.mean) / self.std)
        return h


def _onnx(encoder: Encoder, transform: Transform, backbone: str, stem: str, folder: Path) -> str:
    import onnx

    if torch.__version__ < "2.7":
        raise StateError(f"torch {torch.__version__} cannot write this encoder as ONNX; accepted is a newer one")
    size = transform.size
    net = _Normalising(plain_convolutions(encoder), transform).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what the exporter itself uses
        program = torch.onnx.export(
            net, (torch.rand(2, 3, size, size),), input_names=["images"], output_names=["h"], dynamo=True, verbose=False,
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        )  # fmt: skip
    assert program is not None
    proto = program.model_proto
    square = "central square" if transform.fit == "crop" else "none: the whole picture beside grey"
    told = {"values": "RGB, 0 to 1", "normalisation": "in the graph", "size": size, "crop": square,
            "interpolation": "bicubic, with antialiasing", **sides_of(transform), "steps": steps_of(transform)}  # fmt: skip
    onnx.helper.set_model_props(proto, {"preprocessing": json.dumps(told), "encoder": f"{backbone}, stem {stem}"})
    onnx.checker.check_model(proto)
    onnx.save(proto, folder / "model.onnx")
    return f"""\
import runpy
from pathlib import Path

import numpy as np
import onnxruntime

{FOLDER}
model = onnxruntime.InferenceSession(folder / "model.onnx")
{PREPARE}


def preprocess(picture):  # as Image.open gives it; to values from 0 to 1: the graph normalises them itself
    return {call_lines(transform)}.astype(np.float32) / 255
"""


_BY_TORCH = """\
with torch.inference_mode():
    h = model(preprocess(picture)[None])
"""
_BY_ONNX = """\
h = model.run(["h"], {"images": preprocess(picture)[None]})[0]
"""

PICTURES = ("numpy", "pillow")  # what prepare.py needs
FORMATS = {
    "safetensors": Format(
        _safetensors, "model.safetensors", ("torch", "torchvision", "safetensors", *PICTURES), ("safetensors",), _BY_TORCH
    ),
    "torchvision": Format(_torchvision, "model.pth", ("torch", "torchvision", *PICTURES), (), _BY_TORCH, of_library=True),
    "timm": Format(
        _timm, "model.safetensors", ("timm", "safetensors", *PICTURES), ("safetensors", "timm"), _BY_TORCH, of_library=True
    ),
    "onnx": Format(_onnx, "model.onnx", ("onnxruntime", *PICTURES), ("onnx", "onnxscript", "onnxruntime"), _BY_ONNX),
}


def formats_of(backbone: str, stem: str) -> list[str]:
    """The formats for a backbone: always onnx, and safetensors unless only timm can build it.

    Only onnx for one that resizes its images: a library's network does not do that itself.
    """
    if stem.startswith(INPUT):
        return ["onnx"]
    if backbone.startswith(TIMM):
        return ["timm", "onnx"]
    return [name for name, form in FORMATS.items() if not form.of_library or name in BACKBONES[backbone].libraries]
