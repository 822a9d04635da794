"""Check every run's files against their recorded hashes, and every field of its record against its sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from sslcli.errors import UserError
from sslcli.options.pairing import begun_with, pair_key
from sslcli.runs.naming import file_of_method, init_label
from sslcli.runs.proofs import CODE, Evidence, changed
from sslcli.runs.registry import Registry
from sslcli.runs.run import INDEX_FIELDS, Attempt, Code, Origin, Run

LookCloser = Callable[[Run], tuple[list[str], list[str]]]

NAMED_TWICE = ("name", "protocol", "at_epoch", "dataset", "backbone", "seed", "label_fraction")
"""Fields that are also in the options."""
GOOD, BAD = "as recorded", "not as recorded"
PUBLISHED = "published: numbers only, not provable here"


def look(registry: Registry, run: Run, look_closer: LookCloser | None) -> tuple[str, str]:
    """A run's state in a word or two, and a remark ("" for none).

    `look_closer` also checks its checkpoints and logits: what is not as recorded, and what is unproven.
    """
    if registry.status(run) == "running":
        return "running, not looked at", ""
    if run.status == "published" and not made_here(registry, run):
        return PUBLISHED, ""
    problems = check(registry, run)
    there = registry.path(f"{run.folder}/run.yaml").exists()
    found, unproven = look_closer(run) if look_closer is not None and there else ([], [])
    problems += found
    if problems:
        return BAD, "; ".join(dict.fromkeys(problems))
    fields = f"; an earlier version wrote its checkpoint, so not proven: {', '.join(unproven)}"
    return GOOD, f"{GOOD}{fields}" if unproven else ""


def made_here(registry: Registry, run: Run) -> bool:
    """Whether a run marked as published has files here, or a record with more than its index entry and a note."""
    folder = registry.path(run.folder)
    if any(path.is_file() and path.name != "run.yaml" and path.name[0] != "." for path in folder.rglob("*")):
        return True
    try:
        record = registry.load(run)
    except UserError:
        return True
    return record != Run(**{name: getattr(record, name) for name in INDEX_FIELDS})


def check(registry: Registry, run: Run) -> list[str]:
    """What is wrong with a run's files, and within its record, in words; empty if nothing is."""
    if not registry.path(f"{run.folder}/run.yaml").exists():
        return [f"missing: {run.folder}/run.yaml"]
    try:
        record = registry.load(run)
    except UserError as error:
        return [f"damaged: {error}"]
    problems = []
    index, own = run.index_entry(), record.index_entry()
    if unequal := [f"{key} ({index.get(key)} against {own.get(key)})" for key in index | own if index.get(key) != own.get(key)]:
        remedy = registry.command("ssl runs rebuild")
        problems.append(
            f"changed: registry.yaml and run.yaml disagree in {', '.join(unequal)}; if run.yaml is right, type: {remedy}"
        )
    return problems + _files(registry, record) + _kept_code(registry, record) + changed(record, [by_itself(record)])


def _files(registry: Registry, record: Run) -> list[str]:
    """Checkpoints that are missing, changed, or not recorded."""
    problems, folder = [], registry.path(f"{record.folder}/checkpoints")
    for file, hashes in record.checkpoints.items():
        path = registry.path(f"{record.folder}/checkpoints/{file}")
        if not path.exists():
            problems.append(f"missing: {path}")
        elif (found := hashlib.sha256(path.read_bytes()).hexdigest()) not in hashes:
            recorded = f"recorded is {hashes[0][:12]}…" if hashes else "none is recorded"
            problems.append(f"damaged: {path} has sha256 {found[:12]}…, {recorded}")
    if record.status in ("finished", "published"):  # an unfinished run may have died before it wrote its record
        foreign = sorted(path for path in folder.glob("*.pt") if path.name not in record.checkpoints)
        problems += [f"foreign: {path} is not recorded" for path in foreign]
    return problems


def _kept_code(registry: Registry, record: Run) -> list[str]:
    """The run's copy of its method's file, if it is missing or not the one that was trained."""
    if not (recorded := _code(record).get("sha256")):
        return []
    path = registry.path(f"{record.folder}/{CODE}")
    if not path.exists():
        return [f"missing: {path}"]
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return [f"damaged: {path} has sha256 {found[:12]}…, recorded is {str(recorded)[:12]}…"] * (found != recorded)


def by_itself(record: Run) -> Evidence:
    """Evidence from a record's own fields: repeated values, the pair from the options, the end of its last attempt."""
    options, origin = record.options, _origin(record)
    values: dict[str, object] = {name: options[name] for name in NAMED_TWICE if name in options}
    if record.method is not None and "method" in options:
        values["method"] = _code(record).get("name") if file_of_method(options["method"]) else options["method"]
    values["status"] = status = _status(record)
    values["error"] = record.error if status == "failed" else None
    if options or record.pair:
        pretraining = record.experiment == "pretrain"
        values["init"] = (init_label("", origin) or None) if pretraining else init_label(str(options.get("init")), origin)
        fingerprint = begun_with(str(record.data.get("sha256")), *[origin, _code(record)] * pretraining)
        values["pair"] = _key(record, fingerprint)
        values["setup"] = _key(record, fingerprint, but=("seed",))
    file = file_of(replace(record, status=status))
    if file in record.checkpoints or status == "finished":
        values["checkpoint"] = f"{record.folder}/checkpoints/{file}"
        values["sha256"] = next(iter(record.checkpoints.get(file, [])), None)
    if "status" in (last := _last_attempt(record)) or (last and record.status not in ("running", "interrupted")):
        values["attempts.last.status"] = record.status
    return Evidence("record", values)


def file_of(record: Run) -> str:
    """The main checkpoint of a run: last.pt of pretraining and of unfinished runs, else best.pt."""
    evaluated = record.experiment != "pretrain" and record.status in ("finished", "published")
    return "best.pt" if evaluated else "last.pt"


def _origin(record: Run) -> Origin:
    """The file that a run started from; {} if the record has no valid entry for one."""
    origin = record.data.get("init")
    known = isinstance(origin, dict) and all(isinstance(origin.get(name), str) for name in ("file", "sha256"))
    return origin if origin and known else {}


def _code(record: Run) -> Code:
    """The record of the file of a method outside the program; {} without one."""
    code = record.data.get("method")
    return code if isinstance(code, dict) else {}


def _last_attempt(record: Run) -> Attempt:
    last: Attempt = record.attempts[-1] if record.attempts else {}
    return last if isinstance(last, dict) else {}


def _status(record: Run) -> str:
    """How a run's last attempt ended. One without an end was killed, or is still running."""
    unknown = record.status if record.status == "running" else "interrupted"
    return str(_last_attempt(record).get("status", unknown))


def _key(record: Run, fingerprint: str, *, but: tuple[str, ...] = ()) -> str | None:
    try:
        return pair_key(record.experiment, record.options, fingerprint, but=but)
    except TypeError:  # edited into something that is not an option
        return None
