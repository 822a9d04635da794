"""Fine-tuning carried out: encoder and classifier trained end to end."""

from __future__ import annotations

from functools import partial

from sslcli.data.on_disk import chosen
from sslcli.evaluation.features import outputs
from sslcli.evaluation.metrics import score
from sslcli.evaluation.protocols.protocol import Outcome
from sslcli.models.classifier import Classifier
from sslcli.options.finetune import Finetune
from sslcli.plans.finetuning import training_of
from sslcli.plans.inheriting import starting_encoder
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.context import Context
from sslcli.training.lifecycle import Stop, running
from sslcli.training.loop import Metrics
from sslcli.workflows.finishing import finish, report
from sslcli.workflows.rates import with_rate
from sslcli.workflows.training_run import train


def carry_out(registry: Registry, run: Run, options: Finetune, context: Context) -> Run:
    """Train a run that is in the registry, from its last checkpoint if it has one, to its end."""
    with running(registry, run) as stop:
        _fit(registry, run, options, context, stop)
    report(run)
    return run


def _fit(registry: Registry, run: Run, options: Finetune, context: Context, stop: Stop) -> None:
    data = context.data
    val_rows = data.split(seed=options.seed or 0, label_fraction=options.label_fraction).val.to(context.device)

    def validate(model: Classifier) -> Metrics:
        val = outputs(model, chosen(data.train_images, val_rows), normalise=data.normalise, autocast=context.autocast)
        return score(val, data.train_labels[val_rows], prefix="val")

    encoder = starting_encoder(registry, run, options)
    build = partial(training_of, context=context)
    settled = with_rate(registry, run, options, encoder, training_of=build, validate=validate, stop=stop)
    model, training = build(encoder, settled)

    def evaluate(_: int) -> Metrics:
        test = outputs(model, data.test_images, normalise=data.normalise, autocast=context.autocast)
        return validate(model) | score(test, data.test_labels, prefix="test")

    progress = train(registry, run, training, stop=stop, evaluate=evaluate)
    model.load_state_dict(progress.best["weights"])
    test_logits = outputs(model, data.test_images, normalise=data.normalise, autocast=context.autocast)
    figures = {"rate": settled.lr or 0.0} if options.search_lr else {}
    finish(registry, run, model, context, Outcome(None, test_logits, progress, figures))
