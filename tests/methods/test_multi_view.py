"""More views of an image than two, and small ones: which methods take them, what they are shown, and what is compared."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sslcli.distributed import own_part
from sslcli.methods import METHODS, methods_with, options_of
from sslcli.methods.method import Batch, Method
from sslcli.methods.multi_view import pairs, representations
from sslcli.methods.simclr import nt_xent
from sslcli.models.encoder import Encoder
from sslcli.runs.run import Run
from tests.conftest import TINY, Cli
from tests.small_methods import small_batch, small_method

LARGE, SMALL = methods_with("views"), methods_with("small_views")


def test_the_methods_whose_losses_take_any_number_of_views_have_the_option() -> None:
    assert {"simclr", "barlow-twins", "vicreg", "sigreg"} <= set(LARGE)
    assert {"simclr", "vicreg", "sigreg", "swav", "dino"} <= set(SMALL)


@pytest.mark.parametrize("name", sorted({*LARGE, *SMALL}))
def test_a_method_asks_for_as_many_views_as_were_chosen_and_for_two_by_default(name: str) -> None:
    assert sum(spec.count for spec in small_method(name).views if spec.part == 1) == 2
    wanted = {option: count for option, count in (("views", 5), ("small_views", 3)) if option in options_of(name)}
    method = small_method(name, **wanted)
    counts = {spec.part: spec.count for spec in method.views}
    assert counts == {1.0: wanted.get("views", 2)} | ({0.5: 3} if "small_views" in wanted else {})
    assert method(small_batch(method), 0)[0].isfinite()


@pytest.mark.parametrize("name", LARGE)
def test_no_view_comes_before_another(name: str) -> None:
    method = small_method(name, views=4)
    views, rows = small_batch(method)

    def loss_of(*order: int) -> Tensor:
        torch.manual_seed(0)
        loss: Tensor = method(Batch([views[i] for i in order], rows), 0)[0]
        return loss

    for order in ([3, 1, 2, 0], [1, 2, 3, 0]):
        assert torch.allclose(loss_of(*order), loss_of(0, 1, 2, 3), rtol=1e-10)
    assert not torch.allclose(loss_of(0, 1, 0, 1), loss_of(0, 1, 2, 3), rtol=1e-3)


def test_simclr_of_two_views_computes_the_bits_that_it_computed_before_there_were_more() -> None:
    def before(method: Method, views: list[Tensor]) -> Tensor:
        z = nn.functional.normalize(method.project(method.encoder(torch.cat(views))))
        first, second = z.chunk(2)
        return nt_xent(first, second, temperature=0.5, rows=own_part(len(first)))

    found = []
    for loss_of in (before, lambda method, views: method(Batch(views, torch.arange(len(views[0]))), 0)[0]):
        method = small_method("simclr").float()
        loss = loss_of(method, [view.float() for view in small_batch(method).views])
        found.append([loss, *torch.autograd.grad(loss, list(method.parameters()))])
    assert all(torch.equal(old, new) for old, new in zip(*found, strict=True))


def test_two_small_views_are_never_compared() -> None:
    assert pairs(2, 0) == [(0, 1)]
    assert pairs(3, 0) == [(0, 1), (0, 2), (1, 2)]
    assert pairs(2, 2) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3)]


def test_views_of_one_side_go_through_the_encoder_at_once_and_come_out_in_their_order() -> None:
    passes = []

    def net(images: Tensor) -> Tensor:
        passes.append(images.shape)
        return images.mean((1, 2, 3))[:, None]

    encoder = Encoder(nn.Identity(), 1)
    encoder.forward = net  # type: ignore[method-assign]
    views = [torch.full((2, 3, side, side), float(number)) for number, side in enumerate((8, 8, 4, 4, 4))]
    assert representations(encoder, views)[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert passes == [(4, 3, 8, 8), (6, 3, 4, 4)]


@pytest.mark.parametrize("option", ["views", "small_views"])
def test_bounds_are_said_and_a_method_without_the_option_refuses_it(ssl: Cli, option: str) -> None:
    typed = f"--{option.replace('_', '-')}"
    most, least = {"views": (8, 2), "small_views": (16, 0)}[option]
    for name in methods_with(option):
        result = ssl(f"pretrain --method {name} {typed} {most + 1} --dry-run")
        assert (result.code, f"{typed} {most + 1}: accepted is a whole number from {least} to {most}" in result.err) == (
            2,
            True,
        )
    for name in METHODS.keys() - methods_with(option):
        result = ssl(f"pretrain --method {name} {typed} 3 --dry-run")
        assert (result.code, f"with --method {name} leave it out" in result.err) == (2, True)


@pytest.mark.parametrize("line", ["--method simclr --views 3 --small-views 2", "--method dino --small-views 3"])
def test_a_run_of_more_views_is_recorded_and_ssl_views_draws_as_many_of_it_as_it_is_asked_for(
    ssl: Cli, done: Callable[[str], Run], line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = done(f"pretrain {TINY} --max-steps 2 --view-sizes 16 --knn-every 0 {line}")
    assert run.options["small_views"] == (2 if "simclr" in line else 3)
    assert run.options.get("views") == (3 if "simclr" in line else None)
    columns: list[int] = []
    draw = "sslcli.gallery.views.draw_views"
    monkeypatch.setattr(draw, lambda rows, **_: columns.append(len(rows[0])))
    monkeypatch.setattr("sslcli.gallery.views.save_picture", lambda *_, **__: None)
    for typed, wanted in (("", 4), ("--views 2", 2)):
        shown = ssl(f"views --run {run.id} --n 2 {typed}")
        assert shown.code == 0, shown.err
        assert columns.pop() == 1 + wanted  # beside the image
