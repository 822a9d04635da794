"""Carry out a pretraining: train an encoder without labels."""

from __future__ import annotations

import shlex

from sslcli.bench.minutes import tell_of_hours
from sslcli.console.messages import say
from sslcli.console.progress import duration
from sslcli.distributed import on_first, rank
from sslcli.evaluation.health import collapse
from sslcli.methods.method import evaluated_name
from sslcli.models.encoder import Encoder
from sslcli.options.pretrain import Pretrain
from sslcli.paths import relative
from sslcli.plans.online_metrics import is_measured, meter, seen
from sslcli.plans.pretraining import build_method, is_kept, kept_name, training_of
from sslcli.plans.weights_file import begin_with_file
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.training.checkpoint import State, save_checkpoint
from sslcli.training.context import Context
from sslcli.training.lifecycle import Stop, running
from sslcli.training.loop import Metrics, measured
from sslcli.workflows.representations import COMPUTED
from sslcli.workflows.training_run import train


def carry_out(registry: Registry, run: Run, options: Pretrain, context: Context) -> Run:
    """Train a run of the registry, from its last checkpoint if it has one, to the end."""
    say(f"run {run.id}; to watch it, type: tensorboard --logdir {shlex.quote(relative(registry.path('runs/pretrain')))}")
    say(f"{run.id}: {_in_words(options, context)}")
    if not run.checkpoints and "minutes" not in run.choices:
        tell_of_hours(registry, run, options, context)
    COMPUTED.clear()  # the next evaluations are those of another encoder
    with running(registry, run) as stop:
        history = _fit(registry, run, options, context, stop)
        last = history[-1]
        run.metrics = {"loss": last["train/loss_epoch"], "seconds": run.metrics["seconds"], **measured(last)}
    of_images = "kNN accuracy on training images whose labels are held out"
    knn = f", {of_images} {run.metrics['val_knn']:.2%}" if "val_knn" in run.metrics else ""
    print(f"{run.id}: {duration(run.metrics['seconds'])} of training, loss {run.metrics['loss']:.4g}{knn}")
    _warn_of_collapse(run, last, options, context)
    say(f"wrote {run.checkpoint} and {run.folder}/run.yaml")
    return run


def _in_words(options: Pretrain, context: Context) -> str:
    """The settings that depend on the size of the images, in words."""
    jitter = "/".join(f"{value:g}" for value in (options.brightness, options.contrast, options.saturation, options.hue))
    return (
        f"images of {context.data.image_size} pixels: {options.backbone}, stem {options.stem}; views of {options.view_sizes}, "
        f"crops of at least {options.crop_min:g} of the area, jitter {jitter}, grey {options.grey:g}, blur {options.blur:g}"
    )


def _warn_of_collapse(run: Run, measured: Metrics, options: Pretrain, context: Context) -> None:
    images = len(seen(options, context.data))
    method = build_method(options)
    known = {name.removeprefix("val/"): value for name, value in measured.items()}
    known |= {"z_std": measured["train/z_std"]} if "train/z_std" in measured else {}
    if "rank" in known and (found := collapse(known, z_dim=method.z_dim, h_dim=method.encoder.dim, images=images)):
        advice = "try a lower rate (--lr) or a longer warm-up (--warmup-epochs), and look at its views: ssl views"
        say(f"ssl: WARNING: {run.id} looks collapsed: {'; '.join(found)}; {advice}")


def _fit(registry: Registry, run: Run, options: Pretrain, context: Context, stop: Stop) -> list[Metrics]:
    def begin(encoder: Encoder) -> None:
        on_first(lambda: begin_with_file(run, encoder, options))

    method, training = training_of(options, context, begin=begin)
    marked: State = {} if (name := evaluated_name(method)) == "encoder" else {"evaluated": name}
    measure = meter(method, options, context)
    epochs = -(-training.steps // training.epoch_steps)

    def evaluate(epoch: int) -> Metrics:
        if rank() > 0:  # the first process measures; the others wait for it at the next step
            return {}
        if is_kept(epoch, options, training.steps, training.epoch_steps):
            state: State = {"model": method.state_dict()}
            save_checkpoint(registry, run, kept_name(epoch), state | marked)
        return measure(epoch) if is_measured(epoch, options, of=epochs) else {}

    progress = train(registry, run, training, stop=stop, evaluate=evaluate, marked=marked)
    run.metrics["seconds"] = progress.seconds
    return progress.history
