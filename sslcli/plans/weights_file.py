"""--init with a file of weights: checked against the encoder before a run starts, and recorded as weights from elsewhere."""

from __future__ import annotations

from sslcli.console.messages import say
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.protocols.protocol import AnyProtocol
from sslcli.models import INPUT
from sslcli.models.encoder import Encoder, build_encoder
from sslcli.models.library_weights import name_in_folder
from sslcli.models.own_input import input_in_words
from sslcli.models.same_function import hold_to_stem, may_pad_more
from sslcli.models.weight_files import read_tensors
from sslcli.models.weights import find_weights, load_weights
from sslcli.options.pretrain import Pretrain
from sslcli.options.trainings import EvaluationT, TrainingOptions
from sslcli.plans.elsewhere import NETWORKS
from sslcli.plans.plan import Plan
from sslcli.runs.naming import INIT_WORDS, init_label, weights_path
from sslcli.runs.run import Origin, Run
from sslcli.training.context import Context

MOST = 8
"""Names to print at most; the record has all."""


def take_stock(options: TrainingOptions) -> Origin:
    """The record of the file that --init names: its name, sha256, renamed and dropped tensors. {} if it names none.

    Prints the same. A UsageError if a weight of the encoder is missing.
    """
    accepted = ("scratch",) if isinstance(options, Pretrain) else INIT_WORDS
    path = weights_path(options.init)
    if options.init in accepted:
        return {}
    if path is None or not path.exists():
        missing = "" if path is None else "; there is no such file"
        raise UsageError(
            f"--init {options.init}: accepted are {', '.join(accepted)}, or a file of weights{missing}; or {NETWORKS}"
        )
    tensors, sha256, network = read_tensors(path)
    backbone, stem = options.backbone or "", options.stem or ""
    hold_to_stem(network, backbone=backbone, stem=stem, place=f"--init {path}")
    encoder = build_encoder(backbone, stem=stem, seed=0)
    net = _net_in_words(options)
    found = find_weights(tensors, encoder, place=f"--init {path}", net=net)
    renamed, dropped = found.renamed(), found.dropped(tensors)
    say(f"--init {path}: {len(found.names)} of its {len(tensors)} tensors are all of {net}, sha256 {sha256[:12]}…")
    for words, listed in (
        ("renamed", [f"{theirs} to {ours}" for theirs, ours in renamed.items()]),
        ("dropped", [f"{name} ({count})" for name, count in dropped.items()]),
        ("not used, though complete", [f"{prefix}*" for prefix in found.others]),
        ("missing, and set to 0", [f"{found.missing} counters of batches"] * bool(found.missing)),
    ):
        if listed:
            more = f" and {len(listed) - MOST} more" * (len(listed) > MOST)
            say(f"  {words}: {', '.join(listed[:MOST])}{more}")
    if warning := may_pad_more(tensors, found.prefix, stem=stem):
        say(f"ssl: WARNING: --init {path}: {warning}")
    if stem.startswith(INPUT):
        say(f"  input: {input_in_words(backbone, others=path.stem != name_in_folder(backbone))}")
    return {"file": path.name, "sha256": sha256, "renamed": renamed, "dropped": dropped}


def plan_of(options: EvaluationT, context: Context, parent: Run | None, *, protocol: AnyProtocol) -> Plan[EvaluationT]:
    """The plan of an evaluation with settled options, including the source of its encoder."""
    origin = _origin(options, parent)
    init, parent_id = init_label(options.init, origin), parent.id if parent else None
    method = parent.encoder_method if parent else None
    return Plan(
        options, context, protocol.experiment, init=init, parent=parent_id, protocol=protocol.key, method=method, origin=origin
    )


def _origin(options: TrainingOptions, parent: Run | None) -> Origin:
    """The file of weights that an evaluation's encoder, or its pretraining, started from; {} without one."""
    if options.init == "pretrained" and parent is not None:
        begun = parent.data.get("init", {})
        return {"file": begun["file"], "sha256": begun["sha256"]} if begun else {}
    return take_stock(options)


def begin_with_file(run: Run, encoder: Encoder, options: TrainingOptions) -> None:
    """Load the file of weights that a run started from, if any, into its encoder; a StateError if it is gone or has changed."""
    path = weights_path(options.init)
    if path is None:
        return
    known = run.data.get("init", {}).get("sha256")
    if not path.is_file():
        raise StateError(f"run {run.id} started from the weights in {path}, which is gone; put the file back (sha256 {known})")
    tensors, sha256, _ = read_tensors(path)
    if sha256 != known:
        raise StateError(
            f"run {run.id} started from other weights than {path} now has: its sha256 is {sha256}, recorded is {known}"
        )
    load_weights(encoder, tensors, find_weights(tensors, encoder, place=str(path), net=_net_in_words(options)))


def _net_in_words(options: TrainingOptions) -> str:
    return f"{options.backbone}" + (f" with stem {options.stem}" if options.stem != "own" else "")
