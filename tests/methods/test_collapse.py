"""Methods without negatives collapse without what holds them, and the health line says so; as they are they do not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import Tensor, nn

from sslcli.data.sets import patchwork
from sslcli.methods import METHODS
from sslcli.methods.byol import BYOL
from sslcli.methods.heads import cosine, z_std
from sslcli.methods.method import Batch
from sslcli.methods.simsiam import SimSiam
from sslcli.models import BACKBONES, Backbone
from tests.conftest import Cli
from tests.small_methods import backbone_of, small_options

LINE = "--dataset patchwork --backbone resnet9 --batch-size 32 --view-sizes 16 --precision fp32"
HEADS = {
    "byol": "--projector-hidden 64 --projector-dim 32 --predictor-hidden 64 --lr 0.1",
    "simsiam": "--projector-dim 64 --predictor-hidden 16 --lr 0.3",
    "vicreg": "--projector-hidden 64 --projector-dim 32",
}
Change = Callable[[pytest.MonkeyPatch], None]


def built(kind: type, *, without: str = "") -> Change:
    """A method as it is, or one whose part of that name does nothing.

    SimSiam has no norm at its projector's end (table 3b of its paper): there z would spread along one direction for long.
    """
    original = kind.__init__

    def init(self: nn.Module, *arguments: object) -> None:
        original(self, *arguments)
        if kind is SimSiam:
            self.projector[-1] = nn.Identity()
        if without:
            setattr(self, without, nn.Identity())

    return lambda patch: patch.setattr(kind, "__init__", init)


def flowing(patch: pytest.MonkeyPatch) -> None:
    """SimSiam with a gradient through the target, without its norm."""
    built(SimSiam)(patch)
    flowing_with_norm(patch)


def flowing_with_norm(patch: pytest.MonkeyPatch) -> None:
    """SimSiam with a gradient through the target: its norm keeps z apart, along one direction."""

    def forward(self: SimSiam, batch: Batch, _: int) -> tuple[Tensor, dict[str, Tensor]]:
        z = [self.project(self.encoder(view)) for view in batch.views]
        p = [self.predictor(one) for one in z]
        return -(cosine(p[0], z[1]) + cosine(p[1], z[0])) / 2, z_std(z[0])

    patch.setattr(SimSiam, "forward", forward)


def as_it_is(_: pytest.MonkeyPatch) -> None:
    """Nothing is changed."""


ALIKE, ALONG = "the projections of different images are alike", "the projections lie along one direction"
CASES: dict[str, tuple[Change, str | None]] = {
    "byol": (as_it_is, None),
    "byol without its predictor": (built(BYOL, without="predictor"), ALIKE),
    "simsiam": (as_it_is, None),
    "simsiam without its norm": (built(SimSiam), None),
    "simsiam without norm and predictor": (built(SimSiam, without="predictor"), ALIKE),
    "simsiam without norm, with a gradient through its target": (flowing, ALIKE),
    "simsiam with a gradient through its target": (flowing_with_norm, ALONG),
    "vicreg": (as_it_is, None),
    "vicreg --variance 0": (as_it_is, ALIKE),
}


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "resnet9", Backbone("tests.survival:narrow"))
    monkeypatch.setitem(BACKBONES, "vit-tiny", replace(BACKBONES["vit-tiny"], build="tests.narrow_nets:vit_tiny"))


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("case", CASES)
def test_collapse_comes_without_what_prevents_it_and_is_called_so(ssl: Cli, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    change, words = CASES[case]
    change(monkeypatch)
    assert patchwork.TRAIN == 240
    method = case.split()[0]
    option = case.partition("--")[2]
    result = ssl(
        f"pretrain --method {method} {HEADS[method]} {LINE} --epochs 12 --knn-every 12 " + f"--{option}" * bool(option)
    )
    assert result.code == 0, result.err
    assert (f"looks collapsed: {words}" in result.err) if words else ("looks collapsed" not in result.err), result.err


@pytest.mark.usefixtures("_narrow")
@pytest.mark.parametrize("method", METHODS)
def test_no_short_run_of_any_method_is_called_collapsed(ssl: Cli, method: str) -> None:
    heads = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in small_options(method).items())
    line = LINE.replace("resnet9", backbone_of(method, "resnet9"))
    result = ssl(f"pretrain --method {method} {heads} {line} --epochs 2 --knn-every 2 --optimizer adamw")
    assert result.code == 0, result.err
    assert "looks collapsed" not in result.err
