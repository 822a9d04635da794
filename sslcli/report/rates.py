"""How the learning rate of a fine-tuning was chosen, in a sentence: shared by all encoders, or searched for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslcli.evaluation.protocols import PROTOCOLS
from sslcli.report.answer import share
from sslcli.runs.naming import INIT_WORDS
from sslcli.runs.run import Run


def rate_in_words(runs: Sequence[Run], protocol: str, names: Mapping[str, str]) -> str:
    """For a protocol that trains the encoder, and several encoders: their rates, from the records; "" if there are none.

    `names` are the encoders' names by init.
    """
    if protocol not in PROTOCOLS or PROTOCOLS[protocol].frozen:
        return ""
    mine = [run for run in runs if run.protocol == protocol and (run.options.get("lr") or run.metrics.get("rate"))]
    if len({run.init for run in mine}) < 2:
        return ""
    if all("rate" in run.metrics for run in mine):
        return (
            "The learning rate was chosen for each encoder on validation images, from the same four: "
            f"{', '.join(_chosen(mine, names))}."
        )
    rates = {run.options.get("lr") for run in mine}
    if len(rates) > 1 or None in rates:
        return ""
    another = ", and another network may need another rate" if set(names) - set(INIT_WORDS) else ""
    return (
        f"All encoders had the same learning rate, {rates.pop():g}. It was not chosen for each of them{another}. To choose it "
        "for each on validation images, repeat the study with --set finetune.search_lr=true."
    )


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
