"""The command to type next, and the commands that made the existing runs. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime

from sslcli.data import DATASETS, FOLDER
from sslcli.launch import without_plan
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.registry import Registry
from sslcli.runs.run import EXPERIMENTS, WAITING, Run
from sslcli.runs.selection import has_partner


def next_command(registry: Registry) -> str:
    """The command that a user most likely wants to type now."""
    own = [run for run in registry.runs() if run.status != "published"]
    if not own:
        return registry.command("ssl study")
    last, state = own[-1], registry.status(own[-1])
    study = [run for run in own if run.study is not None and run.study == last.study]
    if any(registry.status(run) == "running" for run in study):
        return registry.command(f"ssl status --watch --study {last.study}")
    if state == "running":
        return registry.command("ssl runs list")
    if state in ("interrupted", WAITING, "failed"):
        return recorded_command(registry, last) if last.study else registry.command(f"ssl resume {last.id}")
    if study and not _is_complete(registry, study):
        return recorded_command(registry, last)
    evaluations = [r for r in own if r.experiment != "pretrain" and r.status == "finished" and r.at_epoch is None]
    if last.experiment == "pretrain" or not evaluations:
        return registry.command("ssl probe")
    newest = evaluations[-1]
    if newest.init in INIT_WORDS and not has_partner(newest, evaluations):
        return partner_command(registry, newest)
    return _after_study(registry, study) if study else registry.command("ssl compare")


def evaluation_command(registry: Registry) -> str:
    """The command that leads to the first finished evaluation: what goes on here, else the one that makes an evaluation."""
    own = [run for run in registry.runs() if run.status != "published"]
    pretrained = any((run.experiment, run.status) == ("pretrain", "finished") for run in own)
    if pretrained and all(registry.status(run) in ("finished", "failed") for run in own):
        return registry.command("ssl probe")
    return next_command(registry)


def _is_complete(registry: Registry, study: list[Run]) -> bool:
    """Whether a study came to its end, where it writes its page: one that was stopped between two runs has no newer page."""
    page = registry.root / "results" / f"{study[-1].study}.html"
    return page.exists() and page.stat().st_mtime >= datetime.fromisoformat(study[-1].created or "2000-01-01").timestamp()


def _after_study(registry: Registry, study: list[Run]) -> str:
    """What follows a finished study, which has printed its comparison: after made pictures real ones; after one seed more
    seeds; then the encoder of a person's own pictures, or a check of every number.
    """
    last = study[-1]
    if (known := DATASETS.get(last.dataset or "")) is not None and known.size is None:
        return registry.command("ssl study --preset cifar10-laptop --download")
    if len({run.seed for run in study}) == 1 and _words(record_or_index(registry, last))[:2] == ["ssl", "study"]:
        return recorded_command(registry, last, "--seeds 3")
    return registry.command("ssl export" if (last.dataset or "").startswith(FOLDER) else "ssl runs verify --numbers")


def partner_command(registry: Registry, run: Run) -> str:
    """The command that makes the partner of an evaluation: the command of the evaluation, with the other --init.

    It names the pretrain run if a newer one would be taken otherwise. A study makes missing runs when it is started again.
    """
    record = record_or_index(registry, run)
    if _words(record)[1] == "study":
        return recorded_command(registry, run)
    addition = f"--init {'pretrained' if run.init == 'scratch' else 'scratch'}"
    return recorded_command(registry, run, f"{addition} {_encoder_option(registry, record)}".strip())


def _encoder_option(registry: Registry, record: Run) -> str:
    """The option that gives a partner the same pretrain run as its evaluation; "" if it gets that one anyway."""
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
    """The words of the command that made a run, or of the usual command if none is recorded."""
    words = shlex.split(without_plan(record.command or ""))  # records once kept --plan, which trains nothing
    return words if len(words) > 1 and words[0] == "ssl" else ["ssl", EXPERIMENTS[record.experiment]]


def recorded_command(registry: Registry, run: Run, addition: str = "", *, without: Sequence[str] = ()) -> str:
    """The command that made a run, to type here, with options added or changed and `without` some that take a value."""
    words = _words(record_or_index(registry, run))
    of_the_run = ["--format"] if words[1] == "study" else ["--name", "--at-epoch"]  # a study's name says which study
    for option in ("--project", *of_the_run, *without, *(word for word in addition.split() if word.startswith("--"))):
        while option in words:
            del words[words.index(option) : words.index(option) + 2]
        words = [word for word in words if not word.startswith(f"{option}=")]
    return registry.command(shlex.join([*words, *addition.split()]))


def record_or_index(registry: Registry, run: Run) -> Run:
    """The whole record of a run; if its folder is lost, the entry of the index."""
    return registry.load(run) if registry.path(f"{run.folder}/run.yaml").exists() else run
