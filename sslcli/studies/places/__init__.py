"""Places where a study's jobs run, one file each. A place imports the package that it needs inside its functions."""

from __future__ import annotations

from sslcli.errors import UsageError, did_you_mean
from sslcli.options.study import Study
from sslcli.runs.registry import Registry
from sslcli.studies.places import local, ray, slurm
from sslcli.studies.places.place import Asked, Entry, Place

PLACES: dict[str, Entry] = {entry.key: entry for entry in (local.PLACE, slurm.PLACE, ray.PLACE)}
"""Every place by the word that --on takes; the first is the default."""


def place_named(on: str) -> Entry:
    """The place that `--on` names, with or without what follows a colon; a UsageError if there is none of that name."""
    key = on.partition(":")[0]
    if key not in PLACES:
        forms = ", ".join(entry.form for entry in PLACES.values())
        raise UsageError(f"--on {on!r}: there is no such place; {did_you_mean(key, PLACES)}accepted: {forms}")
    return PLACES[key]


def open_place(registry: Registry, command: Study) -> Place:
    """The place of a study, ready to take jobs. A UserError if it cannot be used."""
    return place_named(command.on).open(Asked(registry=registry, command=command, where=command.on.partition(":")[2]))
