"""Options that distinguish evaluations that a table would show as equal: kNN with another k, another pretraining. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sslcli.comparison.differences import but_for_seed
from sslcli.options.of_methods import OF_METHODS
from sslcli.options.pairing import NOT_IN_PAIR, defaults_of_newer
from sslcli.options.pretrain import Pretrain
from sslcli.runs.naming import INIT_WORDS, file_of_method
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

OF_DATA = ("labels", "image_size", "fit")
SHOWN = ("seed", "protocol", "dataset", "label_fraction", "run", "dry_run")
LEFT_OUT = {*NOT_IN_PAIR, *SHOWN} - {*OF_DATA}
"""Options that are not settings, or that every table shows."""
OF_TIME = ("epochs", "max_steps", "warmup_epochs", "knn_every")
"""The options that --minutes sets, or that follow from these: equal minutes are other numbers for each method."""
MOST = 4  # options to name at most; two pretrainings may differ in more
MOST_SETTINGS = 100  # settings to distinguish at most; reading the records of more would take longer than reading the table
COMMON = {*Pretrain.__dataclass_fields__, "data"} - {*OF_METHODS}
Settings = Mapping[str, str]
"""By run id: the options that distinguish it from its neighbours, such as "k 200, temperature 0.1"; others are left out."""

NO_SETTINGS: Settings = MappingProxyType({})


def settings_in_words(registry: Registry, runs: Sequence[Run], setups: Mapping[str, str | None]) -> Settings:
    """What distinguishes evaluations of the same protocol, data set, label fraction and epoch, apart from seeds.

    An encoder from elsewhere has a name of its own, and so is distinguished only from itself. `setups` are the setups of
    pretrain runs by id. Records are read only if there is something to distinguish. Nothing is given for a run without a record
    (a published run), or for more than MOST_SETTINGS settings.
    """
    known = dict(setups)
    alike: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        other = None if run.init in INIT_WORDS else run.init
        alike.setdefault((run.experiment, run.protocol, run.dataset, run.label_fraction, run.at_epoch, other), []).append(run)
    found: dict[str, str] = {}
    for group in alike.values():
        settings: dict[tuple[Any, ...], list[Run]] = {}
        for run in group:
            settings.setdefault(but_for_seed(run, known), []).append(run)
        several = len(settings) > len({run.init for run in group}) or len({run.setup or run.pair for run in group}) > 1
        if several and len(settings) <= MOST_SETTINGS:
            found |= _told_apart(registry, list(settings.values()))
    return found


def _told_apart(registry: Registry, settings: Sequence[Sequence[Run]]) -> dict[str, str]:
    """For the runs of each setting, the options that not all settings share."""
    own = [_options(record_or_index(registry, runs[0])) for runs in settings]
    known = {run.id: run for run in registry.runs()} if any(runs[0].parent for runs in settings) else {}
    parents = [known.get(runs[0].parent or "") for runs in settings]
    of_parents = [_options(record_or_index(registry, parent)) if parent else {} for parent in parents]
    begun = [number for number, options in enumerate(of_parents) if options]
    words = _differing(own)
    for number, among in zip(begun, _of_pretrainings([of_parents[number] for number in begun]), strict=True):
        words[number] += [f"pretraining's {word}" for word in among if word not in words[number]]
    return {run.id: _listed(found) for runs, found in zip(settings, words, strict=True) for run in runs if found}


def _options(record: Run) -> dict[str, Any]:
    """The setting in a record; empty if nothing was recorded."""
    recorded = defaults_of_newer(record.experiment, record.options) | record.options if record.options else {}
    options = {name: value for name, value in recorded.items() if name not in LEFT_OUT}
    hashes = {"data": record.data, "code": record.data.get("method", {})} if options else {}
    chosen = {name: record.choices[name] for name in ("minutes", "settings") if options and name in record.choices}
    return options | chosen | {name: held["sha256"][:12] for name, held in hashes.items() if "sha256" in held}


def _differing(options: Sequence[dict[str, Any]]) -> list[list[str]]:
    """For each setting, names and values of the options that not all share; unrecorded options do not count."""
    recorded = [values for values in options if values]
    first = recorded[0] if recorded else {}
    shared = {name for name, value in first.items() if all(other.get(name) == value for other in recorded)}
    return [_in_words({name: value for name, value in values.items() if name not in shared}) for values in options]


def _of_pretrainings(options: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The options in which pretrainings differ. The method has its own column; its options distinguish only its own runs.

    So do the steps that fitted into its minutes, and the rate that was tuned for it.
    """
    common = ({name: value for name, value in of.items() if name not in {*_own(of), "method", "settings"}} for of in options)
    words = _differing(list(common))
    for method in {_method(of) for of in options}:
        mine = [number for number, of in enumerate(options) if _method(of) == method]
        own = [{name: options[number][name] for name in _own(options[number])} for number in mine]
        for number, among in zip(mine, _differing(own), strict=True):
            words[number] += among
    return words


def _method(options: dict[str, Any]) -> Any:
    """The method; for one in a file only its class, because the file may have moved."""
    in_file = file_of_method(options.get("method"))
    return f":{in_file[1]}" if in_file else options.get("method")


def _own(options: dict[str, Any]) -> list[str]:
    """The recorded options that belong to the method, for one in a file its code, and what was settled or tuned for it."""
    known = (
        set(OF_METHODS) if file_of_method(options.get("method")) is None else options.keys() - COMMON - {"minutes", "settings"}
    )
    settled = {*OF_TIME} if "minutes" in options else set()
    tuned = {"lr"} if "settings" in options else set()
    return [name for name in options if name in known | settled | tuned]


def _in_words(differing: dict[str, Any]) -> list[str]:
    if len(differing) > 1:
        differing = {
            name: value for name, value in differing.items() if name != "data"
        }  # the reason why the data differ says more
    return [f"{name.replace('_', ' ')} {_value(value)}" for name, value in differing.items()]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _listed(words: Sequence[str]) -> str:
    rest = len(words) - MOST
    return ", ".join(words[:MOST]) + (f" and {rest} more" if rest > 0 else "")
