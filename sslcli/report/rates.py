"""How the learning rate of a fine-tuning was chosen, in a sentence: shared by all encoders, or searched for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sslcli.evaluation.protocols import PROTOCOLS
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
    if all(run.options.get("search_lr") for run in mine):
        chosen = dict.fromkeys(f"{names.get(run.init or '', run.init)} {run.metrics['rate']:.3g}" for run in mine)
        return f"The learning rate was chosen for each encoder on validation images, from the same four: {', '.join(chosen)}."
    if len(rates := {run.options.get("lr") for run in mine}) > 1:
        return ""
    return (
        f"All encoders had the same learning rate, {rates.pop():g}. It was tuned for none of them, and another network may "
        "need another rate. To choose it for each on validation images, repeat the study with --set finetune.search_lr=true."
    )
