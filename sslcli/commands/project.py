"""Where a command works and what counts as the same: imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sslcli import config
from sslcli.config import INIT_WORDS, Command, weights_path
from sslcli.data import FOLDER
from sslcli.errors import StateError
from sslcli.registry import EXPERIMENTS, Registry, Run, find_project

NOT_IN_PAIR = ("init", "encoder", "at_epoch", "name", "data_dir", "download", "device", "deterministic", "labels", "image_size",
               "fit")  # fmt: skip
"""Options in which the two runs of a pair may differ: init, the encoder that it stands for, where things are, and what the
fingerprint of the data tells.
"""

READERS = (
    config.Compare, config.RunsList, config.RunsShow, config.RunsVerify, config.Report, config.Plots, config.Map,
    config.Predict, config.Export, config.Embed, config.Neighbours,
)  # fmt: skip
"""The commands that need a project that is there already."""


def say(text: str) -> None:
    """A message to the person, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def open_registry(command: Command) -> Registry:
    """The registry of the project that a command works in."""
    named = command.project or os.environ.get("SSL_PROJECT")
    root = Path(named) if named else find_project(Path.cwd())
    if root.exists() and not root.is_dir():
        raise StateError(f"--project {root} is not a folder")
    if not root.exists() and type(command) in READERS:
        raise StateError(f"--project {root}: there is no such folder; to make a study in it, type: ssl study --project {root}")
    return Registry(root.resolve())


def study_runs(registry: Registry, study: str | None) -> list[Run]:
    """The runs made here of a study, else of the newest one, oldest first; a StateError if there are none."""
    own = [run for run in registry.runs() if run.status != "published"]
    if not own:
        raise StateError(
            f"there are no runs with files in {registry.root}; to make some, type: {registry.command('ssl study')}"
        )
    wanted = newest_study([run for run in own if run.at_epoch is None] or own) if study is None else study
    if chosen := [run for run in own if run.study == wanted]:
        return chosen
    names = ", ".join(dict.fromkeys(run.study for run in own if run.study)) or "none"
    raise StateError(f"no study made here is called {study!r}; there are: {names}")


def newest_study(runs: list[Run]) -> str | None:
    """The study to show where none was named; None: what is of no study. Says so where something newer is passed over.

    Runs of no study that are newer than the newest study are shown in its place if they hold a finished pair.
    """
    studies = list(dict.fromkeys(run.study for run in reversed(runs) if run.study))
    alone = [run for run in runs if run.study is None]
    newer = runs[max((place for place, run in enumerate(runs, 1) if run.study), default=0) :]
    if not studies or not newer:
        return runs[-1].study
    evaluations = [run for run in alone if run.experiment != "pretrain" and run.status == "finished"]
    if any(_has_partner(run, evaluations) for run in newer if run in evaluations):
        return None
    others = [f"{len(alone)} run{'s' * (len(alone) > 1)} of no study", *(f"study {name}" for name in studies[1:])]
    say(f"shown is study {studies[0]}; there is also: {', '.join(others)} (ssl runs list)")
    return studies[0]


def newest_pairs(runs: list[Run]) -> list[list[Run]]:
    """For each protocol and part of the labels the newest run, finished if one is, and its partner; pretrained first.

    Others' weights stand beside scratch where nothing pretrained here does. Probes of earlier epochs are left out.
    """
    groups: dict[tuple[str | None, ...], list[Run]] = {}
    shown = [run for run in runs if run.at_epoch is None]
    own = {run.id for run in shown if run.experiment == "pretrain" or run.init in INIT_WORDS}
    for run in sorted(shown, key=lambda run: (run.id in own, run.status == "finished"))[::-1]:
        group = groups.setdefault((run.experiment, run.protocol, str(run.label_fraction)), [])
        one_is_scratch = [run.init, *(other.init for other in group)].count("scratch") == 1
        if not group or (len(group) == 1 and run.pair == group[0].pair and one_is_scratch):
            group.append(run)
    order = [*EXPERIMENTS]
    pairs = [sorted(group, key=lambda run: run.init == "scratch") for group in groups.values()]
    return sorted(pairs, key=lambda pair: (order.index(pair[0].experiment), -(pair[0].label_fraction or 1)))


def share_label(share: float | None) -> str:
    """A part of the labels as a piece of a name: _0p1 for a tenth, nothing for all."""
    return "" if share in (None, 1) else f"_{share:.6g}".replace("0.", "0p")


def folder_name(run: Run) -> str:
    """Where the pictures of an experiment go: its name, or its protocol if that is not the usual one; and the labels' part."""
    usual = run.protocol in (None, "linear", run.experiment)
    name = run.experiment if usual else (run.protocol or "").replace("-", "_")
    return f"{name}{share_label(run.label_fraction)}"


WORDS = {"pretrain": "pretraining", "linear_eval": "linear evaluation", "knn": "kNN", "finetune": "fine-tuning"}
PROTOCOLS = {"linear": "linear evaluation", "linear-augmented": "linear evaluation on augmented images",
             "logistic": "logistic regression", "knn": "kNN", "finetune": "fine-tuning"}  # fmt: skip
"""Every protocol in words, in the order in which they are shown."""
UNTRAINED = ("logistic", "knn")
"""The protocols that have no epochs."""


def in_words(experiment: str, label_fraction: float | None, at_epoch: int | None = None, protocol: str | None = None) -> str:
    """An experiment in words, with the part of the labels and the epoch of the encoder if they are not all and the last."""
    labels = "" if label_fraction in (None, 1) else f" on {100 * label_fraction:g} % of the labels"
    return PROTOCOLS.get(protocol or "", WORDS[experiment]) + labels + (f" after epoch {at_epoch}" if at_epoch else "")


def heading(words: str) -> str:
    """Words as they stand at the head of something; kNN stays as it is."""
    return words if words.startswith("kNN") else f"{words[:1].upper()}{words[1:]}"


def comparable(options: dict[str, Any]) -> dict[str, Any]:
    """The options that the two runs of a pair share. Of a folder its place is none: the fingerprint tells what is in it."""
    shared = {name: value for name, value in options.items() if name not in NOT_IN_PAIR}
    return shared | ({"dataset": FOLDER} if str(shared.get("dataset")).startswith(FOLDER) else {})


PATHS = ("data_dir", "labels")
"""Options of a run that are paths; of the data set folder:PATH a part is, and --init may be one."""


def located(registry: Registry, options: dict[str, Any]) -> dict[str, Any]:
    """Options as a run has recorded them, their paths, which are relative to the project, made absolute."""
    found = _with_paths(options, lambda path: os.path.normpath(registry.root / path))
    return found | {name: Path(found[name]) for name in PATHS if found.get(name) is not None}


def recorded(registry: Registry, options: dict[str, Any]) -> dict[str, Any]:
    """Options as a run records them: their paths, which are relative to the current folder, made relative to the project."""
    return _with_paths(options, lambda path: os.path.relpath(os.path.expanduser(path), registry.root))


def _with_paths(options: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    changed = {name: change(str(options[name])) for name in PATHS if options.get(name) is not None}
    name = options.get("dataset") or ""
    if name.startswith(FOLDER):
        changed["dataset"] = FOLDER + change(name.removeprefix(FOLDER))
    if (weights := weights_path(options.get("init") or "scratch")) is not None:
        changed["init"] = os.path.join(os.curdir, change(str(weights)))  # never one of the words that --init has
    return options | changed


def absolute_dataset(dataset: str) -> str:
    """A data set's name, the path of a folder made absolute."""
    if not dataset.startswith(FOLDER):
        return dataset
    return FOLDER + os.path.abspath(os.path.expanduser(dataset.removeprefix(FOLDER)))


def dataset_word(dataset: str | None) -> str:
    """A data set as a piece of a file's name: of a folder its own name, in lower-case ASCII."""
    if not (dataset or "").startswith(FOLDER):
        return dataset or ""
    plain = unicodedata.normalize("NFKD", Path((dataset or "").removeprefix(FOLDER)).name).encode("ascii", "ignore").decode()
    return f"folder-{re.sub(r'[^a-z0-9]+', '-', plain.lower()).strip('-') or 'pictures'}"


def pair_key(experiment: str, options: dict[str, Any], fingerprint: str, *, but: tuple[str, ...] = ()) -> str:
    """Twelve hexadecimal digits that are equal for runs on equal data whose options differ in `init`, and `but`, alone."""
    shared = {name: value for name, value in comparable(options).items() if name not in but}
    text = json.dumps([experiment, shared, fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changed_options(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The options in which two runs differ and a pair may not, in words: name (old against new)."""
    first, second = comparable(old), comparable(new)
    return [
        f"{key} ({first.get(key)} against {second.get(key)})" for key in first | second if first.get(key) != second.get(key)
    ]


def settle_encoder(registry: Registry, command: Any) -> Any:
    """`--encoder` as the id of the pretrain run that it names, for the record; as it is where there is none to name."""
    try:
        found = registry.find(command.encoder, experiment="pretrain", status="finished")
    except StateError:
        if command.encoder != "latest" and (other := _any_run(registry, command.encoder)):
            raise StateError(
                f"--encoder {command.encoder}: {other.id} is a run of {WORDS[other.experiment]}, {registry.status(other)}; "
                f"accepted is a finished pretrain run; to see all, type: {registry.command('ssl runs list')}"
            ) from None
        return command
    return command.because(f"--encoder {command.encoder}", encoder=found.id)


def _any_run(registry: Registry, selector: str) -> Run | None:
    try:
        return registry.find(selector)
    except StateError:
        return None


def next_command(registry: Registry) -> str:
    """What a person would most likely want to do now."""
    own = [run for run in registry.runs() if run.status != "published"]
    if not own:
        return registry.command("ssl study")
    last = own[-1]
    if registry.status(last) in ("interrupted", "failed"):
        return recorded_command(registry, last) if last.study else registry.command(f"ssl resume {last.id}")
    evaluations = [r for r in own if r.experiment != "pretrain" and r.status == "finished" and r.at_epoch is None]
    if last.experiment == "pretrain" or not evaluations:
        return registry.command("ssl probe")
    newest = evaluations[-1]
    complete = newest.init not in INIT_WORDS or _has_partner(newest, evaluations)
    return registry.command("ssl compare") if complete else partner_command(registry, newest)


def _has_partner(run: Run, evaluations: list[Run]) -> bool:
    return any(other.pair == run.pair and {other.init, run.init} == set(INIT_WORDS) for other in evaluations)


def init_label(init: str, origin: dict[str, Any]) -> str:
    """What the registry calls an init: its word; or the name and sha256 of others' weights, `origin`, which are in no pair."""
    if not origin:
        return init
    stem = re.sub(r"(\.(pth?|ckpt|tar|safetensors|torch))+$", "", origin["file"].lower())
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:24].strip("-")
    name = "-".join(filter(None, (stem, origin["sha256"][:8])))
    return f"pretrained-from-{name}" if init == "pretrained" else f"file-{name}"


def partner_command(registry: Registry, run: Run) -> str:
    """The command that makes the partner of an evaluation: the one that made it, with the other --init.

    It names the pretrain run where a newer one would be taken without. A study makes what it lacks when it is started again.
    """
    record = record_or_index(registry, run)
    if _words(record)[1] == "study":
        return recorded_command(registry, run)
    addition = f"--init {'scratch' if run.init == 'pretrained' else 'pretrained'}"
    return recorded_command(registry, run, f"{addition} {_encoder_option(registry, record)}".strip())


def _encoder_option(registry: Registry, record: Run) -> str:
    """The option that gives the partner of an evaluation the same pretrain run, "" if it would get that one anyway."""
    finished = [run for run in registry.runs() if (run.experiment, run.status) == ("pretrain", "finished")]
    fitting = [run for run in finished if (run.backbone, run.seed) == (record.backbone, record.seed)]
    if not fitting:
        return "" if record.seed is None else f"--seed {record.seed}"
    of_its_data = [run for run in fitting if run.dataset == record.dataset]
    named = [run for run in fitting if run.id in (record.parent, record.options.get("encoder"))]
    chosen = (named or of_its_data or fitting)[-1]
    said = any(word.partition("=")[0] == "--encoder" for word in _words(record))
    return f"--encoder {chosen.id}" if said or chosen is not finished[-1] else ""


def _words(record: Run) -> list[str]:
    """The words of the command that made a run; of a run that has none on record, of the usual one."""
    words = shlex.split(record.command or "")
    return words if len(words) > 1 else ["ssl", EXPERIMENTS[record.experiment]]


def recorded_command(registry: Registry, run: Run, addition: str = "") -> str:
    """The command that made a run, to be typed from here, with options added or changed."""
    words = _words(record_or_index(registry, run))
    of_the_run = [] if words[1] == "study" else ["--name", "--at-epoch"]  # a study's name says which study
    for option in ("--project", *of_the_run, *(word for word in addition.split() if word.startswith("--"))):
        while option in words:
            del words[words.index(option) : words.index(option) + 2]
        words = [word for word in words if not word.startswith(f"{option}=")]
    return registry.command(shlex.join([*words, *addition.split()]))


def record_or_index(registry: Registry, run: Run) -> Run:
    """The whole record of a run; what the index has where its folder is lost."""
    try:
        return registry.load(run)
    except StateError:
        return run
