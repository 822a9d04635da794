"""What a frozen encoder makes of a data set's images, once: what ssl probe trains its classifiers on."""

from __future__ import annotations

from dataclasses import replace

from sslcli.console.messages import say
from sslcli.data.on_disk import chosen
from sslcli.errors import StateError
from sslcli.evaluation.features import outputs
from sslcli.evaluation.linear import standardisation
from sslcli.evaluation.protocols.protocol import Start
from sslcli.evaluation.represented import Represented
from sslcli.models.encoder import Encoder, weights_hash
from sslcli.runs.run import Run
from sslcli.training.checkpoint import Fixed, State


def represent(run: Run, start: Start) -> Represented:
    """Have the frozen encoder see every image once."""
    context, data = start.context, start.context.data
    train_rows, val_rows = start.parts.train.to(context.device), start.parts.val.to(context.device)
    say(f"{run.id}: representations of {len(train_rows) + len(val_rows) + len(data.test_labels):,} images, once")
    train_h, val_h, test_h = (
        outputs(start.encoder, images, normalise=data.normalise, autocast=context.autocast)
        for images in (chosen(data.train_images, train_rows), chosen(data.train_images, val_rows), data.test_images)
    )
    mean, std = standardisation(train_h)
    return Represented(train_h, data.train_labels[train_rows], val_h, data.train_labels[val_rows], test_h, data.test_labels,
                       train_rows, mean, std, len(data.classes))  # fmt: skip


def fixed_of(h: Represented, encoder: Encoder) -> Fixed:
    """What a training of classifiers on h rests on, for its checkpoints: how h is standardised, and which encoder made it."""
    return {"mean": h.mean.cpu(), "std": h.std.cpu(), "encoder_sha256": weights_hash(encoder)}


def standardised_as_begun(run: Run, h: Represented, encoder: Encoder, begun: State) -> Represented:
    """h standardised as when the run began: measured again, on another machine, it could differ.

    A StateError if the encoder is another than it was. Checkpoints of earlier versions tell neither.
    """
    fixed = begun.get("fixed")
    if fixed is None:
        return h
    if fixed["encoder_sha256"] != (found := weights_hash(encoder)):
        raise StateError(
            f"run {run.id} began with an encoder whose sha256 is {fixed['encoder_sha256'][:12]}…, the one here has "
            f"{found[:12]}…: another version of torch may draw other random weights; go on with the version that it began "
            "with, or begin anew: ssl probe"
        )
    return replace(h, mean=fixed["mean"].to(h.mean.device), std=fixed["std"].to(h.std.device))
