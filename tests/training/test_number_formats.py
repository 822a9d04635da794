"""Nothing is multiplied in a number format that the machine is slow at."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sslcli.bench.minutes import settle_minutes
from sslcli.methods import METHODS
from sslcli.options.pretrain import Pretrain
from sslcli.plans import pretraining
from sslcli.plans.plan import Plan
from sslcli.runs.registry import Registry
from sslcli.training import device
from sslcli.training.step import Training
from tests.conftest import Cli
from tests.small_methods import backbone_of

PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "mv", "dot", "convolution", "convolution_backward"}
SMALL = {"dataset": "shapes", "batch_size": 8, "view_sizes": "16", "epochs": 1}
PRETRAIN = "pretrain --dataset shapes --backbone resnet9 --optimizer muon --batch-size 8 --view-sizes 16 --max-steps 2"
EVALUATIONS = (
    "predict --n 4", "embed", "runs verify --numbers", "probe --protocol linear-augmented --epochs 1", "probe --protocol knn",
    "finetune --epochs 1 --batch-size 32 --max-steps 2 --optimizer muon",
)  # fmt: skip


class Recorder(TorchDispatchMode):
    """Notes the number formats of every product and convolution, forward, backward and of the optimizer, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.formats: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in PRODUCTS or "attention" in name:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            self.formats.setdefault(name, set()).update(tensor.dtype for tensor in tensors)
        return func(*args, **(kwargs or {}))


@contextmanager
def machine(gain: float) -> Iterator[Recorder]:
    """A machine on which bfloat16 is so many times as fast as float32."""
    with pytest.MonkeyPatch.context() as patch, Recorder() as recorder:
        patch.setattr(device, "bfloat16_gain", lambda _: gain)
        yield recorder


def one_step(plan: Plan, training: Training) -> None:
    """Take the first step of a training that is settled; not the optimizer's products in bfloat16, which take minutes where
    that is slow."""
    training.loss_at(0)[0].backward()
    if plan.options.precision == "fp32":
        training.optimizer.step()
    else:
        assert plan.options.precision == "bf16"


EVERY_METHOD = [(method, "muon", backbone_of(method, "resnet9")) for method in METHODS]
EVERY_OPTIMIZER = [
    ("simclr", optimizer, backbone) for optimizer in ("sgd", "adamw", "muon") for backbone in ("resnet9", "vit-tiny")
]
WITH_A_VIT = [("moco-v3", "adamw", "vit-tiny"), ("dino", "adamw", "vit-tiny")]


@pytest.mark.parametrize(("method", "optimizer", "backbone"), dict.fromkeys(EVERY_METHOD + EVERY_OPTIMIZER + WITH_A_VIT))
def test_no_step_of_pretraining_multiplies_bfloat16_where_it_is_slow(
    registry: Registry, method: str, optimizer: str, backbone: str
) -> None:
    options = Pretrain(method=method, backbone=backbone, optimizer=optimizer, **SMALL)  # type: ignore[arg-type]
    formats = {}
    for gain in (0.02, 4.0):
        with machine(gain) as recorder:
            plan = pretraining.plan(registry, options, settle_minutes=settle_minutes)
            trained, training = pretraining.training_of(plan.options, plan.context)
            one_step(plan, training)
        formats[gain] = recorder.formats
        convolutions = [layer for layer in trained.encoder.modules() if isinstance(layer, torch.nn.Conv2d)]
        backward = ["convolution_backward"] * any(
            layer.weight.requires_grad for layer in convolutions
        )  # MoCo v3 freezes a ViT's
        assert {"mm", "convolution", *backward} <= set(recorder.formats)
    assert not [name for name, found in formats[0.02].items() if torch.bfloat16 in found]
    assert all(torch.bfloat16 in formats[4.0][name] for name in ("convolution", *backward))  # the recorder sees it


def test_no_evaluation_multiplies_bfloat16_where_it_is_slow_though_the_encoder_was_trained_in_it(ssl: Cli) -> None:
    with machine(gain=4.0):
        for line in (PRETRAIN, "probe --epochs 1 --init scratch", "probe --epochs 1"):
            assert ssl(line).code == 0
    with machine(gain=0.02) as slow:
        for line in EVALUATIONS:
            result = ssl(line)
            assert result.code == 0, (line, result.err)
    assert {"mm", "convolution", "convolution_backward"} <= set(slow.formats)
    assert not [name for name, formats in slow.formats.items() if torch.bfloat16 in formats]


@pytest.mark.parametrize(("precision", "muons"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_muon_multiplies_in_the_precision_of_its_run(ssl: Cli, precision: str, muons: torch.dtype) -> None:
    with machine(gain=4.0) as recorder:
        assert ssl(f"{PRETRAIN} --precision {precision} --knn-every 0").code == 0  # what is measured is in float64
    assert muons in recorder.formats["addmm"]
    if precision == "fp32":  # where nothing else could have been in bfloat16
        assert {format for formats in recorder.formats.values() for format in formats} <= {torch.float32, torch.int64}
