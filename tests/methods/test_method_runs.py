"""Every method of the table as a run: stopped and gone on with to the same bits, exported, captured by torch.compile."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sslcli import load_encoder
from sslcli.data.loading import load_data
from sslcli.data.transform import preprocessing
from sslcli.methods import METHODS
from sslcli.methods.method import evaluated_name
from sslcli.models import BACKBONES, Backbone, default_stem
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import build_method
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training import log
from sslcli.training.checkpoint import load_checkpoint, save_checkpoint
from tests.conftest import Cli
from tests.export.test_export import ELSEWHERE
from tests.small_methods import backbone_of, small_batch, small_method, small_options
from tests.stopping import signal_after
from tests.whole.test_survival import flat

Done = Callable[[str], Run]
LINE = "--dataset shapes --batch-size 32 --epochs 1 --view-sizes 16 --knn-every 0 --optimizer sgd"
"""Seven steps."""


def line_of(method: str) -> str:
    own = small_options(method)
    if "queue_size" in own:
        own["queue_size"] = 50  # so that a batch of 32 ends in the middle of the ring
    heads = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in own.items())
    return f"pretrain --method {method} --backbone {backbone_of(method, 'resnet9')} {heads} {LINE}"


def trained(registry: Registry, run: Run) -> dict[str, object]:
    """Weights, buffers and the optimizer's state at the end of a run, as bytes."""
    state = load_checkpoint(registry, run, "last")
    return flat({name: state[name] for name in ("model", "optimizer")})


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_stopped_goes_on_to_the_same_bits(
    ssl: Cli, done: Done, registry: Registry, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setitem(BACKBONES, "resnet9", Backbone("tests.survival:narrow"))
    whole = done(line_of(method))
    with signal_after(4, signal.SIGTERM) as patch:
        patch.setattr(log, "SAVE_EVERY", float("inf"))
        assert ssl(line_of(method)).code == 143
    run = registry.load(registry.find("latest"))
    assert (run.status, load_checkpoint(registry, run, "last")["progress"]["step"]) == ("interrupted", 4)
    gone_on = done("resume")
    assert (gone_on.id, gone_on.status) == (run.id, "finished")
    assert trained(registry, gone_on) == trained(registry, whole)


def made(registry: Registry, method: str) -> tuple[Run, torch.nn.Module]:
    """A finished run of a method whose trained encoder and, where it has one, teacher have seen images and differ."""
    backbone = backbone_of(method, "resnet9-small")
    options = Pretrain(
        method=method, dataset="shapes", backbone=backbone, stem=default_stem(backbone, 32), **small_options(method)  # type: ignore[arg-type]
    )  # fmt: skip
    built, data = build_method(options), load_data("shapes", Path())
    with torch.no_grad():
        for encoder in {built.encoder, built.evaluated}:
            encoder(data.normalise(data.train_images[:32]))
            for parameter in encoder.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
    run = registry.create(
        f"{method}-resnet9-small-shapes-s1", experiment="pretrain", status="finished", options=options.options(), method=method,
        dataset="shapes", backbone=backbone, seed=1, data={"sha256": data.fingerprint, **preprocessing(data)},
    )  # fmt: skip
    marked = {} if (name := evaluated_name(built)) == "encoder" else {"evaluated": name}
    save_checkpoint(registry, run, "last", {"model": built.state_dict()} | marked)
    return run, built.evaluated.eval()


def test_every_methods_encoder_is_exported_and_its_cards_lines_give_its_output_without_this_program(
    ssl: Cli, registry: Registry
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    outputs, cards = {}, {}
    for method in METHODS:
        run, encoder = made(registry, method)
        result = ssl(f"export {run.id}")
        assert result.code == 0, result.err
        folder = registry.path(f"results/export/{run.id}-safetensors")
        Image.fromarray(pixels).save(folder / "picture.png")
        with torch.no_grad():
            outputs[str(folder)] = encoder(load_encoder(run.id).transform(Image.fromarray(pixels))[None]).numpy()
        cards[method] = (folder / "README.md").read_text()
    told = subprocess.run([sys.executable, "-c", ELSEWHERE, *outputs], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    for folder, h in json.loads(told.stdout).items():
        assert np.abs(np.array(h) - outputs[folder]).max() < 1e-4 * np.abs(outputs[folder]).max(), folder
    for method, card in cards.items():
        assert f"Trained without labels ({method})" in card
        assert f"| method | {method} |" in card


@pytest.mark.parametrize("method", METHODS)
def test_a_compiled_step_is_captured_whole_and_gives_the_same_loss_and_buffers(method: str) -> None:
    """Run as it was written: what torch makes of it for a machine takes a minute."""
    found: list[tuple[Any, dict[str, Any]]] = []
    for compiled in (False, True):
        net = small_method(method)
        for norm in (module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)):
            norm.momentum = 0.1  # without one torch reads from the device how many batches it has seen
        if compiled:
            net.compile(dynamic=False, fullgraph=True, backend="eager")
        losses = [net(small_batch(net, step), step)[0].item() for step in (0, 1)]
        found.append((losses, flat(net.state_dict())))
    assert found[0] == found[1]
