"""Others' weights, under the names that they really have: all of the encoder's are taken, or none; and never called our own."""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from sslcli import load_encoder
from sslcli.errors import UsageError
from sslcli.models.encoder import build_encoder, weights_hash
from sslcli.models.weight_files import read_tensors
from sslcli.models.weights import find_weights, load_weights
from sslcli.options.pretrain import Pretrain
from sslcli.plans.weights_file import take_stock
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_pairs
from sslcli.training.checkpoint import load_checkpoint
from tests.conftest import TINY, Cli
from tests.stopping import signal_after

Done = Callable[[str], Run]
State = dict[str, Any]


def resnet(stem: str = "conv7-pool", *, fc: bool = True) -> nn.Module:
    """torchvision's ResNet-18, each tensor with values of its own, by batch norm's statistics and counters too."""
    net = torchvision.models.resnet18()
    if stem != "conv7-pool":
        net.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        net.maxpool = nn.Identity()
    if not fc:
        net.fc = nn.Identity()
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            tensor.copy_(torch.rand(tensor.shape, generator=random) + 0.5 if tensor.is_floating_point() else tensor + len(name))
    return net


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


def other(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


def numbered(net: nn.Module) -> State:
    """As lightly's examples have it: the children but the last, in a row."""
    return nn.Sequential(*list(net.children())[:-1]).state_dict()


PLAIN = resnet().state_dict()
HEADLESS = resnet(fc=False).state_dict()
HEAD = {"head.0.weight": torch.rand(4, 512)}

FORMATS: dict[str, State] = {
    "torchvision": PLAIN,
    "state_dict of somebody's own script": {"model_state_dict": PLAIN, "epoch": 3, "optimizer": {"state": {0: {"step": 1}}}},
    "DataParallel": {"state_dict": under("module.", PLAIN), "best_acc1": torch.tensor(71.0)},
    "MoCo": {
        "epoch": 200, "arch": "resnet18", "optimizer": {"state": {}, "param_groups": [{"lr": 0.03}]},
        "state_dict": under("module.encoder_q.", PLAIN) | under("module.encoder_k.", other(PLAIN))
        | {"module.queue": torch.rand(128, 8), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)},
    },
    "MoCo v3": {"state_dict": under("module.base_encoder.", PLAIN) | under("module.momentum_encoder.", other(PLAIN))},
    "lightly, torchvision's net": {
        "state_dict": under("backbone.", numbered(resnet())) | under("backbone_momentum.", other(numbered(resnet())))
        | under("projection_head.layers.", HEAD), "pytorch-lightning_version": "2.6", "hyper_parameters": {"lr": 0.06},
    },
    "solo-learn": {
        "state_dict": under("backbone.", HEADLESS) | under("momentum_backbone.", other(HEADLESS))
        | under("projector.", HEAD) | {"classifier.weight": torch.rand(10, 512)}, "global_step": 9,
    },
    "VISSL": {
        "classy_state_dict": {"base_model": {"model": {"trunk": under("_feature_blocks.", HEADLESS), "heads": HEAD}}},
        "phase_idx": 799,
    },
    "VISSL, flat": under("base_model.model.trunk._feature_blocks.", HEADLESS),
    "DINO": {"student": under("module.backbone.", other(HEADLESS)), "teacher": under("backbone.", HEADLESS),
             "args": argparse.Namespace(arch="resnet18"), "epoch": 99},
    "BYOL": under("online_network.", HEADLESS) | under("target_network.", other(HEADLESS)),
}  # fmt: skip


def taken(path: Path, stem: str = "conv7-pool") -> tuple[nn.Module, Any, State]:
    """The backbone with what was found in a file, what was found, and all that is there."""
    tensors, *_ = read_tensors(path)
    encoder = build_encoder("resnet18", stem=stem, seed=1)
    found = find_weights(tensors, encoder, place=str(path), net="resnet18")
    load_weights(encoder, tensors, found)
    return encoder.backbone, found, tensors


@pytest.mark.parametrize("name", FORMATS)
def test_the_weights_of_every_program_are_the_ones_it_wrote(tmp_path: Path, name: str) -> None:
    torch.save(FORMATS[name], tmp_path / "weights.ckpt")
    backbone, found, tensors = taken(tmp_path / "weights.ckpt")
    for own, value in backbone.state_dict().items():
        assert torch.equal(value, HEADLESS[own]), own
    assert len(found.names) == len(HEADLESS)
    assert sum(found.dropped(tensors).values()) == len(tensors) - len(HEADLESS)
    assert len(found.dropped(tensors)) <= 6
    assert len(found.renamed()) <= 7


def test_safetensors_and_timm_are_read_and_give_the_same_output(tmp_path: Path) -> None:
    net = timm.create_model("resnet18", num_classes=7)
    save_file(net.state_dict(), tmp_path / "timm.safetensors")
    backbone, found, tensors = taken(tmp_path / "timm.safetensors")
    assert (found.renamed(), found.dropped(tensors)) == ({}, {"fc": 2})
    images = torch.rand(2, 3, 64, 64)
    net.reset_classifier(0)
    with torch.no_grad():
        assert torch.allclose(backbone.eval()(images), net.eval()(images), atol=1e-5)


def test_shortcuts_are_renamed_and_a_sequence_without_its_relu_is_refused(tmp_path: Path) -> None:
    """lightly's ResNetGenerator calls them so, and loses a ReLU that is no module when its children are put in a row."""
    net = resnet("conv3", fc=False)
    theirs = {name.replace("downsample", "shortcut"): value for name, value in net.state_dict().items()}
    torch.save(under("backbone.", theirs), tmp_path / "whole.ckpt")
    backbone, found, _ = taken(tmp_path / "whole.ckpt", "conv3")
    assert found.renamed()["backbone.layer2.0.shortcut.*"] == "layer2.0.downsample.*"
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in backbone.state_dict().items())
    row = nn.Sequential(net.conv1, net.bn1, net.layer1, net.layer2, net.layer3, net.layer4, nn.AdaptiveAvgPool2d(1))
    numbers = {name.replace("downsample", "shortcut"): value for name, value in row.state_dict().items()}
    torch.save({"state_dict": under("backbone.", numbers)}, tmp_path / "lightly.ckpt")
    with pytest.raises(UsageError, match="without the ReLU after the first batch norm"):
        taken(tmp_path / "lightly.ckpt", "conv3")


def test_counters_that_an_old_file_lacks_are_the_only_thing_that_may_be_missing(tmp_path: Path) -> None:
    torch.save({name: value for name, value in PLAIN.items() if "num_batches" not in name}, tmp_path / "old.pth")
    _, found, _ = taken(tmp_path / "old.pth")
    assert found.missing == 20
    encoder = build_encoder("resnet18", stem="conv7-pool", seed=1)
    without = {name: value for name, value in PLAIN.items() if name != "layer3.1.bn2.running_var"}
    for state, wrong in (
        (without, r"holds only some weights of .*: layer3\.1\.bn2\.running_var is missing"),
        (PLAIN | {"bn1.bias": torch.rand(63)}, r"holds only some weights of .*: bn1\.bias is \(63,\), not \(64,\)"),
        (PLAIN | {"bn1.bias": torch.full((64,), torch.nan)}, r"bn1\.bias has values that are not numbers"),
        (PLAIN | {"bn1.bias": torch.ones(64, dtype=torch.int8)}, r"bn1\.bias is \(64,\) of torch\.int8"),
        ({"a.weight": torch.rand(2)}, r"does not hold the weights of resnet18\. It has 1 tensors: a\.weight"),
        ({}, r"It has 0 tensors: none"),
    ):
        with pytest.raises(UsageError, match=wrong):
            find_weights(state, encoder, place="file", net="resnet18")


def test_weights_of_another_backbone_or_stem_say_which_options_they_fit(tmp_path: Path) -> None:
    torch.save(under("module.", resnet("conv3").state_dict()), tmp_path / "small.pth")
    fits = (
        r"holds only some weights of .* under module\.\*: conv1\.weight is .*"
        r"it fits --backbone resnet18 --stem conv3 and .* --stem conv3-s2"
    )
    with pytest.raises(UsageError, match=fits):
        taken(tmp_path / "small.pth")
    encoder = build_encoder("resnet9-small", stem="own", seed=1)
    with pytest.raises(UsageError, match="it fits --backbone resnet18 --stem conv7-pool"):
        find_weights(PLAIN, encoder, place="file", net="resnet9-small")


@pytest.mark.parametrize("place", ["in a checkpoint", "beside an export"])
def test_weights_that_this_program_wrote_are_not_taken_with_another_stem(tmp_path: Path, place: str) -> None:
    state = build_encoder("resnet18", stem="conv3-s2", seed=1).backbone.state_dict()
    known = {"backbone": "resnet18", "stem": "conv3-s2"}
    file = tmp_path / "model.pth"
    torch.save({"model": state, "record": {"options": known}} if place == "in a checkpoint" else state, file)
    if place == "beside an export":
        (tmp_path / "encoder.json").write_text(json.dumps(known | {"weights": file.name}))
    assert take_stock(Pretrain(init=str(file), backbone="resnet18", stem="conv3-s2"))["file"] == "model.pth"
    with pytest.raises(UsageError, match=r"with stem conv3-s2, and with stem conv3 .*; accepted is --stem conv3-s2"):
        take_stock(Pretrain(init=str(file), backbone="resnet18", stem="conv3"))
    (tmp_path / "encoder.json").write_text("[" if place == "beside an export" else "{}")
    assert read_tensors(file).network == (("resnet18", "conv3-s2") if place == "in a checkpoint" else None)


def test_weights_of_solo_learn_are_warned_of_where_the_stem_pads_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"state_dict": under("backbone.", resnet("conv3", fc=False).state_dict())
                | {"classifier.weight": torch.rand(10, 512)}}, tmp_path / "solo.ckpt")  # fmt: skip
    for stem, warned in (("conv3", True), ("conv3-pad2", False)):
        take_stock(Pretrain(init=str(tmp_path / "solo.ckpt"), backbone="resnet18", stem=stem))
        assert ("WARNING: --init" in (said := capsys.readouterr().err)) == warned
        assert ("type: --stem conv3-pad2" in said) == warned


def test_a_padding_of_two_is_the_convolution_of_solo_learn() -> None:
    ours = build_encoder("resnet18", stem="conv3-pad2", seed=1).eval()
    theirs = torchvision.models.resnet18()
    theirs.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=2, bias=False)
    theirs.maxpool, theirs.fc = nn.Identity(), nn.Identity()
    theirs.load_state_dict(ours.backbone.state_dict())
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs.eval()(images), atol=1e-5)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('it ran')",))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda path: torch.save({"state_dict": PLAIN, "x": Bomb()}, path), "holds more than tensors and plain data"),
        (lambda path: path.write_bytes(b"no weights"), "cannot be read as a torch.save file"),
        (lambda path: path.write_bytes(b""), "cannot be read as a torch.save file"),
        (lambda path: path.mkdir(), "is a folder; name a file in it"),
        (
            lambda _: None,
            "there is no such file; accepted: scratch, pretrained (of evaluations), a file of weights (.pt, .pth, ",
        ),
    ],
    ids=["code", "other", "empty", "folder", "missing"],
)
def test_what_is_no_file_of_weights_is_said_and_makes_no_run(
    ssl: Cli, registry: Registry, tmp_path: Path, make: Callable[[Path], object], text: str
) -> None:
    make(tmp_path / "weights.pth")
    result = ssl("probe --init weights.pth --dataset shapes --backbone resnet18 --stem conv7-pool")
    assert (result.code, text in result.err) == (2, True), result.err
    assert registry.runs() == []
    assert ssl("pretrain --dataset shapes --init pretrained").code == 2


def small_weights(path: Path) -> Tensor:
    """A file with a ResNet-9 under another's names; returns its first filter."""
    encoder = build_encoder("resnet9-small", stem="own", seed=77)
    state = under("module.encoder_q.", encoder.backbone.state_dict()) | {"module.queue": torch.rand(8, 4)}
    torch.save({"state_dict": state}, path)
    return encoder.backbone.state_dict()["stem.0.weight"]


def test_an_evaluation_of_others_weights_is_theirs_and_compared_with_scratch(
    ssl: Cli, done: Done, registry: Registry, tmp_path: Path
) -> None:
    first = small_weights(tmp_path / "MoCo v2 (800).pth")
    line = "probe --epochs 1 --batch-size 32"
    done(f"pretrain {TINY}")
    done(line)
    done(f"{line} --init scratch")
    result = ssl(f"{line} --init 'MoCo v2 (800).pth'")
    assert result.code == 0, result.err
    assert "renamed: state_dict.module.encoder_q.* to *" in result.err
    assert "dropped: state_dict.module.queue (1)" in result.err
    assert result.err.rstrip().endswith("type: ssl compare")
    run = registry.load(registry.find("latest"))
    assert re.fullmatch(r"file-moco-v2-800-[0-9a-f]{8}", run.init or "")
    assert (run.parent, run.options["init"]) == (None, "./MoCo v2 (800).pth")
    assert run.data["init"]["sha256"].startswith((run.init or "")[-8:])
    assert torch.equal(load_encoder(run.id).encoder.state_dict()["backbone.stem.0.weight"], first)
    shown = ssl("compare --format json")
    found = json.loads(shown.out)
    assert [row["init"] for row in found["rows"]] == ["pretrained", "scratch", run.init]
    own, scratch, theirs = (row["run"] for row in found["rows"])
    assert [(d["init"], d["pretrained_run"], d["scratch_run"]) for d in found["differences"]] == [
        ("pretrained", own, scratch), (run.init, theirs, scratch)
    ]  # fmt: skip
    accuracies = {row["run"]: row["test_acc"] for row in found["rows"]}
    difference = found["differences"][1]
    assert difference["difference"] == pytest.approx(accuracies[theirs] - accuracies[scratch])
    assert difference["low"] <= difference["difference"] <= difference["high"]
    assert (difference["method"], difference["interval"]) == (None, "paired")
    assert "in linear evaluation (moco-v2-800)," in found["answer"]
    assert "has no partner" not in shown.err
    assert ssl("report --out page.html").code == 0
    assert "moco-v2-800 − scratch" in (tmp_path / "page.html").read_text()
    assert ssl("runs verify --numbers").code == 0
    assert [other.init for other in newest_pairs(registry.runs())[1]] == ["pretrained", "scratch"]
    tuned = done("finetune --epochs 1 --max-steps 2 --init 'MoCo v2 (800).pth'")
    assert tuned.init == run.init
    alone = ssl("compare").err
    assert f"{tuned.id} has no partner: there is no scratch run" in " ".join(alone.split())
    assert "type: ssl finetune --epochs 1 --max-steps 2 --init scratch\n" in alone


def test_pretraining_begun_with_a_file_is_not_called_pretrained_alone(
    ssl: Cli, done: Done, registry: Registry, tmp_path: Path
) -> None:
    first = small_weights(tmp_path / "theirs.pth")
    own = done(f"pretrain {TINY} --max-steps 1")
    run = done(f"pretrain {TINY} --max-steps 1 --lr 0 --weight-decay 0 --init theirs.pth")
    assert run.id.startswith("simclr-file-theirs-")
    assert run.setup != own.setup
    saved = load_checkpoint(registry, run, "last")["model"]
    assert torch.equal(saved["encoder.backbone.stem.0.weight"], first)
    probe = done("probe --epochs 1 --batch-size 32")
    assert (probe.parent, probe.init) == (run.id, f"pretrained-from-{(run.init or '').removeprefix('file-')}")
    scratch = done("probe --epochs 1 --batch-size 32 --init scratch")
    assert probe.pair == scratch.pair
    assert [run.id for run in newest_pairs(registry.runs())[1]] == [probe.id, scratch.id]
    (found,) = json.loads(ssl("compare --format json").out)["differences"]
    assert (found["init"], found["pretrained_run"], found["scratch_run"]) == (probe.init, probe.id, scratch.id)
    assert (found["method"], found["difference"]) == ("simclr", probe.metrics["test_acc"] - scratch.metrics["test_acc"])
    assert ssl("runs verify --numbers").code == 0
    assert ssl("probe --at-epoch 1 --init theirs.pth").code == 2


@pytest.mark.parametrize(
    "command",
    [
        f"pretrain {TINY} --epochs 2 --knn-every 0",
        "finetune --dataset shapes --backbone resnet9-small --epochs 2 --batch-size 32",
    ],
)
def test_an_interrupted_run_from_a_file_goes_on_with_that_file_alone(
    ssl: Cli, done: Done, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    path = tmp_path / "theirs.pth"
    small_weights(path)
    whole = done(f"{command} --init theirs.pth")
    with signal_after(3):
        assert ssl(f"{command} --init theirs.pth").code == 130
    content = path.read_bytes()
    small = torch.load(path, weights_only=True)
    torch.save(small | {"more": 1}, path)
    changed = ssl("resume")
    assert (changed.code, "started from other weights than" in changed.err) == (3, True), changed.err
    path.unlink()
    gone = ssl("resume")
    assert (gone.code, "is gone" in gone.err) == (3, True), gone.err
    path.write_bytes(content)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert ssl("resume").code == 0
    run = registry.load(registry.find("latest"))
    assert run.status == "finished"
    assert weights_hash(load_encoder(run.id).encoder) == weights_hash(load_encoder(whole.id).encoder)


def test_run_goes_on_with_the_same_file_and_refuses_another(ssl: Cli, tmp_path: Path) -> None:
    small_weights(tmp_path / "theirs.pth")
    small_weights(tmp_path / "others.pth")
    line = f"pretrain {TINY} --max-steps 1 --run mine --init"
    assert ssl(f"{line} theirs.pth").code == 0
    again = ssl(f"{line} {tmp_path}/theirs.pth")
    assert (again.code, "is finished" in again.err) == (0, True), again.err
    assert ssl(f"{line} others.pth").code == 2
