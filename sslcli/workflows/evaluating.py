"""Carry out an evaluation, with any protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch

from sslcli.console.messages import say
from sslcli.errors import Interrupted
from sslcli.evaluation.protocols.protocol import AnyProtocol, Frozen, Outcome, Start, Steps
from sslcli.options.probe import Probe
from sslcli.options.trainings import EvaluationT
from sslcli.plans.inheriting import starting_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.lifecycle import Stop, running
from sslcli.workflows.finishing import finish, report
from sslcli.workflows.in_folds import evaluate_in_folds
from sslcli.workflows.rates import rate_of, trial_of
from sslcli.workflows.representations import fixed_of, represent, standardised_as_begun
from sslcli.workflows.training_run import begun_state, train


def carry_out(registry: Registry, run: Run, options: EvaluationT, context: Context) -> Run:
    """Evaluate a run of the registry, from its last checkpoint if it has one, to its end."""
    protocol, seed = options.by_protocol, options.seed or 0
    with running(registry, run) as stop, _stopped_in_words(run, protocol):
        encoder = starting_encoder(registry, run, options).to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        parts = context.data.split(seed=seed, label_fraction=options.label_fraction)
        start, steps = _begin(registry, run, protocol, Start(encoder, context, seed, parts), stop)
        own = protocol.own(options.options())
        outcome = protocol.evaluate(start, own, steps)
        if isinstance(start, Frozen) and isinstance(options, Probe) and options.folds is not None:
            of_fold: Callable[[Frozen, Steps], Outcome] = lambda frozen, steps: protocol.evaluate(frozen, own, steps)  # noqa: E731
            figures = evaluate_in_folds(registry, run, start, of_fold, folds=options.folds, stop=stop)
            outcome = replace(outcome, figures=outcome.figures | figures)
        finish(registry, run, context, outcome)
    report(run)
    return run


def _begin(registry: Registry, run: Run, protocol: AnyProtocol, start: Start, stop: Stop) -> tuple[Start, Steps]:
    """The protocol's input, and how it trains; a frozen encoder computes its representations of all images here, once."""
    go_on = partial(train, registry, run, stop=stop)
    if protocol.frozen:
        h = represent(run, start)
        if protocol.by_steps:
            begun = begun_state(registry, run)
            h = standardised_as_begun(run, h, start.encoder, begun)
            go_on = partial(go_on, begun=begun, fixed=fixed_of(h, start.encoder))
        start = Frozen(start.encoder, start.context, start.seed, start.parts, h)
    return start, Steps(go_on, partial(rate_of, registry, run), partial(trial_of, run, stop=stop))


@contextmanager
def _stopped_in_words(run: Run, protocol: AnyProtocol) -> Iterator[None]:
    """When a run without checkpoints is stopped, say that ssl resume starts it again."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if not protocol.by_steps:
            say(f"{run.id}: {protocol.name} has no checkpoints: ssl resume starts it again")
        raise
