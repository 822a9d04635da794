"""Methods without negatives collapse without what holds them, and the health line says so; as they are they do not."""

from collections.abc import Callable

import pytest
from torch import Tensor, nn

from sslcli.data.sets import patchwork
from sslcli.methods.byol import BYOL
from sslcli.methods.heads import cosine, z_std
from sslcli.methods.method import Batch
from sslcli.methods.simsiam import SimSiam
from sslcli.models import BACKBONES, Backbone
from tests.conftest import Cli

LINE = "--dataset patchwork --backbone resnet9 --batch-size 32 --view-sizes 16 --epochs 12 --knn-every 12 --precision fp32"
HEADS = {
    "byol": "--projector-hidden 64 --projector-dim 32 --predictor-hidden 64 --lr 0.1",
    "simsiam": "--projector-dim 64 --predictor-hidden 16 --lr 0.3",
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
    """SimSiam with a gradient through the target."""

    def forward(self: SimSiam, batch: Batch, _: int) -> tuple[Tensor, dict[str, Tensor]]:
        z = [self.project(self.encoder(view)) for view in batch.views]
        p = [self.predictor(one) for one in z]
        return -(cosine(p[0], z[1]) + cosine(p[1], z[0])) / 2, z_std(z[0])

    built(SimSiam)(patch)
    patch.setattr(SimSiam, "forward", forward)


CASES = {
    "byol": (built(BYOL), False),
    "byol without its predictor": (built(BYOL, without="predictor"), True),
    "simsiam": (built(SimSiam), False),
    "simsiam without its predictor": (built(SimSiam, without="predictor"), True),
    "simsiam with a gradient through its target": (flowing, True),
}


@pytest.mark.parametrize("case", CASES)
def test_collapse_comes_without_what_prevents_it_and_is_called_so(ssl: Cli, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    change, collapses = CASES[case]
    change(monkeypatch)
    monkeypatch.setitem(BACKBONES, "resnet9", Backbone("tests.survival:narrow"))
    assert patchwork.TRAIN == 240
    method = case.split()[0]
    result = ssl(f"pretrain --method {method} {HEADS[method]} {LINE}")
    assert result.code == 0, result.err
    assert ("looks collapsed: the projections of different images are alike" in result.err) == collapses, result.err
