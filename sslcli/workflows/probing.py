"""An evaluation of a frozen encoder carried out, by any protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from sslcli.console.messages import say
from sslcli.errors import Interrupted
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.protocols.protocol import AnyProtocol, Frozen, Steps
from sslcli.models.classifier import Classifier
from sslcli.options.probe import Probe
from sslcli.plans.inheriting import starting_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.lifecycle import running
from sslcli.workflows.finishing import finish, report
from sslcli.workflows.rates import rate_of
from sslcli.workflows.representations import fixed_of, represent, standardised_as_begun
from sslcli.workflows.training_run import begun_state, train


def carry_out(registry: Registry, run: Run, options: Probe, context: Context) -> Run:
    """Evaluate a run that is in the registry, to its end."""
    protocol = PROTOCOLS[options.protocol]
    assert protocol.evaluate is not None
    with running(registry, run) as stop, _stopped_in_words(run, protocol):
        encoder = starting_encoder(registry, run, options).to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        h = represent(run, encoder, options, context)
        go_on = partial(train, registry, run, stop=stop)
        if protocol.by_steps:
            begun = begun_state(registry, run)
            h = standardised_as_begun(run, h, encoder, begun)
            go_on = partial(go_on, begun=begun, fixed=fixed_of(h, encoder))
        frozen = Frozen(encoder, context, options.seed or 0, h)
        outcome = protocol.evaluate(frozen, protocol.own(options.options()), Steps(go_on, partial(rate_of, registry, run)))
        classifier = Classifier(encoder, len(context.data.classes)).to(context.device)
        if outcome.head is not None:
            classifier.head.load_state_dict(outcome.head.state_dict())
            classifier.fold_standardisation(h.mean, h.std)
        finish(registry, run, classifier, context, outcome)
    report(run)
    return run


@contextmanager
def _stopped_in_words(run: Run, protocol: AnyProtocol) -> Iterator[None]:
    """Of a protocol that keeps nothing on the way, say to whom stops it that going on is starting again."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if not protocol.by_steps:
            say(f"{run.id}: {protocol.name} keeps nothing on the way: ssl resume starts it again")
        raise
