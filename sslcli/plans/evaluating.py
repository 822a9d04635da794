"""The plan of an evaluation."""

from __future__ import annotations

from sslcli.data.loading import load_data
from sslcli.options.probe import DEFAULTS, Probe
from sslcli.options.trainings import EvaluationT
from sslcli.plans.data_access import Load, count_labels
from sslcli.plans.elsewhere import with_network
from sslcli.plans.folds import check_folds
from sslcli.plans.inheriting import fill, inherit, settle_encoder, settle_epoch
from sslcli.plans.plan import Plan
from sslcli.plans.settling import prepare
from sslcli.plans.weights_file import plan_of
from sslcli.runs.paths import located
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def plan(registry: Registry, command: EvaluationT, *, load: Load = load_data) -> Plan[EvaluationT]:
    """Set every option, most of them from the pretrain run, and load the data."""
    command = with_network(registry, settle_encoder(registry, command))
    inherited, parent = inherit(registry, command)
    return settle(registry, settle_epoch(inherited, parent), parent, load=load)


def plan_beside(registry: Registry, command: EvaluationT, parent: Run, *, load: Load = load_data) -> Plan[EvaluationT]:
    """The plan of an evaluation of a pretrain run that need not be finished, or beside it from scratch.

    The caller knows that the run will keep the checkpoint of --at-epoch.
    """
    named = with_network(registry, command.because(f"--encoder {parent.id}", encoder=parent.id))
    filled = fill(named, located(registry, parent.options), f"from pretrain run {parent.id}")
    return settle(registry, filled, parent if command.init == "pretrained" else None, load=load)


def settle(registry: Registry, inherited: EvaluationT, parent: Run | None, *, load: Load = load_data) -> Plan[EvaluationT]:
    """The plan of a command that already has its pretrain run's options.

    Options that the protocol does not use get their defaults, even if a study sets them for all probes: equal numbers then
    have equal keys.
    """
    if isinstance(inherited, Probe):
        inherited = inherited.because("default", **{name: DEFAULTS[name] for name in inherited.foreign()})
    context, options = prepare(registry, inherited, load=load)
    labels, protocol = count_labels(options, context.data), options.by_protocol
    if isinstance(options, Probe) and options.folds is not None:
        check_folds(registry, options, context.data, dataset=str(options.dataset), labels=options.labels)
    own = protocol.own(options.options())
    if protocol.check is not None:
        protocol.check(own, labels)
    options = options.because("from other options", **protocol.settle(own))
    return plan_of(options, context, parent, protocol=protocol)
