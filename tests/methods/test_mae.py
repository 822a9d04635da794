"""MAE: which patches are hidden, what an encoder sees of an image, and with which backbones it goes."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from sslcli.methods import FILES
from sslcli.methods.method import Batch
from sslcli.methods.patches import pixels_of, positions_of, shuffled
from sslcli.models import BACKBONES
from sslcli.models.backbones.vit import AnySizeViT
from sslcli.models.encoder import build_encoder
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import build_method
from tests.conftest import Cli
from tests.small_methods import small_batch, small_method

PATCHES, MASK = 16, (1 << 64) - 1


def orders(*, key: int = 5, step: int = 0, rows: torch.Tensor) -> torch.Tensor:
    return shuffled(PATCHES, key=key, step=torch.tensor(step), rows=rows)


def splitmix(x: int) -> int:
    """The end of splitmix64, in Python's numbers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def test_an_order_is_that_of_numbers_which_splitmix64_makes_of_seed_step_row_and_patch() -> None:
    golden, key, step, row = 0x9E3779B97F4A7C15, 2**55 + 7, 3, 49_999
    of_image = splitmix(splitmix(step + key) + row * golden & MASK)
    numbers = [splitmix(of_image + patch * golden & MASK) for patch in range(PATCHES)]
    signed = [number - (number >> 63 << 64) for number in numbers]
    expected = sorted(range(PATCHES), key=signed.__getitem__)
    assert orders(key=key, step=step, rows=torch.tensor([row]))[0].tolist() == expected


def test_an_images_order_depends_on_seed_step_and_image_and_on_nothing_else() -> None:
    rows = torch.randperm(1000)[:64]
    whole = orders(rows=rows)
    assert torch.equal(torch.cat([orders(rows=rows[:10]), orders(rows=rows[10:])]), whole)
    assert whole.sort(1).values.equal(torch.arange(PATCHES).expand(64, -1))
    for other in (orders(rows=rows, step=1), orders(rows=rows, key=6), orders(rows=rows + 1)):
        assert (other != whole).any(1).all()


def test_every_patch_is_hidden_as_often_as_another_and_so_is_every_pair() -> None:
    """75 % of 20,000 images; a pair 75 % times 11 of 15. The bounds are five standard deviations."""
    hidden = torch.zeros(20_000, PATCHES, dtype=torch.float64).scatter(1, orders(rows=torch.arange(20_000))[:, 4:], 1.0)
    assert (hidden.mean(0) - 0.75).abs().max() < 5 * (0.75 * 0.25 / 20_000) ** 0.5
    pairs = (hidden.T @ hidden / 20_000)[~torch.eye(PATCHES, dtype=torch.bool)]
    assert (pairs - 0.55).abs().max() < 5 * (0.55 * 0.45 / 20_000) ** 0.5


def test_the_seed_of_a_run_and_each_step_change_the_masks_and_a_method_built_again_has_the_same() -> None:
    def keyed(seed: int) -> int:
        method = build_method(Pretrain(method="mae", backbone="vit-tiny", stem="patch4", seed=seed))
        assert (int(method.step), method.z_dim) == (0, None)  # type: ignore[arg-type]
        method.after_step(0.5)
        assert int(method.state_dict()["step"]) == 1
        return method.key  # type: ignore[return-value]

    assert keyed(1) == keyed(1) != keyed(2)


def test_patches_have_their_pixels_row_after_row_colours_last() -> None:
    images = torch.randn(2, 3, 11, 9)
    unfolded = F.unfold(images[..., :8, :8], 4, stride=4).mT.reshape(2, 4, 3, 16).mT.reshape(2, 4, 48)
    assert torch.equal(pixels_of(images, 4), unfolded)


def test_positions_tell_all_patches_apart_and_rows_from_columns() -> None:
    positions = positions_of(5, 7, 32, like=torch.zeros((), dtype=torch.float64))
    assert positions.shape == (35, 32)
    assert torch.cdist(positions, positions)[~torch.eye(35, dtype=torch.bool)].min() > 0.1
    grid = positions.view(5, 7, 2, 16)
    assert torch.equal(grid[:, 0, 0], grid[:, 6, 0])
    assert torch.equal(grid[0, :, 1], grid[4, :, 1])


def test_an_encoders_tokens_are_made_of_the_patches_that_are_shown_alone() -> None:
    torch.manual_seed(0)
    vit = AnySizeViT("patch4", dim=12, heads=3).double().eval()
    images, shown = torch.randn(3, 3, 16, 16, dtype=torch.float64), torch.tensor([[7, 0, 9], [1, 2, 3], [15, 4, 8]])
    tokens = vit.tokens(images, shown)
    assert tokens.shape == (3, 4, 12)
    painted = images.clone()
    for image, places in zip(painted, shown.tolist(), strict=True):
        for place in set(range(16)) - set(places):
            image[:, place // 4 * 4 : place // 4 * 4 + 4, place % 4 * 4 : place % 4 * 4 + 4] = 9.0
    assert torch.equal(vit.tokens(painted, shown), tokens)
    assert not torch.allclose(vit.tokens(painted), vit.tokens(images))
    all_of_them = torch.arange(16).flip(0).expand(3, -1)
    back = vit.tokens(images, all_of_them)
    assert torch.allclose(torch.cat([back[:, :1], back[:, 1:].flip(1)], 1), vit.tokens(images), rtol=0, atol=1e-12)
    assert torch.equal(vit(images), vit.tokens(images)[:, 0])


def test_what_is_shown_of_an_image_is_not_in_the_loss_as_a_target() -> None:
    method = small_method("mae")
    batch = small_batch(method)
    order = shuffled(16, key=method.key, step=method.step, rows=batch.rows)  # type: ignore[arg-type]
    method.embed.register_forward_hook(lambda *_: torch.zeros(8, 5, 32, dtype=torch.float64))  # what is shown tells nothing
    repainted = deepcopy(batch.views[0])
    for image, (place, *_) in zip(repainted, order.tolist(), strict=True):
        image[:, place // 4 * 4 : place // 4 * 4 + 4, place % 4 * 4 : place % 4 * 4 + 4] += 3.0 * torch.randn(3, 4, 4)
    assert torch.equal(method(batch._replace(views=[repainted]), 0)[0], method(batch, 0)[0])
    for image, (*_, place) in zip(repainted, order.tolist(), strict=True):
        image[:, place // 4 * 4 : place // 4 * 4 + 4, place % 4 * 4 : place % 4 * 4 + 4] += 3.0 * torch.randn(3, 4, 4)
    assert not torch.allclose(method(batch._replace(views=[repainted]), 0)[0], method(batch, 0)[0])


def test_it_learns_to_predict_what_is_hidden_and_its_representations_stay_apart() -> None:
    """Of slopes of any direction what is shown tells what is hidden. Who predicts the mean of each patch has 47/48."""
    method = small_method("mae")
    random = torch.Generator().manual_seed(0)
    down, right = torch.randn(2, 64, 3, 1, 1, generator=random, dtype=torch.float64)
    along = torch.linspace(-1, 1, 16, dtype=torch.float64)
    batch = Batch([down * along[:, None] + right * along], torch.arange(64))
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    losses = []
    for step in range(90):
        loss, _ = method(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(0.0)
        losses.append(loss.item())
    assert sum(losses[:5]) / 5 > 0.9
    assert sum(losses[-5:]) / 5 < 0.5
    assert method.encoder(batch.views[0]).std(0).min() > 0.1


@pytest.mark.parametrize(("ratio", "shown"), [(0.75, 4), (0.5, 8), (0.9, 1), (0.99, 1), (0.01, 15)])
def test_so_many_patches_are_shown_one_at_least_and_one_is_hidden(ratio: float, shown: int) -> None:
    method = small_method("mae", mask_ratio=ratio)
    seen: list[int] = []
    method.embed.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1] - 1))
    method(small_batch(method), 0)
    assert seen == [shown]


def test_the_backbones_that_it_takes_give_tokens_and_others_are_refused_by_name(ssl: Cli) -> None:
    accepted = FILES["mae"].backbones
    assert set(accepted) == {name for name, entry in BACKBONES.items() if ".vit:" in entry.build}
    for name in accepted:
        assert isinstance(build_encoder(name, stem="patch8", seed=0).backbone, AnySizeViT)
    for backbone in ("resnet18", "convnext-tiny", "resnet9"):
        result = ssl(f"pretrain --method mae --backbone {backbone} --dataset shapes --batch-size 32")
        words = f"ssl: --method mae with --backbone {backbone}: accepted are vit-tiny, vit-small"
        assert (result.code, words in result.err) == (2, True), result.err
    width = ssl("pretrain --method mae --backbone vit-tiny --decoder-dim 48 --dataset shapes --batch-size 32")
    assert (width.code, "--decoder-dim 48: accepted are multiples of 32" in width.err) == (2, True), width.err
