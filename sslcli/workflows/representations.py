"""A frozen encoder's representations of a data set, computed once, on which ssl probe trains its classifiers."""

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
    """The frozen encoder's representation of every image, with its labels."""
    context, data = start.context, start.context.data
    train_rows, val_rows = start.parts.train.to(context.device), start.parts.val.to(context.device)
    say(f"{run.id}: computing representations of {len(train_rows) + len(val_rows) + len(data.test_labels):,} images")
    train_h, val_h, test_h = (
        outputs(start.encoder, images, normalise=data.normalise, autocast=context.autocast)
        for images in (chosen(data.train_images, train_rows), chosen(data.train_images, val_rows), data.test_images)
    )
    mean, std = standardisation(train_h)
    return Represented(train_h, data.train_labels[train_rows], val_h, data.train_labels[val_rows], test_h, data.test_labels,
                       train_rows, mean, std, len(data.classes))  # fmt: skip


def fixed_of(h: Represented, encoder: Encoder) -> Fixed:
    """For the checkpoints of a classifier trained on h: mean and deviation that standardise h, and the hash of its encoder."""
    return {"mean": h.mean.cpu(), "std": h.std.cpu(), "encoder_sha256": weights_hash(encoder)}


def standardised_as_begun(run: Run, h: Represented, encoder: Encoder, begun: State) -> Represented:
    """h with the standardisation of the run's start; recomputed on another machine, it could differ.

    A StateError if the encoder has changed. Checkpoints of earlier versions hold neither, and h is returned as it is.
    """
    fixed = begun.get("fixed")
    if fixed is None:
        return h
    if fixed["encoder_sha256"] != (found := weights_hash(encoder)):
        raise StateError(
            f"run {run.id} started with an encoder whose sha256 is {fixed['encoder_sha256'][:12]}…, the one here has "
            f"{found[:12]}…: another version of torch may draw other random weights; continue with the version of the "
            "run's start, or start a new run: ssl probe"
        )
    return replace(h, mean=fixed["mean"].to(h.mean.device), std=fixed["std"].to(h.std.device))
