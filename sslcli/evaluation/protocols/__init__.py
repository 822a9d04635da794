"""Protocols: ways to measure an encoder, a file each. Imports no torch: a protocol's file imports it where it computes."""

from __future__ import annotations

from dataclasses import fields
from typing import NoReturn

from sslcli.errors import StateError
from sslcli.evaluation.protocols import finetune, knn, linear, linear_augmented, logistic
from sslcli.evaluation.protocols.protocol import AnyProtocol, Protocol

PROTOCOLS: dict[str, AnyProtocol] = {
    entry.key: entry
    for entry in (
        linear.PROTOCOL,
        linear_augmented.PROTOCOL,
        logistic.PROTOCOL,
        knn.PROTOCOL,
        finetune.PROTOCOL,
    )
}
"""Every protocol by its key, in the order in which they are shown. The first is what `ssl probe` does if not told otherwise."""


def usual() -> AnyProtocol:
    """The protocol of `ssl probe` where none was chosen."""
    return next(iter(PROTOCOLS.values()))


def made_by(command: str, chosen: str | None) -> AnyProtocol:
    """The protocol of a command's runs: the one that its options name, else the first that the command makes."""
    return PROTOCOLS[chosen or next(key for key, protocol in PROTOCOLS.items() if protocol.command == command)]


def usual_of(experiment: str) -> AnyProtocol | None:
    """The first protocol whose runs an experiment holds; None if it holds no evaluations."""
    return next((protocol for protocol in PROTOCOLS.values() if protocol.experiment == experiment), None)


def protocol_named(key: str | None, experiment: str) -> AnyProtocol:
    """The protocol that a record names; of a record that names none, the usual one of its experiment.

    One that is not known here, as a newer version could have written it, is its key and nothing else.
    """
    if key is None and (found := usual_of(experiment)) is not None:
        return found
    name = key or experiment
    return PROTOCOLS.get(name) or Protocol(key=name, name=name, meaning="", experiment=experiment, evaluate=_not_known)


def _not_known(*_: object) -> NoReturn:
    raise StateError("this version of ssl does not know the run's protocol; use the version that began the run, or a newer one")


def own_options(command: str) -> dict[str, tuple[str, ...]]:
    """The options of a command that belong to some protocols alone, to the keys of these protocols.

    A TypeError where two protocols mean different things by one name: they share a class of options, or differ in names.
    """
    found: dict[str, tuple[str, ...]] = {}
    for protocol in PROTOCOLS.values():
        for option in fields(protocol.options) if protocol.command == command else ():
            others = found.get(option.name, ())
            if any(PROTOCOLS[key].options is not protocol.options for key in others):
                raise TypeError(f"two classes of options of protocols have an option {option.name!r}")
            found[option.name] = (*others, protocol.key)
    return found


def evaluations() -> tuple[str, ...]:
    """The experiments that hold evaluations: all but pretraining."""
    return tuple(dict.fromkeys(protocol.experiment for protocol in PROTOCOLS.values()))
