"""The order of the encoders in at most three sentences: the first thing that the page of a study with --beside says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from sslcli.comparison.ranked import Ranking
from sslcli.evaluation.naming import heading, listed
from sslcli.runs.naming import CONTINUED, INIT_WORDS
from sslcli.runs.run import Run

MOST = 3  # sentences
MOST_PAIRS = 2  # pairs of encoders that a sentence names


def standing(rankings: Sequence[Ranking]) -> list[tuple[str, str]]:
    """Sentences as (words to stress, rest): the first ranking, those that agree with it, and those that do not.

    Rankings agree if they have the same order and tell the same encoders apart.
    """
    if not rankings:
        return []
    first, *rest = rankings
    agreeing = [one for one in rest if _finding(one) == _finding(first)]
    others = [one for one in rest if one not in agreeing]
    sentences = [_whole(first)]
    if agreeing:
        figures = f" ({_listed_means(agreeing[0])})" if len(agreeing) == 1 else ""
        places = heading(listed([one.place for one in agreeing]))
        sentences.append(("", f"{places} {'say' if len(agreeing) > 1 else 'says'} the same{figures}"))
    shown = others[: MOST - len(sentences)]
    sentences += [_whole(one) for one in shown]
    if left := len(others) - len(shown):
        lead, words = sentences[-1]
        sentences[-1] = (lead, f"{words}; {left} more evaluation{'s' * (left > 1)} under Results")
    return sentences


def highest(rankings: Sequence[Ranking], tested: Mapping[str, str]) -> str:
    """The encoder and the evaluation with the highest accuracy of several rankings, in a sentence; "" for fewer than two.

    `tested` says which images each run tested.
    """
    if len(rankings) < 2:
        return ""
    best = max(rankings, key=lambda one: one.methods[0].mean)
    first = best.methods[0]
    images = tested[first.runs[0]]
    return (
        f"The highest of these accuracies is that of {first.method} in {best.place}: {_per_cent(first.mean)} of the {images}."
    )


def who(runs: Sequence[Run], names: Mapping[str, str]) -> str:
    """What the names of the encoders mean, in a sentence; `names` are by init."""
    own = [run for run in runs if run.init == "pretrained"]
    nets = listed(list(dict.fromkeys(run.backbone for run in own if run.backbone)))
    methods = listed(list(dict.fromkeys(run.encoder_method for run in own if run.encoder_method)))
    continued = [name for init, name in names.items() if init.startswith(CONTINUED)]
    others = [name for init, name in names.items() if init not in INIT_WORDS and name not in continued]
    nets_of = {names[run.init]: str(run.backbone).rpartition(":")[2] for run in runs if run.init and run.init in names}
    words = [
        f"{names['pretrained']} is {nets}, pretrained here by {methods}" if own else "",
        *(f"{name} is {nets_of[name]} with weights from elsewhere (their files under Recipe)" for name in others),
        f"{listed(continued)} {'were' if len(continued) > 1 else 'was'} pretrained here, starting from those weights"
        if continued
        else "",
        "scratch is not pretrained" if "scratch" in names else "",
    ]
    return f"{heading('; '.join(filter(None, words)))}."


def _finding(ranking: Ranking) -> tuple[object, ...]:
    return tuple(one.method for one in ranking.methods), ranking.apart


def _whole(ranking: Ranking) -> tuple[str, str]:
    """The order in one evaluation, and which encoders cannot be told apart."""
    best, *others = (f"{one.method} {_per_cent(one.mean)}" for one in ranking.methods)
    if all((0, place) in ranking.apart for place in range(1, len(ranking.methods))):
        first = ranking.methods[0]
        lead, order = f"{first.method} is best", f" ({_per_cent(first.mean)}), then {listed(others)}"
    else:
        lead, order = "no encoder is shown to be the best", f": {listed([best, *others])}"
    return f"In {ranking.place} {lead}", f"{order}; {_not_apart(ranking)}"


def _not_apart(ranking: Ranking) -> str:
    """Which encoders cannot be told apart, in words."""
    names = [one.method for one in ranking.methods]
    every = [two for two in combinations(range(len(names)), 2) if two not in ranking.unseen]
    alike = [two for two in every if two not in ranking.apart]
    if ranking.unseen:
        strangers = ", ".join(f"{names[one]} and {names[other]} have no seed in common" for one, other in ranking.unseen)
        return "; ".join([*(f"{names[one]} and {names[other]} cannot be told apart" for one, other in alike), strangers])
    if not alike:
        return "every two can be told apart" if len(names) > 2 else "the two can be told apart"
    if len(alike) == len(every):
        return "no two can be told apart" if len(names) > 2 else "the two cannot be told apart"
    if len(alike) > MOST_PAIRS:
        return f"{len(alike)} of the {len(every)} pairs cannot be told apart"
    return ", ".join(f"{names[one]} and {names[other]} cannot be told apart" for one, other in alike)


def _listed_means(ranking: Ranking) -> str:
    *others, last = (f"{100 * one.mean:.1f}" for one in ranking.methods)
    return f"{', '.join(others)} and {last} %"


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"
