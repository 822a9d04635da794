"""How the learning rate of a fine-tuning was chosen, in a sentence: shared by all encoders, or searched for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.report.answer import share
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.run import Run


def rate_in_words(runs: Sequence[Run], protocol: str, names: Mapping[str, str]) -> str:
    """For a protocol that trains the encoder, and several encoders: their rates, from the records; "" if there are none.

    `names` are the encoders' names by init.
    """
    mine = _of(runs, protocol)
    if mine and all("rate" in run.metrics for run in mine):
        return (
            "The learning rate was chosen for each encoder on validation images, from the same four: "
            f"{', '.join(_chosen(mine, names))}."
        )
    if (rate := _shared_rate(mine)) is None:
        return ""
    another = ", and another network may need another rate" if set(names) - set(INIT_WORDS) else ""
    return (
        f"All encoders had the same learning rate, {rate:g}. It was not chosen for each of them{another}. To choose it "
        "for each on validation images, repeat the study with --set finetune.search_lr=true."
    )


def shared_rates(runs: Sequence[Run]) -> list[str]:
    """A sentence for each protocol whose encoders all had the same learning rate."""
    return [
        f"In {protocol.name} all encoders had the same learning rate, which was not chosen for each of them."
        for key, protocol in PROTOCOLS.items()
        if _shared_rate(_of(runs, key)) is not None
    ]


def _of(runs: Sequence[Run], protocol: str) -> list[Run]:
    """The runs of a protocol that trains the encoder, with a known rate; [] unless they are of several encoders."""
    if protocol not in PROTOCOLS or PROTOCOLS[protocol].frozen:
        return []
    mine = [run for run in runs if run.protocol == protocol and (run.options.get("lr") or run.metrics.get("rate"))]
    return mine if len({run.init for run in mine}) > 1 else []


def _shared_rate(runs: Sequence[Run]) -> float | None:
    """The learning rate that all these runs had from their options; None if there is none, or each searched its own."""
    rates = {None if "rate" in run.metrics else cast("float | None", run.options.get("lr")) for run in runs}
    return rates.pop() if len(rates) == 1 else None


def _chosen(runs: Sequence[Run], names: Mapping[str, str]) -> list[str]:
    """The rates of each encoder, and of each fraction of the labels if there are several."""
    several = len({run.label_fraction for run in runs}) > 1
    found: dict[str, list[float]] = {}
    for run in runs:
        where = f" on {share(run.label_fraction)} of the labels" * several
        found.setdefault(f"{names.get(run.init or '', run.init)}{where}", []).append(run.metrics["rate"])
    return [
        f"{name} {' to '.join(f'{rate:.3g}' for rate in dict.fromkeys((min(rates), max(rates))))}"
        for name, rates in found.items()
    ]
