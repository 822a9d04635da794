"""Test every labelled image once: in each fold a classifier that was trained, and chosen, on the other folds alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch

from sslcli.console.messages import say
from sslcli.data.split import split
from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.protocols.protocol import Frozen, Outcome, Search, Steps
from sslcli.evaluation.represented import Represented
from sslcli.evaluation.test_logits import IN_FOLDS, Kept, figures_in_folds, keep
from sslcli.plans.folds import Folds, draw_folds
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.lifecycle import Stop
from sslcli.workflows.rates import best_rate, trained, trial_of


def evaluate_in_folds(
    registry: Registry, run: Run, frozen: Frozen, evaluate: Callable[[Frozen, Steps], Outcome], *, folds: int, stop: Stop
) -> dict[str, float]:
    """Save the logits of all labelled images, each from the fold in which it is tested; returns the metrics.

    `evaluate(frozen, steps)` is the protocol with its options; each fold gives it the others to train and to choose on.
    The representations are those that were computed for the evaluation; the encoder saw no label of any fold.
    """
    drawn = draw_folds(registry, run.dataset or "", frozen.context.data, folds=folds, seed=frozen.seed)
    h = _in_order(frozen)
    logits = torch.zeros(len(h), len(frozen.context.data.classes))
    steps = Steps(partial(trained, title=run.id, stop=stop), _rate_of, partial(trial_of, run, stop=stop))
    for number in range(folds):
        say(f"{run.id}: fold {number + 1} of {folds}")
        of_fold = replace(frozen, h=_represented(h, drawn, number, frozen))
        logits[drawn.fold == number] = evaluate(of_fold, steps).test_logits.float().cpu()
    kept = Kept(logits.numpy(), drawn.labels.numpy(), drawn.indices.numpy())
    keep(registry.path(f"{run.folder}/{IN_FOLDS}"), kept)
    return figures_in_folds(kept) | {"folds_count": folds}


def _in_order(frozen: Frozen) -> torch.Tensor:
    """h of all labelled images, in the order of their positions: training and validation images, then test images."""
    places = torch.cat([frozen.parts.train, frozen.parts.val]).cpu()
    h = torch.cat([frozen.h.train, frozen.h.val])
    return torch.cat([h[places.argsort().to(h.device)], frozen.h.test])


def _represented(h: torch.Tensor, drawn: Folds, number: int, frozen: Frozen) -> Represented:
    """The representations for one fold: its images are the test; the others are split into training and validation."""
    others, tested = ((drawn.fold == number) == which for which in (False, True))
    rest = others.nonzero().flatten()
    parts = split(drawn.labels[rest], seed=frozen.seed)
    device, labels = h.device, drawn.labels.to(h.device)
    train, val, test = (rows.to(device) for rows in (rest[parts.train], rest[parts.val], tested.nonzero().flatten()))
    mean, std = standardisation(h[train])
    return Represented(h[train], labels[train], h[val], labels[val], h[test], labels[test], train, mean, std, frozen.h.classes)


def _rate_of(search: Search) -> float:
    """The best rate that the search finds; nothing is recorded."""
    tried: dict[float, float] = {}
    known: Mapping[float, float] = tried
    for found in search(known):
        tried |= found
    return best_rate(tried)
