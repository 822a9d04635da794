"""Protocols: ways to measure an encoder, one file each. Imports no torch: protocols import it inside their functions."""

from __future__ import annotations

from dataclasses import fields
from typing import NoReturn

from sslcli.errors import StateError
from sslcli.evaluation.protocols import finetune, knn, linear, linear_augmented, logistic
from sslcli.evaluation.protocols.protocol import AnyProtocol, Protocol

PROTOCOLS: dict[str, AnyProtocol] = {entry.key: entry for entry in (
    linear.PROTOCOL, linear_augmented.PROTOCOL, logistic.PROTOCOL, knn.PROTOCOL, finetune.PROTOCOL,
)}  # fmt: skip
"""Every protocol by key, in display order. The first is the default of `ssl probe`."""


def usual() -> AnyProtocol:
    """The default protocol of `ssl probe`."""
    return next(iter(PROTOCOLS.values()))


def made_by(command: str, chosen: str | None) -> AnyProtocol:
    """The protocol with the key `chosen`; without a key, the first protocol of the command."""
    return PROTOCOLS[chosen or next(key for key, protocol in PROTOCOLS.items() if protocol.command == command)]


def usual_of(experiment: str) -> AnyProtocol | None:
    """The first protocol of an experiment; None if the experiment holds no evaluations."""
    return next((protocol for protocol in PROTOCOLS.values() if protocol.experiment == experiment), None)


def protocol_named(key: str | None, experiment: str) -> AnyProtocol:
    """The protocol that a record names; if it names none, the first protocol of its experiment.

    An unknown protocol, perhaps of a newer version, has only its key as a name, and cannot evaluate.
    """
    if key is None and (found := usual_of(experiment)) is not None:
        return found
    name = key or experiment
    return PROTOCOLS.get(name) or Protocol(key=name, name=name, meaning="", experiment=experiment, evaluate=_not_known)


def _not_known(*_: object) -> NoReturn:
    raise StateError("this version of ssl does not know the run's protocol; use the version that started it, or a newer one")


def own_options(command: str) -> dict[str, tuple[str, ...]]:
    """For each option of a command that only some protocols have: the keys of these protocols.

    A TypeError if two protocols use the same name for options of different classes.
    """
    found: dict[str, tuple[str, ...]] = {}
    for protocol in PROTOCOLS.values():
        for option in fields(protocol.options) if protocol.command == command else ():
            others = found.get(option.name, ())
            if any(PROTOCOLS[key].options is not protocol.options for key in others):
                raise TypeError(f"two classes of protocol options have an option {option.name!r}")
            found[option.name] = (*others, protocol.key)
    return found


def evaluations() -> tuple[str, ...]:
    """The experiments that hold evaluations: all but pretraining."""
    return tuple(dict.fromkeys(protocol.experiment for protocol in PROTOCOLS.values()))
