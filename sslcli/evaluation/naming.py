"""Names of runs, experiments and data sets, in sentences and in file names. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from sslcli.evaluation.protocols import PROTOCOLS, evaluations, protocol_named, usual_of
from sslcli.evaluation.statistics import InitDifference
from sslcli.runs.naming import INIT_WORDS, inits_in_words, share_label
from sslcli.runs.run import FIRST_METHOD, Run


def folder_name(run: Run) -> str:
    """The folder name for pictures of an experiment: its name (or its protocol, if not the usual one) and label fraction.

    Also the method, except for SimCLR, the first one.
    """
    usual = run.protocol is None or usual_of(run.experiment) == PROTOCOLS.get(run.protocol)
    name = run.experiment if usual else (run.protocol or "").replace("-", "_")
    method = "" if run.encoder_method in (None, FIRST_METHOD) else f"_{run.encoder_method}".replace("-", "_")
    return f"{name}{share_label(run.label_fraction)}{method}"


WORDS = {"pretrain": "pretraining"} | {name: protocol_named(None, name).name for name in evaluations()}
"""Every experiment in words; evaluations by their usual protocol."""


def in_words(experiment: str, label_fraction: float | None, at_epoch: int | None = None, protocol: str | None = None) -> str:
    """An experiment in words, with the label fraction if it is not 1 and the encoder's epoch if it is not the last."""
    labels = "" if label_fraction in (None, 1) else f" on {100 * label_fraction:g} % of the labels"
    name = PROTOCOLS[protocol].name if protocol in PROTOCOLS else WORDS[experiment]
    return name + labels + (f" after epoch {at_epoch}" if at_epoch else "")


def tested(images: float, folds: int | None) -> str:
    """The images whose accuracy an evaluation gives: "39 test images", or "202 labelled images in 10 folds"."""
    return f"{images:,.0f} test images" if folds is None else f"{images:,.0f} labelled images in {folds} folds"


def told_apart(places: Sequence[str], differences: Sequence[InitDifference]) -> list[str]:
    """Distinct names of differences: by others' weights, methods and settings, else by their runs."""
    settings = settings_with_method(differences)
    words = [f"{place} ({setting})" if setting else place for place, setting in zip(places, settings, strict=True)]
    return [
        word if words.count(word) == 1 else f"{place} ({found.pretrained_run})"
        for word, place, found in zip(words, places, differences, strict=True)
    ]


def settings_with_method(differences: Sequence[InitDifference]) -> list[str]:
    """What distinguishes each difference: others' weights, the method if there are several, the setting; "" if nothing."""
    several = len({found.method for found in differences} - {None}) > 1
    others = inits_in_words(found.init for found in differences if found.init not in INIT_WORDS)
    told = [(others.get(found.init or ""), found.method if several else None, found.setting) for found in differences]
    return [", ".join(filter(None, words)) for words in told]


def listed(words: Sequence[str]) -> str:
    """A list of words in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def heading(words: str) -> str:
    """Words as a heading, with a capital letter; kNN stays as it is."""
    return words if words[1:2].isupper() else f"{words[:1].upper()}{words[1:]}"
