"""ssl probe: a frozen encoder measured by linear evaluation, logistic regression or kNN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from sslcli.data.image_data import load_data
from sslcli.errors import Interrupted, UsageError
from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.evaluation.protocols.protocol import Frozen, Protocol, Steps
from sslcli.models.classifier import Classifier
from sslcli.options.command import DEFAULTS, Probe
from sslcli.plans.data_access import Load, take_labels
from sslcli.plans.settling import Plan, Setting, prepare, start
from sslcli.plans.weights_file import plan_of
from sslcli.runs.registry import Registry, Run
from sslcli.runs.selection import open_registry, say
from sslcli.training.lifecycle import running
from sslcli.workflows.finishing import finish, inherit, report, settle_encoder, settle_epoch, starting_encoder
from sslcli.workflows.rates import rate_of
from sslcli.workflows.representations import fixed_of, represent, standardised_as_begun
from sslcli.workflows.training_run import begun_state, train


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
    protocol = PROTOCOLS[options.protocol]
    if protocol.check is not None:
        protocol.check(protocol.own(options.options()), len(parts.train) + len(parts.val))
    return plan_of(options, setting, parent, protocol=protocol)


def carry_out(registry: Registry, run: Run, options: Probe, setting: Setting) -> Run:
    """Evaluate a run that is in the registry, to its end."""
    protocol = PROTOCOLS[options.protocol]
    assert protocol.evaluate is not None
    with running(registry, run) as stop, _stopped_in_words(run, protocol):
        encoder = starting_encoder(registry, run, options).to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        h = represent(run, encoder, options, setting)
        go_on = partial(train, registry, run, stop=stop)
        if protocol.by_steps:
            begun = begun_state(registry, run)
            h = standardised_as_begun(run, h, encoder, begun)
            go_on = partial(go_on, begun=begun, fixed=fixed_of(h, encoder))
        frozen = Frozen(encoder, setting, options.seed or 0, h)
        outcome = protocol.evaluate(frozen, protocol.own(options.options()), Steps(go_on, partial(rate_of, registry, run)))
        classifier = Classifier(encoder, len(setting.data.classes)).to(setting.device)
        if outcome.head is not None:
            classifier.head.load_state_dict(outcome.head.state_dict())
            classifier.fold_standardisation(h.mean, h.std)
        finish(registry, run, classifier, setting, outcome)
    report(run)
    return run


@contextmanager
def _stopped_in_words(run: Run, protocol: Protocol) -> Iterator[None]:
    """Of a protocol that keeps nothing on the way, say to whom stops it that going on is starting again."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if not protocol.by_steps:
            say(f"{run.id}: {protocol.name} keeps nothing on the way: ssl resume starts it again")
        raise
