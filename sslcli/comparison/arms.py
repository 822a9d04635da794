"""Encoders from elsewhere beside one's own: evaluations that differ only in the encoder, their differences and their ranking.

A pair has one network; here the networks may differ, so a difference is not the effect of pretraining: it says which encoder is
better on these images. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from sslcli.comparison.differences import folds_of, images_of, interval_of, metric_of
from sslcli.comparison.options_apart import NO_SETTINGS, Settings
from sslcli.comparison.ranked import Ranking
from sslcli.comparison.ranking import Seeds, SharedSpread, rank, with_settings
from sslcli.errors import StateError
from sslcli.evaluation.statistics import verdict_of
from sslcli.evaluation.test_logits import FILE, Kept, read_kept
from sslcli.options.pairing import pair_key
from sslcli.runs.naming import INIT_WORDS, inits_in_words
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run

OF_ENCODER = ("backbone", "stem")
OWN = "own pretraining"
NOUN = "encoder"
Keys = Mapping[str, str]
"""By run id: a key that is equal for evaluations that differ only in encoder and seed."""
Arm = tuple[str, ...]
"""What distinguishes an encoder from the others of a comparison, apart from the seed."""


@dataclass(frozen=True, kw_only=True)
class ArmDifference:
    """Own pretraining minus an encoder from elsewhere: accuracies (fractions), and the 95 % interval of their difference.

    `place` is what was measured, in words. `interval` says how it is computed. `apart`: the ranking, whose intervals are
    corrected for all its comparisons, tells the two apart, too.
    """

    place: str
    first: str
    second: str
    seeds: list[int | None]
    difference: float
    low: float
    high: float
    interval: str
    apart: bool
    first_runs: list[str]
    second_runs: list[str]

    @property
    def verdict(self) -> str:
        """What this pair alone would show: gain, loss, or chance."""
        return verdict_of(self.low, self.high)

    def sentence(self) -> str:
        """The difference: "own pretraining - ImageNet: -3.1 points (95 % interval -5.0 to -1.2, for this pair alone)".

        The ranking beside it takes the same spread over seeds, and corrects for all comparisons: its intervals are wider. Where
        only this pair alone would show a difference, the sentence says so.
        """
        size, low, high = (f"{100 * value:+.1f}" for value in (self.difference, self.low, self.high))
        doubt = "; of several comparisons one can look like this by chance" * (self.verdict != "chance" and not self.apart)
        return f"{self.first} - {self.second}: {size} points (95 % interval {low} to {high}, for this pair alone{doubt})"


def compare_encoders(
    registry: Registry, runs: Sequence[Run], setups: Mapping[str, str | None], settings: Settings = NO_SETTINGS
) -> tuple[list[Ranking], list[ArmDifference], set[str]]:
    """The rankings of encoders, own pretraining minus each of the others, and the ids of the runs that are compared so."""
    keys = keys_of(registry, runs)
    groups = groups_of(with_counts(registry, runs, keys), keys, setups)
    ids = {run.id for arms in groups for of_seed in arms.values() for run in of_seed.values()}
    ranked = arm_rankings(groups, settings)
    return ranked, arm_differences(groups, ranked), ids


def others_of(runs: Sequence[Run]) -> bool:
    """Whether encoders from elsewhere are among these evaluations, or a pretraining that continued from one."""
    return any(run.init not in (None, *INIT_WORDS) for run in runs)


def others_beside(registry: Registry, own: Run, runs: Sequence[Run]) -> list[Run]:
    """The newest evaluation of each encoder from elsewhere that differs from that of one's own encoder in the encoder alone."""
    if own.init != "pretrained":
        return []
    alike = (own.experiment, own.protocol, own.seed, own.at_epoch)
    others = [run for run in runs if others_of([run]) and (run.experiment, run.protocol, run.seed, run.at_epoch) == alike]
    keys = keys_of(registry, [own, *others])
    return list({run.init: run for run in others if run.id in keys and keys[run.id] == keys.get(own.id)}.values())


def keys_of(registry: Registry, runs: Sequence[Run]) -> dict[str, str]:
    """The keys of evaluations beside which there are encoders from elsewhere; {} if there are none.

    Records are read only in that case. A published run has no options, and so no key.
    """
    if not others_of(runs):
        return {}
    records = [record_or_index(registry, run) for run in runs]
    return {
        record.id: pair_key(record.experiment, record.options, str(record.data.get("sha256")), but=("seed", *OF_ENCODER))
        for record in records
        if record.options
    }


def with_counts(registry: Registry, runs: Sequence[Run], keys: Keys) -> list[Run]:
    """The runs, with the images that two encoders of other networks both have right, from their saved test logits.

    A record has these counts for equal networks only. Runs whose logits cannot be read stay as they are.
    """
    kept: dict[str, Kept] = {}
    for run in runs:
        try:
            if run.id in keys and folds_of(run) is None:  # those in folds have their counts already
                kept[run.id] = read_kept(registry.path(f"{run.folder}/{FILE}"))
        except StateError:  # their intervals are then unpaired, and say so
            continue
    return [replace(run, both_right=_counts(run, kept, keys) | run.both_right) for run in runs]


def _counts(run: Run, kept: Mapping[str, Kept], keys: Keys) -> dict[str, int]:
    """The images that a run and each other run of its key have right together."""
    if (mine := kept.get(run.id)) is None:
        return {}
    others = {name: held for name, held in kept.items() if name != run.id and keys[name] == keys[run.id]}
    return {
        name: int((mine.right & held.right).sum())
        for name, held in others.items()
        if np.array_equal(mine.indices, held.indices)
    }


def groups_of(runs: Sequence[Run], keys: Keys, setups: Mapping[str, str | None]) -> list[dict[Arm, dict[int | None, Run]]]:
    """For each way of measuring in which an encoder from elsewhere was measured: the runs of each encoder, by seed."""
    found: dict[tuple[Any, ...], dict[Arm, dict[int | None, Run]]] = {}
    for run in runs:
        if run.id in keys and (metric := metric_of(run)):
            parent = (setups.get(run.parent) or run.parent) if run.parent else ""
            way = (keys[run.id], run.protocol, run.at_epoch, metric, images_of(run))
            arm = (run.init or "", parent or "", (run.setup or "") if run.init == "scratch" else "")
            found.setdefault(way, {}).setdefault(arm, {})[run.seed] = run
    return [
        arms for arms in found.values()
        if len(arms) > 1 and others_of([run for of_seed in arms.values() for run in of_seed.values()])
    ]  # fmt: skip


def arm_differences(groups: Sequence[Mapping[Arm, Seeds]], ranked: Sequence[Ranking]) -> list[ArmDifference]:
    """Own pretraining minus each encoder from elsewhere, over the seeds that both have; `ranked` has the groups' rankings."""
    return [
        difference
        for arms, ranking in zip(groups, ranked, strict=True)
        for difference in _differences(list(arms), list(arms.values()), ranking)
    ]


def _differences(arms: Sequence[Arm], of_seeds: Sequence[Seeds], ranking: Ranking) -> Iterator[ArmDifference]:
    """Own pretraining minus each encoder from elsewhere in one ranking, with the spread over seeds of all its encoders."""
    names, shared = names_of(of_seeds), SharedSpread(of_seeds, ranking.metric)
    own = [place for place, arm in enumerate(arms) if arm[0] == "pretrained"]
    others = [place for place, arm in enumerate(arms) if arm[0] not in INIT_WORDS]
    for mine, theirs in product(own, others):
        pairs = [(run, of_seeds[theirs][seed]) for seed, run in of_seeds[mine].items() if seed in of_seeds[theirs]]
        if pairs:
            found, kind = interval_of(pairs, ranking.metric, seed_spread=shared.between(mine, theirs))
            yield ArmDifference(
                place=ranking.place, first=names[mine], second=names[theirs], seeds=[pair[0].seed for pair in pairs],
                difference=found.value, low=found.low, high=found.high, interval=kind,
                apart=ranking.tells(names[mine], names[theirs]), first_runs=[pair[0].id for pair in pairs],
                second_runs=[pair[1].id for pair in pairs],
            )  # fmt: skip


def arm_rankings(groups: Sequence[Mapping[Arm, Seeds]], settings: Settings = NO_SETTINGS) -> list[Ranking]:
    """The encoders of each group ranked, scratch among them, with Holm's correction for all comparisons of two."""
    found = [
        rank(list(arms.values()), metric_of(_first(next(iter(arms.values())))), names_of(list(arms.values())), noun=NOUN)
        for arms in groups
    ]
    return with_settings(found, settings)


def arm_words(inits: Iterable[str | None]) -> dict[str, str]:
    """Inits by their names for a person, as beside each other: with encoders from elsewhere, "pretrained" is one's own."""
    words = inits_in_words(inits)
    return words | ({"pretrained": OWN} if set(words) - set(INIT_WORDS) else {})


def names_of(arms: Sequence[Seeds]) -> list[str]:
    """Encoders in words: own pretraining, scratch, a file's name, or "continued from" one; of several own ones the method.

    With the start of its sha256 where two files have one name.
    """
    runs = [_first(of_seed) for of_seed in arms]
    of_inits = inits_in_words(run.init for run in runs)
    several = len({run.method for run in runs if run.init == "pretrained"}) > 1
    words = [_name(run, of_inits, several=several) for run in runs]
    return [word if words.count(word) == 1 else f"{word} ({run.id})" for word, run in zip(words, runs, strict=True)]


def _name(run: Run, of_inits: Mapping[str, str], *, several: bool) -> str:
    if run.init == "pretrained":
        return f"{OWN} ({run.method})" if several else OWN
    return of_inits.get(run.init or "", "")


def _first(runs: Seeds) -> Run:
    return next(iter(runs.values()))
