"""Encoders from elsewhere in a study: checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sslcli.errors import UsageError
from sslcli.options.mapping import build
from sslcli.options.presets import Step, begun_with
from sslcli.options.pretrain import Pretrain
from sslcli.options.study import Study
from sslcli.plans.data_access import Load
from sslcli.plans.elsewhere import NETWORKS, with_network
from sslcli.plans.settling import prepare
from sslcli.plans.weights_file import take_stock
from sslcli.runs.naming import INIT_WORDS, network_in
from sslcli.runs.registry import Registry


def of_pretrained(evaluations: Sequence[Step]) -> list[Step]:
    """The evaluations of the study's own pretraining: a pretraining from others' weights has no scratch partner of its own."""
    return [(kind, arguments) for kind, arguments in evaluations if arguments.get("init") == "pretrained"]


def hold_to_encoders(registry: Registry, command: Study, steps: Sequence[Step], *, load: Load) -> None:
    """A UsageError if an encoder of --beside or --continue-from does not fit these data, a StateError if it is not here."""
    own = next((arguments for kind, arguments in steps if kind == "pretrain"), {})
    for option, init in _asked(command):
        if init in INIT_WORDS:
            raise UsageError(f"{option} {init}: accepted is a file of weights, or {NETWORKS}")
        if network_in(init) is None and "minutes" in own and "backbone" not in own:
            raise UsageError(
                f"{option} {init}: --minutes chooses the backbone, so say whose weights these are; accepted is {NETWORKS}"
            )
        try:
            here = {"device": "cpu"}  # only checked, also for a place with GPUs that are not here
            settled = with_network(registry, build(Pretrain, begun_with(init, own) | here))
            take_stock(prepare(registry, settled, load=load)[1])
        except UsageError as error:
            raise UsageError(f"{option} {init}: {error}") from error


def _asked(command: Study) -> Iterator[tuple[str, str]]:
    """The options that name an encoder, each with one."""
    yield from (("--beside", init) for init in command.beside or [])
    if command.continue_from is not None:
        yield "--continue-from", command.continue_from
