"""Pictures of predictions show encoders from elsewhere below one's own and scratch, where nothing but the encoder differs."""

from typing import Any

from sslcli.comparison.arms import others_beside
from sslcli.gallery.predictions import groups_to_draw
from sslcli.options.pictures import Predict
from sslcli.options.probe import Probe
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def probed(registry: Registry, init: str, *, epochs: int = 30, seed: int = 1, **known: Any) -> Run:
    options = Probe(epochs=epochs, seed=seed, init="t.pth" if init.startswith("file") else init).options()
    run = registry.create(
        init, experiment="linear_eval", protocol="linear", status="finished", study="s", init=init, seed=seed,
        label_fraction=1.0, dataset="folder:photos", options=options, data={"sha256": "d" * 64}, **known,
    )  # fmt: skip
    registry.save(run)
    return run


def test_an_encoder_from_elsewhere_stands_below_ones_own_and_scratch_and_one_with_other_options_does_not(
    registry: Registry,
) -> None:
    own = probed(registry, "pretrained", pair="p", backbone="resnet9", method="simclr")
    scratch = probed(registry, "scratch", pair="p", backbone="resnet9")
    theirs = probed(registry, "file-lite0-12345678", pair="q", backbone="timm:tf_efficientnet_lite0")
    longer = probed(registry, "file-other-12345678", epochs=60, pair="r", backbone="timm:tf_efficientnet_lite0")
    seed = probed(registry, "file-lite0-12345678", seed=2, pair="t", backbone="timm:tf_efficientnet_lite0")
    assert [[run.id for run in group] for group in groups_to_draw(registry, Predict())] == [[own.id, scratch.id, theirs.id]]
    runs = [own, scratch, theirs, longer, seed]
    assert [run.id for run in others_beside(registry, own, runs)] == [theirs.id]
    assert others_beside(registry, scratch, runs) == []
    assert [[run.id for run in group] for group in groups_to_draw(registry, Predict(run=own.id))] == [[own.id]]
