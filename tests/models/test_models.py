"""Every backbone of the table, with each of its stems, is an encoder; so are those of timm."""

import re
import sys
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn

from sslcli.errors import StateError, UsageError, install_line
from sslcli.models import BACKBONES, default_stem, has_stem
from sslcli.models import encoder as encoder_module
from sslcli.models.backbones.timm_nets import hold_to_known
from sslcli.models.backbones.vit import MADE_FOR, bicubic, bicubic_by_products
from sslcli.models.encoder import build_encoder, hold_to_side, weights_hash
from sslcli.options.pretrain import Pretrain
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.optim import build_optimizer
from tests.conftest import TINY, Cli

OF_TIMM = ["timm:test_vit", "timm:test_resnet", "timm:mobilenetv3_small_050", "timm:mixer_s32_224"]
TABLE = [(name, stem) for name, entry in BACKBONES.items() for stem in entry.stems]
WHOLE: dict[str, Callable[[], nn.Module]] = {
    "convnext-tiny": torchvision.models.convnext_tiny,
    "efficientnet-b0": torchvision.models.efficientnet_b0,
    "resnet18": torchvision.models.resnet18,
}


@pytest.mark.parametrize(("backbone", "stem"), [*TABLE, *((name, "size-32") for name in OF_TIMM)])
def test_a_backbone_gives_representations_and_its_seed_the_weights(backbone: str, stem: str) -> None:
    encoder = build_encoder(backbone, stem=stem, seed=1)
    first = weights_hash(encoder)
    torch.manual_seed(0)  # of what some of them leave out at random in training
    h = encoder(torch.randn(4, 3, 32, 32))
    assert h.shape == (4, encoder.dim)
    assert torch.isfinite(h).all()
    h.square().sum().backward()
    gradients = [p.grad for p in encoder.parameters() if p.grad is not None]
    assert len(gradients) == len(list(encoder.parameters()))
    if backbone in BACKBONES:  # timm's residual branches begin at zero
        assert all(gradient.abs().sum() > 0 for gradient in gradients)
    assert first == weights_hash(build_encoder(backbone, stem=stem, seed=1))  # what was drawn before does not matter
    assert first != weights_hash(build_encoder(backbone, stem=stem, seed=2))
    for size in (32, 224):
        assert has_stem(backbone, default_stem(backbone, size))


@pytest.mark.parametrize("backbone", WHOLE)
def test_with_its_own_stem_a_backbone_is_torchvisions_without_the_classifier(backbone: str) -> None:
    encoder = build_encoder(backbone, stem=BACKBONES[backbone].stems[-1], seed=1).eval()
    theirs = WHOLE[backbone]()
    missing, unexpected = theirs.load_state_dict(encoder.backbone.state_dict(), strict=False)
    assert (unexpected, {name.split(".")[0] for name in missing} <= {"classifier", "fc"}) == ([], True)
    heads = [module for module in theirs.modules() if isinstance(module, nn.Linear)]
    seen: list[torch.Tensor] = []
    heads[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        theirs.eval()(images)
        torch.testing.assert_close(encoder(images), seen[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stem", MADE_FOR)
def test_a_vision_transformer_is_torchvisions_at_the_size_that_it_is_made_for(stem: str) -> None:
    patch, side = MADE_FOR[stem]
    ours = build_encoder("vit-tiny", stem=stem, seed=1).eval()
    theirs = torchvision.models.VisionTransformer(
        side, patch, num_layers=12, num_heads=3, hidden_dim=192, mlp_dim=768, num_classes=1
    )
    theirs.heads = nn.Identity()
    theirs.load_state_dict(ours.backbone.state_dict())
    images = torch.randn(1, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs.eval()(images))


def test_the_positions_of_a_vision_transformer_are_resized_and_pixels_that_fill_no_patch_left_out() -> None:
    ours = build_encoder("vit-tiny", stem="patch4", seed=1).eval()
    images = torch.randn(2, 3, 27, 26)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), ours(images[..., :24, :24]))
        known = ours.backbone.encoder.pos_embedding  # type: ignore[union-attr]
        slope = torch.arange(8.0) - 3.5
        known[0, 1:] = (slope[:, None] + 10 * slope).reshape(64, 1)  # rows count by ones, columns by tens
        resized = ours.backbone.positions(4, 16)[0, 1:, 0].reshape(4, 16)  # type: ignore[operator]
    assert float(resized.diff(dim=1).mean()) == pytest.approx(5, abs=0.5)  # twice the columns, half the rows
    assert float(resized.diff(dim=0).mean()) == pytest.approx(2, abs=0.2)


def test_positions_class_token_and_scales_do_not_decay_and_are_no_matrices_to_muon() -> None:
    for backbone, names in (("vit-tiny", ("class_token", "pos_embedding")), ("convnext-tiny", ("layer_scale",))):
        encoder = build_encoder(backbone, stem=BACKBONES[backbone].stems[0], seed=1)
        for optimizer in ("sgd", "adamw", "muon"):
            made = build_optimizer(encoder, optimizer, lr=0.1, weight_decay=0.5, momentum=0.9)
            decaying = {id(p) for group in made.param_groups if group["weight_decay"] for p in group["params"]}
            found = [id(p) in decaying for name, p in encoder.named_parameters() if name.split(".")[-1] in names]
            assert found
            assert not any(found)


@pytest.mark.parametrize("backbone", ["vit-tiny", "efficientnet-b0"])
def test_a_backbone_takes_a_step_of_muon_in_bfloat16(done: Callable[[str], Run], backbone: str) -> None:
    line = f"pretrain {TINY} --backbone {backbone} --max-steps 1 --batch-size 4 --knn-every 0 --view-sizes 16"
    run = done(f"{line} --precision bf16 --optimizer muon")
    assert run.options["stem"] == default_stem(backbone, 32)
    assert run.metrics["loss"] > 0


def test_a_run_of_timms_is_trained_probed_and_named_in_plain_letters(
    ssl: Cli, done: Callable[[str], Run], registry: Registry
) -> None:
    run = done(f"pretrain {TINY} --backbone timm:test_vit --precision fp32")
    assert (run.backbone, run.options["stem"]) == ("timm:test_vit", "size-32")
    assert run.id.startswith("simclr-timm-test-vit-shapes-s1-")
    assert registry.path(run.folder).is_dir()
    probed = done("probe --epochs 1 --precision fp32")
    assert (probed.backbone, probed.options["stem"]) == ("timm:test_vit", "size-32")
    assert ssl("predict --n 4").code == 0
    assert done("probe --epochs 1 --precision fp32 --init scratch").pair == probed.pair


def test_a_backbone_that_does_not_take_images_or_views_is_refused_before_there_is_a_run(ssl: Cli, registry: Registry) -> None:
    for line, words in (
        (
            "--backbone vit-tiny --view-sizes 32:0.5,8:0.5 --stem patch16",
            "vit-tiny with --stem patch16 does not take images of 8",
        ),
        ("--backbone convnext-tiny --view-sizes 8", "convnext-tiny with --stem patch2 does not take images of 8 pixels"),
        ("--backbone timm:eva02_tiny_patch14_224", "timm:eva02_tiny_patch14_224 does not take images of 32 pixels"),
        ("--backbone timm:test_vit --view-sizes 24", "does not take images of 24 pixels"),
        ("--backbone vit-tiny --stem conv3", "accepted: patch4, patch8, patch16"),
        ("--backbone vit-tiny --stem size-32", "accepted: patch4, patch8, patch16"),
        ("--backbone timm:test_vit --stem size-0", "accepted: size-N, for images of N pixels"),
        ("--backbone timm:test_vit --stem patch4", "accepted: size-N"),
        ("--backbone timm:resnett18", "similar are timm:resnet18"),
        ("--backbone timm:", "resnet9-large, timm:…"),
        ("--backbone timm:hf_hub:someone/something", "has no such model"),
        ("--backbone tim:resnet18", "accepted: resnet18, "),
    ):
        result = ssl(f"pretrain --dataset shapes --batch-size 32 {line}")
        assert (result.code, words in result.err) == (2, True), result.err
    assert registry.runs() == []


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(StateError, match=f"timm:resnet18 needs timm.*{re.escape(install_line('timm'))}"):
        hold_to_known("timm:resnet18")


def test_a_batch_norm_that_processes_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "world", lambda: 2)
    hold_to_side.cache_clear()
    hold_to_side("resnet9", stem="own", side=32)
    with pytest.raises(UsageError, match="mobilenetv3_small_050 has its own kind of batch norm, which 2 processes"):
        hold_to_side("timm:mobilenetv3_small_050", stem="size-32", side=32)
    hold_to_side.cache_clear()


def test_the_options_accept_what_timm_may_have_without_asking_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert Pretrain(backbone="timm:anything", stem="size-64").backbone == "timm:anything"


@pytest.mark.parametrize(("height", "width"), [(4, 6), (8, 8), (12, 5), (14, 20)])
def test_positions_resized_by_products_are_those_of_torch_with_their_gradient(height: int, width: int) -> None:
    torch.manual_seed(0)
    grids = [torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)]
    grids.append(grids[0].detach().clone().requires_grad_())
    made = [way(grid, height, width) for way, grid in zip((bicubic_by_products, bicubic), grids, strict=True)]
    weights = torch.randn_like(made[0])
    for one in made:
        (one * weights).sum().backward()
    assert torch.allclose(*made, rtol=0, atol=1e-12)
    assert torch.allclose(grids[0].grad, grids[1].grad, rtol=0, atol=1e-12)  # type: ignore[arg-type]
