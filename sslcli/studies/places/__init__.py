"""Places where a study's jobs run, one file each. A place imports the package that it needs inside its functions."""

from __future__ import annotations

from sslcli.errors import UsageError
from sslcli.options.values import did_you_mean
from sslcli.studies.places import local, ray, slurm
from sslcli.studies.places.place import Asked, Entry, Place

PLACES: dict[str, Entry] = {entry.key: entry for entry in (local.PLACE, slurm.PLACE, ray.PLACE)}
"""Every place by the word that --on takes; the first is the default."""


def open_place(asked: Asked, on: str) -> Place:
    """The place that `--on` names, ready to take jobs. A UserError if there is none of that name, or if it cannot be used."""
    key, _, where = on.partition(":")
    if key not in PLACES:
        forms = ", ".join(entry.form for entry in PLACES.values())
        raise UsageError(f"--on {on!r}: there is no such place; {did_you_mean(key, PLACES)}accepted: {forms}")
    return PLACES[key].open(Asked(registry=asked.registry, command=asked.command, where=where))
