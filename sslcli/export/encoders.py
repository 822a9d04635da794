"""`load_encoder`: a trained encoder, its transform and provenance, from a run, a checkpoint or an export."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sslcli.data.transform import Transform, preprocessing
from sslcli.errors import StateError, UsageError
from sslcli.file_kinds import marked_kind
from sslcli.models.encoder import Encoder, build_encoder, weights_hash
from sslcli.models.same_function import ABOUT
from sslcli.models.weight_files import read_tensors
from sslcli.plans.data_access import data_of_run
from sslcli.plans.pretraining import kept_epochs, kept_name
from sslcli.runs.registry import Registry, find_project
from sslcli.runs.run import Run, Settled
from sslcli.training.checkpoint import State, encoder_in, load_checkpoint, parse_checkpoint

TOLD = ("id", "name", "experiment", "protocol", "init", "parent", "dataset", "backbone", "seed", "epochs", "label_fraction",
        "at_epoch", "created", "metrics", "device", "versions", "data", "note")  # fmt: skip
"""The fields of a run's record that are provenance, beside its options."""
OF_THE_PLACE = ("data_dir", "download", "device", "name", "init")
"""Options that name local places, which mean nothing elsewhere; the `init` of a run names the weights it started from."""


class Loaded(NamedTuple):
    """An encoder in evaluation mode on the CPU, the transform of pictures to its input, and its provenance."""

    encoder: Encoder
    transform: Transform
    provenance: dict[str, Any]


def load_encoder(
    source: str | Path = "latest", *, project: str | Path | None = None, data_dir: str | Path | None = None
) -> Loaded:
    """The encoder of a finished run, a checkpoint, or a folder from `ssl export`.

    source: a run's id, name or unique prefix; "latest", the newest finished pretrain run; or a path. project: the folder of
    the runs; default: the nearest with a registry.yaml. data_dir: the folder of the data sets, read only for a pretrain
    run that recorded no normalisation. A StateError for a missing or unfinished source, a UsageError if it has no encoder.

        encoder, transform, provenance = load_encoder("latest")
        h = encoder(transform(picture)[None])  # (1, encoder.dim)
    """
    path = Path(source)
    if path.is_file():
        return _of_file(path, _path(data_dir))
    if (path / ABOUT).is_file():
        return _of_export(path)
    named = project or os.environ.get("SSL_PROJECT")
    registry = Registry((Path(named) if named else find_project(Path.cwd())).resolve())
    return encoder_of_run(registry, finished_run(registry, str(source)), data_dir=_path(data_dir))


def _path(named: str | Path | None) -> Path | None:
    return None if named is None else Path(named)


def finished_run(registry: Registry, selector: str) -> Run:
    """The finished run with this id, name or prefix; "latest" is the newest pretrain run, as for `ssl probe`."""
    if selector == "latest":
        return registry.find(selector, experiment="pretrain", status="finished")
    if os.sep in selector:
        raise StateError(
            f"{selector}: there is no such file, nor a folder that ssl export wrote; accepted: these, or a finished run; "
            f"to see the runs, type: {registry.command('ssl runs list')}"
        )
    try:
        return registry.find(selector, status="finished")
    except StateError:
        found = registry.find(selector)  # raises if the name is wrong
        raise StateError(f"run {found.id} is {registry.status(found)}; accepted is a finished run made here") from None


def encoder_of_run(registry: Registry, run: Run, *, data_dir: Path | None = None, file: str | None = None) -> Loaded:
    """The encoder in a finished run's checkpoint: last.pt of a pretraining, best.pt of an evaluation, or `file`."""
    record = registry.load(run)
    name = file or ("last" if record.experiment == "pretrain" else "best")
    state = load_checkpoint(registry, record, name)
    best = "backbone" in state  # an evaluation's best.pt, which is complete by itself
    transform = _transform_of(state) if best else _recorded_transform(registry, record, data_dir)
    options = state if best else record.settled
    encoder = _encoder_in(state, options, f"run {record.id}: {name}.pt")
    provenance = provenance_of(registry, record) | {
        "checkpoint": f"{record.folder}/checkpoints/{name}.pt",
        "checkpoint_sha256": record.checkpoints[f"{name}.pt"][0],
        "weights_sha256": weights_hash(encoder),
    }
    if name in {kept_name(epoch) for epoch in kept_epochs(record)}:
        provenance["at_epoch"] = int(name.removeprefix("epoch-"))
    return Loaded(encoder, transform, provenance)


def provenance_of(registry: Registry, record: Run) -> dict[str, Any]:
    """The provenance of a run's encoder as plain data: the run, its options, and for an evaluation also the pretraining."""
    told = {name: value for name in TOLD if (value := getattr(record, name)) not in (None, {})}
    told["run"] = told.pop("id")
    told |= {"method": record.encoder_method} if record.encoder_method else {}
    told["options"] = {name: value for name, value in record.options.items() if name not in OF_THE_PLACE}
    if record.parent:
        try:
            told["pretraining"] = provenance_of(registry, registry.load(registry.find(record.parent)))
        except StateError:
            told["pretraining"] = {"run": record.parent}  # deleted since
    return told


def _recorded_transform(registry: Registry, record: Run, data_dir: Path | None) -> Transform:
    """The recorded transform; if the run recorded none, from its data."""
    if "mean" in record.data:
        return _transform_of(record.data)
    return _transform_of(preprocessing(data_of_run(registry, record, data_dir)))


def _transform_of(known: Mapping[str, Any]) -> Transform:
    mean, std = (tuple(float(value) for value in known[name]) for name in ("mean", "std"))
    size = int(known["image_size"])
    return Transform(size, mean, std, int(known.get("kept_size", size)), known.get("fit", "crop"))


def _encoder_in(state: State, options: State | Settled, place: str) -> Encoder:
    """The encoder in a checkpoint, in evaluation mode; a UsageError if it holds none."""
    weights = encoder_in(state)
    if not weights:
        raise UsageError(f"{place} holds no encoder, only the classifier trained on one; accepted is best.pt of this run")
    encoder = build_encoder(options["backbone"], stem=options["stem"], seed=0)
    encoder.load_state_dict(weights)
    return encoder.eval()


def _of_file(path: Path, data_dir: Path | None) -> Loaded:
    """The encoder in a checkpoint in its run's folder (checked against the record), or in an evaluation's best.pt elsewhere."""
    record = path.resolve().parent.parent / "run.yaml"
    if record.is_file():
        registry = Registry(record.parents[3])
        run = registry.find(record.parent.name)
        return encoder_of_run(registry, run, data_dir=data_dir, file=path.name.removesuffix(".pt"))
    content = path.read_bytes()
    state = parse_checkpoint(content, str(path))
    if not {"backbone", "stem", "mean", "run"} <= set(state):
        raise UsageError(
            f"{path} does not say where it comes from; accepted are a run, a checkpoint in its run's folder, an "
            "evaluation's best.pt, and a folder that ssl export wrote. For weights from elsewhere: ssl probe --init FILE"
        )
    encoder = _encoder_in(state, state, str(path))
    made = {"checkpoint": str(path), "checkpoint_sha256": hashlib.sha256(content).hexdigest()}
    return Loaded(encoder, _transform_of(state), state["run"] | made | {"weights_sha256": weights_hash(encoder)})


def _of_export(folder: Path) -> Loaded:
    """The encoder in a folder from `ssl export`, if its weights are unchanged."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        path, known = folder / about["weights"], about["sha256"]
        encoder = build_encoder(about["backbone"], stem=about["stem"], seed=0)
        transform, provenance = _transform_of(about), about["provenance"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        kind = marked_kind((folder / ABOUT).read_bytes())
        raise UsageError(
            f"{folder / ABOUT} is not what ssl export wrote: {f'it is {kind}' if kind else repr(error)}"
        ) from error
    if about["format"] == "onnx":
        raise UsageError(f"{folder} is an ONNX export, which does not load as a torch module; accepted are the other formats")
    weights, sha256, _ = read_tensors(path)
    if sha256 != known:
        raise StateError(f"{path} is damaged or foreign: its sha256 is {sha256}, recorded is {known}")
    encoder.backbone.load_state_dict(weights)
    return Loaded(encoder.eval(), transform, provenance)
