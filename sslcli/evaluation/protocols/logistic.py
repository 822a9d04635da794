"""Logistic regression, solved to convergence, on representations that the frozen encoder computes once."""

from __future__ import annotations

from sslcli.evaluation.protocols.protocol import Frozen, NoOptions, Outcome, Pace, Protocol, Steps

TIMED_IMAGES = 2000


def evaluate(frozen: Frozen, _: NoOptions, __: Steps) -> Outcome:
    """Fit the regression; the validation images choose its regularisation strength."""
    import torch

    from sslcli.evaluation.logistic import logistic_regression
    from sslcli.evaluation.metrics import score

    h = frozen.h
    train, val = h.standardised(h.train).cpu(), h.standardised(h.val).cpu()
    head, strength = logistic_regression(train, h.train_labels.cpu(), val, h.val_labels.cpu(), classes=h.classes)
    head = head.to(h.train.device)
    with torch.no_grad():
        val_acc = score(head(h.standardised(h.val)), h.val_labels, prefix="val")["val/acc"]
        figures = {"val_acc": val_acc, "c": strength}
        return Outcome(frozen.classifier(head), head(h.standardised(h.test)), figures=figures)


def seconds(frozen: Frozen, _: NoOptions, __: Pace) -> dict[str, float]:
    """Seconds, roughly, timed on real images because the number of iterations depends on the representation."""
    import numpy as np
    import torch

    from sslcli.data.batches import generator
    from sslcli.data.on_disk import chosen
    from sslcli.evaluation.features import outputs
    from sslcli.evaluation.logistic import logistic_regression
    from sslcli.training.device import seconds_of

    context, data = frozen.context, frozen.context.data
    rows = data.split(seed=0).train
    rows = rows[torch.randperm(len(rows), generator=generator(0, "regression"))]  # some data sets are sorted by class
    one_of_each = torch.from_numpy(np.unique(data.train_labels.cpu()[rows].numpy(), return_index=True)[1])
    rows = rows[torch.cat([one_of_each, torch.arange(len(rows))])[:TIMED_IMAGES]]
    h = outputs(frozen.encoder, chosen(data.train_images, rows), normalise=data.normalise, autocast=context.autocast).cpu()
    h, labels = (h - h.mean(0)) / (h.std(0) + 1e-6), torch.unique(data.train_labels.cpu()[rows], return_inverse=True)[1]
    work = lambda: logistic_regression(h, labels, h, labels, classes=int(labels.max()) + 1)  # noqa: E731
    images = sum(len(part) for part in (frozen.h.train, frozen.h.val, frozen.h.test))
    return {PROTOCOL.name: seconds_of(work, torch.device("cpu")) * images / len(h)}


PROTOCOL = Protocol(
    key="logistic", name="logistic regression", help="scikit-learn's logistic regression",
    meaning="A logistic regression, solved to convergence, on the representation of the frozen encoder.",
    limits="It cannot say how good the encoder would be after fine-tuning.",
    evaluate=evaluate, seconds=seconds,
)  # fmt: skip
