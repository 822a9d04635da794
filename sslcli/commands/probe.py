"""ssl probe: a frozen encoder measured by linear evaluation, logistic regression or kNN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslcli.commands.choosing import rate_of
from sslcli.commands.classify import Outcome, finish, inherit, report, settle_encoder, settle_epoch, starting_encoder
from sslcli.commands.common import Plan, Setting, prepare, start
from sslcli.commands.data_access import Load, take_labels
from sslcli.commands.others_weights import plan_of
from sslcli.commands.project import open_registry, say
from sslcli.commands.representations import Represented, fixed_of, represent, standardised_as_begun
from sslcli.commands.training_run import begun_state, train
from sslcli.config import DEFAULTS, Probe
from sslcli.data.augment import Augmentation, draw, make_views
from sslcli.data.batches import Batches, generator, hand_over
from sslcli.data.image_data import load_data, pick
from sslcli.errors import Interrupted, UsageError
from sslcli.evaluation.knn import knn_votes
from sslcli.evaluation.linear import MOMENTUM, RATES, HeadPerRate, search_rate
from sslcli.evaluation.logistic import fit_logistic
from sslcli.evaluation.metrics import score
from sslcli.evaluation.protocols import PROTOCOLS, protocol_named
from sslcli.models.classifier import Classifier
from sslcli.models.encoder import Encoder
from sslcli.registry import Registry, Run
from sslcli.training.lifecycle import running
from sslcli.training.loop import Metrics, Progress
from sslcli.training.optim import build_optimizer, warmup_cosine
from sslcli.training.parts import Batch, Loss, Training, batch_itself

CROPS = Augmentation(crop_min=0.2, flip=0.5, jitter=0.0, grey=0.0)  # of linear-augmented: crops and mirror images


def run(command: Probe) -> Run:
    """Start a new run; the record of it when it is finished."""
    for name, protocols in command.foreign().items():
        option, whose = f"--{name.replace('_', '-')} {getattr(command, name)}", " and ".join(protocols)
        raise UsageError(f"{option}: belongs to {whose}; with --protocol {command.protocol} leave it out")
    registry = open_registry(command)
    return start(registry, plan(registry, command), carry_out)


def plan(registry: Registry, command: Probe) -> Plan:
    """Settle every option, most of them from the pretrain run, and load the data."""
    inherited, parent = inherit(registry, settle_encoder(registry, command))
    return settle(registry, settle_epoch(inherited, parent), parent)


def settle(registry: Registry, inherited: Probe, parent: Run | None, *, load: Load = load_data) -> Plan:
    """The plan of a command that has its pretrain run's options already.

    What a study sets for all its probes stays at its default where the protocol has no use for it: equal numbers, equal key.
    """
    inherited = inherited.because("default", **{name: DEFAULTS[name] for name in inherited.foreign()})
    setting, options = prepare(registry, inherited, load=load)
    parts = take_labels(options, setting.data)
    if options.protocol == "knn" and options.k > (labelled := len(parts.train) + len(parts.val)):
        raise UsageError(f"--k {options.k}: accepted is at most the {labelled:,} images that have labels")
    return plan_of(options, setting, parent, protocol=PROTOCOLS[options.protocol])


def carry_out(registry: Registry, run: Run, options: Probe, setting: Setting) -> Run:
    """Evaluate a run that is in the registry, to its end."""
    with running(registry, run) as stop, _stopped_in_words(run):
        encoder = starting_encoder(registry, run, options).to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        h = represent(run, encoder, options, setting)
        if options.protocol == "knn":
            outcome = _knn(h, options)
        elif options.protocol == "logistic":
            outcome = _logistic(h)
        else:
            begun = begun_state(registry, run)
            h = standardised_as_begun(run, h, encoder, begun)
            go_on = partial(train, registry, run, stop=stop, begun=begun, fixed=fixed_of(h, encoder))
            if options.protocol == "linear":
                outcome = _linear(registry, run, options, h, go_on)
            else:
                outcome = _linear_augmented(options, setting, h, encoder, go_on)
        classifier = Classifier(encoder, len(setting.data.classes)).to(setting.device)
        if outcome.head is not None:
            classifier.head.load_state_dict(outcome.head.state_dict())
            classifier.fold_standardisation(h.mean, h.std)
        finish(registry, run, classifier, setting, outcome)
    report(run)
    return run


@contextmanager
def _stopped_in_words(run: Run) -> Iterator[None]:
    """Of a protocol that keeps nothing on the way, say to whom stops it that going on is starting again."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        protocol = protocol_named(run.protocol, run.experiment)
        if not protocol.by_steps:
            say(f"{run.id}: {protocol.name} keeps nothing on the way: ssl resume starts it again")
        raise


def _knn(h: Represented, options: Probe) -> Outcome:
    """All labelled training images answer: nothing is chosen, so none need be held out."""
    bank, labels = torch.cat([h.train, h.val]), torch.cat([h.train_labels, h.val_labels])
    votes = knn_votes(bank, labels, h.test, classes=h.classes, k=options.k, temperature=options.temperature)
    return Outcome(None, votes.log())


def _logistic(h: Represented) -> Outcome:
    train, val = h.standardised(h.train).cpu(), h.standardised(h.val).cpu()
    head, strength = fit_logistic(train, h.train_labels.cpu(), val, h.val_labels.cpu(), classes=h.classes)
    head = head.to(h.train.device)
    with torch.no_grad():
        val_acc = score(head(h.standardised(h.val)), h.val_labels, prefix="val")["val/acc"]
        return Outcome(head, head(h.standardised(h.test)), figures={"val_acc": val_acc, "c": strength})


def _linear(registry: Registry, run: Run, options: Probe, h: Represented, go_on: Callable[..., Progress]) -> Outcome:
    train_h, val_h, test_h = h.standardised(h.train), h.standardised(h.val), h.standardised(h.test)

    def search() -> dict[float, float]:
        batches = Batches(len(train_h), options.batch_size, seed=options.seed or 0, drop_last=False)
        rows = (train_h, h.train_labels, val_h, h.val_labels)
        return search_rate(*rows, classes=h.classes, epochs=options.epochs, batches=batches)

    rate = rate_of(registry, run, search)
    head, training = linear_training(train_h, h, options, rate=rate)

    @torch.no_grad()
    def evaluate(_: int) -> Metrics:
        return score(head(val_h), h.val_labels, prefix="val") | score(head(test_h), h.test_labels, prefix="test")

    progress = go_on(training, evaluate=evaluate)
    head.load_state_dict(progress.best["weights"])
    with torch.no_grad():
        return Outcome(head, head(test_h), progress, {"rate": rate})


def linear_training(train_h: Tensor, h: Represented, options: Probe, *, rate: float) -> tuple[nn.Linear, Training]:
    """A linear layer from zero, and its training on standardised representations of the training images."""
    head = zero_head(train_h.shape[1], h.classes).to(train_h.device)

    def batch_of(rows: Tensor) -> Batch:
        return train_h[rows], h.train_labels[rows]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        return F.cross_entropy(head(views[0]), batch[1]), {}

    return head, _by_sgd(head, batch_of, batch_itself, loss_of, h, options, rate=rate)


def _by_sgd(
    module: nn.Module,
    batch_of: Callable[[Tensor], Batch],
    views_of: Callable[[int, Batch], list[Tensor]],
    loss_of: Callable[[list[Tensor], Batch], Loss],
    h: Represented,
    options: Probe,
    *,
    rate: float,
) -> Training:
    """A training on the training images of h by SGD, a cosine from `rate` to 0; `batch_of` takes places among them."""
    seed = options.seed or 0
    batches = Batches(len(h.train), options.batch_size, seed=seed, drop_last=False)
    steps = options.epochs * batches.epoch_steps
    return Training(
        module=module, optimizer=build_optimizer(module, "sgd", lr=rate, weight_decay=0.0, momentum=MOMENTUM),
        batch_at=lambda step: batch_of(hand_over(batches.at(step), h.train.device)), views_of=views_of, loss_of=loss_of,
        lr_at=lambda step: warmup_cosine(step, steps=steps, warmup=0, lr=rate), steps=steps,
        epoch_steps=batches.epoch_steps, batch_size=options.batch_size, seed=seed,
    )  # fmt: skip


def _linear_augmented(
    options: Probe, setting: Setting, h: Represented, encoder: Encoder, go_on: Callable[..., Progress]
) -> Outcome:
    """The encoder, frozen, sees another crop of every training image each epoch; rate and epoch are chosen as in linear."""
    heads, training = augmented_training(encoder, h, options, setting)
    val_h, test_h = h.standardised(h.val), h.standardised(h.test)

    @torch.no_grad()
    def evaluate(_: int) -> Metrics:
        """The best rate's figures: which one that is, validation alone says."""
        val = [score(logits, h.val_labels, prefix="val") for logits in heads(val_h)]
        best = max(range(len(RATES)), key=lambda i: (val[i]["val/acc"], -val[i]["val/loss"]))
        return val[best] | score(heads(test_h)[best], h.test_labels, prefix="test") | {"rate": RATES[best]}

    progress = go_on(training, evaluate=evaluate)
    heads.load_state_dict(progress.best["weights"])
    rate = progress.best["metrics"]["rate"]
    head = nn.Linear(encoder.dim, h.classes, device=setting.device)
    index = RATES.index(rate)
    head.load_state_dict({"weight": heads.weight[index].detach(), "bias": heads.bias[index, 0].detach()})
    with torch.no_grad():
        return Outcome(head, head(test_h), progress, {"rate": rate})


def augmented_training(encoder: Encoder, h: Represented, options: Probe, setting: Setting) -> tuple[HeadPerRate, Training]:
    """A linear layer for each rate, and their training on what `encoder`, in evaluation mode, makes of crops."""
    data, seed = setting.data, options.seed or 0
    (height, width), (mean, std) = data.train_images.shape[-2:], data.normalisation
    heads = HeadPerRate(encoder.dim, h.classes).to(setting.device)

    def batch_of(rows: Tensor) -> Batch:
        return pick(data.train_images, h.rows[rows], setting.device), h.train_labels[rows]

    def views_of(step: int, batch: Batch) -> list[Tensor]:
        drawn = draw(len(batch[0]), height, width, CROPS, generator(seed, "views", step))
        view = make_views(batch[0], drawn, size=data.image_size, mean=mean, std=std)
        return [view.contiguous(memory_format=torch.channels_last)]

    def loss_of(views: list[Tensor], batch: Batch) -> Loss:
        with torch.no_grad(), setting.autocast():
            seen = encoder(views[0]).float()
        return heads.loss(h.standardised(seen), batch[1]), {}

    return heads, _by_sgd(heads, batch_of, views_of, loss_of, h, options, rate=1.0)


def zero_head(dim: int, classes: int) -> nn.Linear:
    """A linear layer that starts from zero, so that nothing random stands between the representation and its score."""
    head = nn.Linear(dim, classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return head
