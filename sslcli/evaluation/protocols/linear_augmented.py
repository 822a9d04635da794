"""Linear evaluation on augmented images: the frozen encoder sees a new crop of each training image every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslcli.evaluation.protocols.linear import BySgd
from sslcli.evaluation.protocols.protocol import Frozen, Outcome, Protocol, Steps

if TYPE_CHECKING:
    from sslcli.evaluation.linear import HeadPerRate
    from sslcli.training.loop import Metrics
    from sslcli.training.step import Training


def evaluate(frozen: Frozen, options: BySgd, steps: Steps) -> Outcome:
    """Train one layer for each rate, all at once; the validation images choose rate and epoch together."""
    import torch

    from sslcli.evaluation.linear import RATES
    from sslcli.evaluation.metrics import score

    h = frozen.h
    heads, own_training = _heads_and_training(frozen, options)
    val_h, test_h = h.standardised(h.val), h.standardised(h.test)

    @torch.no_grad()
    def measure(_: int) -> Metrics:
        """The metrics of the best rate, which only the validation images choose."""
        val = [score(logits, h.val_labels, prefix="val") for logits in heads(val_h)]
        best = max(range(len(RATES)), key=lambda i: (val[i]["val/acc"], -val[i]["val/loss"]))
        return val[best] | score(heads(test_h)[best], h.test_labels, prefix="test") | {"rate": RATES[best]}

    progress = steps.train(own_training, evaluate=measure)
    heads.load_state_dict(progress.best["weights"])
    rate = progress.best["metrics"]["rate"]
    head = heads.at(rate)
    with torch.no_grad():
        return Outcome(frozen.classifier(head), head(test_h), progress, {"rate": rate})


def _heads_and_training(frozen: Frozen, options: BySgd) -> tuple[HeadPerRate, Training]:
    from sslcli.evaluation.linear import augmented_training

    encoder, context = frozen.encoder, frozen.context
    return augmented_training(
        encoder, frozen.h, context, epochs=options.epochs, batch_size=options.batch_size, seed=frozen.seed,
        max_steps=options.max_steps,
    )  # fmt: skip


def training(frozen: Frozen, options: BySgd) -> Training:
    """The training of the layers of all rates at once."""
    return _heads_and_training(frozen, options)[1]


PROTOCOL = Protocol(
    key="linear-augmented", name="linear evaluation on augmented images", help="SGD on representations of augmented images",
    meaning="Like linear evaluation, but with representations of augmented training images.",
    limits="Augmentation itself can help, so do not compare it with protocols without augmentation.",
    in_folds=False, options=BySgd, evaluate=evaluate, training=training,
)  # fmt: skip
