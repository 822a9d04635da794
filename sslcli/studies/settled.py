"""What --minutes has settled in a study before: for other seeds, for a study typed again, and for its other methods."""

from __future__ import annotations

from collections.abc import Mapping

from sslcli.bench.cost import FREE
from sslcli.bench.minutes import RECIPE, settled_of
from sslcli.methods import MethodFile
from sslcli.options.pretrain import Pretrain
from sslcli.plans.method_file import code_of
from sslcli.runs.choices import Choices
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

SHARED = ("backbone", "stem", "view_sizes")
"""What all methods of a study have in common: so they differ in nothing else, and have one scratch partner."""


def settled_before(
    registry: Registry, before: list[Run], arguments: Mapping[str, object]
) -> tuple[Mapping[str, object], Choices]:
    """A pretraining's arguments with the settings that the study found before for the same minutes, and its choices.

    Settings of the same method are taken whole, so another seed has the same steps, and a restarted study repeats nothing,
    however busy the machine is now. They count if a step costs the same. Another method takes SHARED from it; its steps are
    timed.
    """
    minutes, method = arguments.get("minutes"), Pretrain.file_of(str(arguments.get("method", Pretrain.method)))
    if not minutes or method is None:
        return arguments, {}
    begun = "init" in arguments  # with others' weights, which have a network of their own
    every = [registry.load(run) for run in reversed(before) if run.experiment == "pretrain" and (run.init is not None) == begun]
    of_others = []
    for record in (record for record in every if record.choices.get("minutes") == minutes):
        if record.encoder_method != method.name:
            of_others.append(record)
        elif record.data.get("method", {}) == code_of(method) and _costs_the_same(record, arguments, method):
            settled = {name: record.options[name] for name in settled_of(method)}
            chosen: Choices = {"minutes": record.choices["minutes"], "given": record.choices.get("given", [])}
            return settled | {name: value for name, value in arguments.items() if name != "minutes"}, chosen
    for record in of_others:
        if _given(record, SHARED) <= arguments.keys() and _agree(record, arguments, SHARED):
            return {name: record.options[name] for name in SHARED} | dict(arguments), {
                "given": sorted(arguments.keys() - {"minutes"})
            }
    return arguments, {}


def _of_cost(method: MethodFile) -> set[str]:
    """The options that change the cost of a step of a method, or its views."""
    return {*RECIPE, *SHARED, *method.options} - set(FREE) | {"view_sizes"}


def _costs_the_same(record: Run, arguments: Mapping[str, object], method: MethodFile) -> bool:
    """Whether a step of a run costs what one with these arguments would, and what was given for it is given here, too."""
    usual = {
        name: method.in_minutes.get(name, option.default) for name, option in method.options.items() if name in record.options
    }
    return _given(record, settled_of(method)) <= arguments.keys() and _agree(record, {**usual, **arguments}, _of_cost(method))


def _given(record: Run, names: tuple[str, ...]) -> set[str]:
    """Those of the options that were given for a run, not settled. Older records do not say: none."""
    return {*record.choices.get("given", ())} & {*names}


def _agree(record: Run, arguments: Mapping[str, object], names: set[str] | tuple[str, ...]) -> bool:
    """Whether a run was made with the values that the arguments give to these options."""
    return all(arguments[name] in ("auto", record.options.get(name)) for name in names if name in arguments)
