"""Fine-tuning: encoder and classifier are trained end to end."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import NoOptions, Protocol

PROTOCOL = Protocol[NoOptions](
    key="finetune",
    name="fine-tuning",
    meaning="Encoder and classifier are trained end to end.",
    limits="With many labels this can make up for a random start.",
    experiment="finetune",
    command="finetune",
    by_steps=True,
    frozen=False,
)
