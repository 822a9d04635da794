"""Tuning in a study: each method tries as many settings, for as long; held-out labels of training images choose."""

from __future__ import annotations

from sslcli.bench.minutes import settled_of
from sslcli.console.messages import say
from sslcli.data.loading import load_data
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.naming import listed
from sslcli.methods import RATE, MethodFile
from sslcli.options.mapping import build
from sslcli.options.presets import BY_TIME, without_time
from sslcli.options.pretrain import Pretrain
from sslcli.options.study import Study
from sslcli.plans.data_access import Load
from sslcli.runs.choices import Choices, Setting
from sslcli.runs.run import Run
from sslcli.studies.hands import Hands
from sslcli.studies.jobs import Arguments, do_or_wait
from sslcli.studies.places.local import ALONE


def hold_to_place(command: Study) -> None:
    """A UsageError for --tuning with a list of jobs or another place: the trials are trained here, one after the other."""
    if command.tuning and (command.plan or command.on not in ALONE):
        asked = "--plan" if command.plan else f"--on {command.on}"
        raise UsageError(
            f"--tuning {command.tuning} with {asked}: what tuning chooses is known only after its trainings, which run here; "
            f"accepted is --tuning without {asked}, or {asked} without --tuning"
        )


def study_of_trials(study: str) -> str:
    """The study that the trials of a study belong to. So its tables and its page show none of them."""
    return f"{study}-tuning"


def tuned(
    hands: Hands, study: str, arguments: Arguments, *, trials: int, minutes: float, load: Load = load_data
) -> tuple[Arguments, Choices]:
    """The arguments of a pretraining with the best of its method's settings, and the record of all that were tried.

    The defaults are tried first. Each setting is pretrained for `minutes` with the study's first seed. The accuracy is that
    of kNN among training images whose labels are held out: no test image is read. Of equals the first wins. Trials are runs
    of the registry: a study that is typed again repeats none.
    """
    method = build(Pretrain, arguments).file
    begin = _begin_of_trials(arguments, method) | {"minutes": minutes}
    tried: list[tuple[Setting, Run]] = []
    for number, changes in enumerate(({}, *method.tuning)[:trials], 1):
        rate = float(str(tried[0][1].options["lr"])) if tried else 0.0
        options = begin | _options(changes, rate)
        run = do_or_wait(hands, study_of_trials(study), "pretrain", options, may_diverge=True, load=load)
        tried.append(({"run": run.id, "options": dict(changes), "val_knn": _accuracy(run)}, run))
        say(f"tuning {method.name}, {number} of {trials}: {in_words(changes)}: kNN on held-out labels {_accuracy(run):.2%}")
    best, run = max(tried, key=lambda trial: trial[0]["val_knn"])  # the first of equals
    if run.status != "finished":
        raise StateError(f"tuning {method.name}: all {trials} settings diverged; accepted is a lower rate: --set pretrain.lr=")
    say(f"tuning {method.name}: the best of {trials} settings: {in_words(best['options'])}, {best['val_knn']:.2%}")
    names = [*method.options, *(["lr"] if RATE in best["options"] else [])]
    return {**arguments, **{name: run.options[name] for name in names}}, {"settings": [setting for setting, _ in tried]}


def _begin_of_trials(arguments: Arguments, method: MethodFile) -> dict[str, object]:
    """What all trials of a method have in common: the study's own options, but for the time.

    With --minutes these are the options for short trainings, else they keep the defaults of long ones.
    """
    options = build(Pretrain, arguments)
    own = {name: getattr(options, name) for name in settled_of(method) if name not in BY_TIME}
    usual = dict(method.in_minutes) if options.minutes else own
    return {**usual, **without_time(arguments)}


def _options(changes: Arguments, rate: float) -> dict[str, object]:
    """The options that a setting changes; `rate` is the first trial's, which had the default."""
    changed = {name: value for name, value in changes.items() if name != RATE}
    return changed | ({"lr": float(f"{float(str(changes[RATE])) * rate:.6g}")} if RATE in changes else {})


def _accuracy(run: Run) -> float:
    """The accuracy that chooses; 0 for a trial that diverged. A UsageError without labels."""
    if run.status == "finished" and "val_knn" not in run.metrics:
        raise UsageError(f"--tuning: {run.dataset} has no labels to choose with; accepted are labelled images, or --tuning 0")
    return run.metrics.get("val_knn", 0.0)


def in_words(changes: Arguments) -> str:
    """A setting in words."""
    words = [
        f"{value:g} times the rate" if name == RATE else f"{name.replace('_', ' ')} {value}" for name, value in changes.items()
    ]
    return listed(words) if words else "the defaults"
