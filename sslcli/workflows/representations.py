"""A frozen encoder's representations of a data set, computed once, on which ssl probe trains its classifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

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
from sslcli.training.context import Context

KEPT = 2**29
"""Bytes of representations that a process keeps for its next evaluations, such as those of a study."""
Computer = tuple[object, ...]
"""An encoder and all images that it computes from: what is equal here gives equal bits for equal rows."""


def computer_of(encoder: Encoder, context: Context, *, backbone: str, stem: str) -> Computer:
    """What computes, how and where, and every image as it is seen. Two stems can have equal weights, but other strides."""
    data = context.data
    mean, std = (tuple(values.tolist()) for values in data.normalisation)
    seen = (data.image_size, data.kept_size, data.fit, mean, std, *data.train_images.shape, *data.test_images.shape)
    of_encoder = (weights_hash(encoder), backbone, stem, encoder.side, context.precision, str(context.device))
    return *of_encoder, data.fingerprint, data.manifest, *seen


@dataclass(frozen=True)
class Computed:
    """What was computed of the training images at `rows`, or of the test images if there are none."""

    computer: Computer
    rows: Tensor | None
    h: Tensor

    def is_of(self, computer: Computer, rows: Tensor | None) -> bool:
        """Whether it is what `computer` makes of these rows."""
        if self.computer != computer or self.rows is None or rows is None:
            return self.computer == computer and self.rows is rows
        return torch.equal(self.rows, rows)


COMPUTED: list[Computed] = []
"""What this process has computed last; a pretraining empties it."""


def represent(run: Run, start: Start) -> Represented:
    """The frozen encoder's representation of every image, with its labels. The encoder is in evaluation mode from here on.

    What was just computed for another evaluation in this process is not computed again.
    """
    start.encoder.eval()
    context, data = start.context, start.context.data
    train_rows, val_rows = start.parts.train.to(context.device), start.parts.val.to(context.device)
    computer = computer_of(start.encoder, context, backbone=str(run.backbone), stem=run.settled.get("stem", ""))

    def known(rows: Tensor | None) -> Tensor | None:
        return next((one.h for one in COMPUTED if one.is_of(computer, rows)), None)

    def h_of(rows: Tensor | None) -> Tensor:
        if (found := known(rows)) is None:
            images = data.test_images if rows is None else chosen(data.train_images, rows)
            found = outputs(start.encoder, images, normalise=data.normalise, autocast=context.autocast)
            COMPUTED.append(Computed(computer, rows, found))
        return found

    counts = ((train_rows, len(train_rows)), (val_rows, len(val_rows)), (None, len(data.test_labels)))
    if missing := sum(count for rows, count in counts if known(rows) is None):
        say(f"{run.id}: computing representations of {missing:,} images")
    train_h, val_h, test_h = h_of(train_rows), h_of(val_rows), h_of(None)
    while sum(one.h.nbytes for one in COMPUTED) > KEPT:
        COMPUTED.pop(0)
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
