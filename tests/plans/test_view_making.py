"""What pretraining is shown: two views of each image, each of its own, and others at every step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sslcli.data.image_data import ImageData
from sslcli.methods.method import ViewSpec
from sslcli.options.pretrain import Pretrain
from sslcli.plans.pretraining import training_of
from sslcli.plans.views import view_maker, with_strengths
from sslcli.training.context import Context
from sslcli.training.device import autocast

STEPS = 10


def options(**more: object) -> Pretrain:
    known = {"batch_size": 16, "epochs": 2, "view_sizes": "16:0.5,32:0.5", "lr": 0.1, "weight_decay": 0.0, "warmup_epochs": 0.0}
    made: Pretrain = with_strengths(Pretrain(backbone="resnet9", stem="own", **known | more), 32)  # type: ignore[arg-type]
    return made


@pytest.fixture
def context() -> Context:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 32, 32), generator=random, dtype=torch.uint8)
    labels = torch.arange(40) % 2
    data = ImageData(train_images=images, train_labels=labels, test_images=images, test_labels=labels, classes=("a", "b"))
    cpu = torch.device("cpu")
    return Context(data, cpu, autocast(cpu, "fp32"), "", "fp32")


@pytest.fixture
def views_of(context: Context) -> Callable[[int], list[Tensor]]:
    make = view_maker(options(), context, STEPS, views=(ViewSpec(count=2),))
    return lambda step: make(step, (context.data.train_images[:16],))


def differing(first: Tensor, second: Tensor) -> int:
    return int(((first - second).abs().amax((1, 2, 3)) > 0.01).sum())


def test_the_two_views_of_an_image_are_drawn_apart(views_of: Callable[[int], list[Tensor]]) -> None:
    first, second = views_of(0)
    assert differing(first, second) == 16


def test_every_step_has_views_of_its_own_and_always_the_same(views_of: Callable[[int], list[Tensor]]) -> None:
    assert all(torch.equal(one, again) for one, again in zip(views_of(3), views_of(3), strict=True))
    assert differing(views_of(3)[0], views_of(4)[0]) == 16


def test_views_have_the_size_that_their_part_of_the_training_asks_for(views_of: Callable[[int], list[Tensor]]) -> None:
    assert [views_of(step)[0].shape[-1] for step in (0, 4, 5, 9)] == [16, 16, 32, 32]


def test_pretraining_leaves_out_the_images_that_fill_no_batch_and_tells_views_apart(context: Context) -> None:
    method, training = training_of(options(view_sizes="32"), context)
    assert (training.epoch_steps, training.steps) == (2, 4)
    batch = training.batch_at(0)
    views = training.views_of(0, batch)
    same = training.loss_of([views[0], views[0]], batch)[0]
    assert training.loss_of(views, batch)[0] > same
    trained = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in method.parameters()}


def test_views_are_as_many_as_large_and_as_strongly_augmented_as_their_specifications_say(context: Context) -> None:
    plain = {"crop_min": 1.0, "aspect": 1.0, "flip": 0.0, "jitter": 0.0, "grey": 0.0}
    specs = (ViewSpec(augmentation=plain), ViewSpec(augmentation={**plain, "grey": 1.0}), ViewSpec(count=3, part=0.5))
    make, images = view_maker(options(), context, STEPS, views=specs), context.data.train_images[:16]
    mean, std = (values.view(3, 1, 1) for values in context.data.normalisation)
    for step, side in ((0, 16), (9, 32)):
        whole, grey, *small = make(step, (images,))
        assert [tuple(view.shape) for view in (whole, grey, *small)] == [(16, 3, side, side)] * 2 + [
            (16, 3, side // 2, side // 2)
        ] * 3
        coloured = grey * std + mean
        assert torch.allclose(coloured[:, 0], coloured[:, 2], atol=1e-5)
        assert not torch.allclose((whole * std + mean)[:, 0], (whole * std + mean)[:, 2], atol=1e-2)
        assert differing(small[0], small[1]) == differing(small[1], small[2]) == 16
    assert torch.allclose(whole, context.data.normalise(images), atol=1e-4)


def test_a_method_is_shown_the_rows_of_its_images_and_the_step(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    method, training = training_of(options(view_sizes="32"), context)
    shown = []
    forward = method.forward
    monkeypatch.setattr(method, "forward", lambda batch, step: shown.append((batch, step)) or forward(batch, step))
    for step in (0, 3):
        training.loss_at(step)
        batch, told = shown[-1]
        assert told == step
        assert torch.equal(context.data.train_images[batch.rows], training.batch_at(step)[0])
        assert [len(view) for view in batch.views] == [len(batch.rows)] * 2 == [16, 16]
