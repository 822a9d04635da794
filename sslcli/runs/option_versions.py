"""The options that runs record, by version, so that a new or renamed option changes nothing for older runs. No torch.

A record names the version of its options as `options_version`. Without that field they have version 1, that of sslcli 0.1.0.
Whoever adds or renames an option that runs record appends a `Change` to CHANGES.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sslcli.errors import UsageError

FIELD = "options_version"
"""The name of the version's field in a record and in a checkpoint's copy of it."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """The changes of one version of the options, by command.

    `added` maps a new option to the value that describes what runs did before this option existed. `added_to_methods` does
    the same by method, for a method's own option: other methods may always have had an option of that name, or never.
    `renamed` maps an option's old name to its new one. A name is never reused for another option.
    """

    added: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    added_to_methods: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


FIRST: dict[str, dict[str, object]] = {
    "pretrain": {
        "method": "simclr", "backbone": "resnet18", "stem": "auto", "init": "scratch", "projector_hidden": 1024,
        "projector_dim": 128, "temperature": 0.5, "dataset": "cifar10", "labels": None, "image_size": None, "fit": "crop",
        "data_dir": None, "download": False, "epochs": 200, "batch_size": 512, "optimizer": "sgd", "lr": None,
        "weight_decay": None, "momentum": 0.9, "warmup_epochs": None, "max_steps": None, "seed": 1, "view_sizes": "auto",
        "crop_min": None, "flip": 0.5, "jitter": 0.8, "brightness": None, "contrast": None, "saturation": None, "hue": None,
        "grey": None, "blur": None, "knn_every": 1, "knn_images": 5000, "keep_every": 0, "device": "auto", "precision": "auto",
        "compile": False, "deterministic": False, "name": None,
    },
    "probe": {
        "protocol": "linear", "k": 10, "temperature": None, "init": "pretrained", "encoder": "latest", "at_epoch": None,
        "dataset": None, "labels": None, "image_size": None, "fit": None, "data_dir": None, "download": False,
        "label_fraction": 1.0, "backbone": None, "stem": None, "epochs": 30, "batch_size": 256, "seed": None, "device": "auto",
        "precision": "auto", "deterministic": False, "name": None,
    },
    "finetune": {
        "init": "pretrained", "encoder": "latest", "dataset": None, "labels": None, "image_size": None, "fit": None,
        "data_dir": None, "download": False, "label_fraction": 1.0, "backbone": None, "stem": None, "epochs": 10,
        "batch_size": 128, "optimizer": "sgd", "lr": None, "weight_decay": None, "momentum": 0.9, "warmup_epochs": None,
        "max_steps": None, "seed": None, "crop_min": 0.6, "flip": 0.5, "device": "auto", "precision": "auto",
        "deterministic": False, "name": None,
    },
}  # fmt: skip
"""The options of version 1 and their defaults, by command."""
CHANGES: tuple[Change, ...] = (
    Change(added={"finetune": {"search_lr": False}}),
    Change(added_to_methods={"simclr": {"views": 2, "small_views": 0}}),
    Change(added={"pretrain": {"watch": None}}),
    Change(added={"probe": {"folds": None}}),
    Change(added={"probe": {"max_steps": None}}),
)
"""The changes of versions 2, 3, … of the options."""


def current() -> int:
    """The current version of the options."""
    return 1 + len(CHANGES)


def version_in(record: Mapping[str, object], source: str) -> int:
    """The version of the options in a record; a UsageError if it is unknown. `source` names the record."""
    version = record.get(FIELD, 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= current():
        raise UsageError(
            f"{source}: {FIELD} {str(version)[:60]!r}: accepted is a whole number from 1 to {current()}. If a newer sslcli "
            "wrote the file, type: pip install --upgrade sslcli"
        )
    return version


def as_now(command: str, options: Mapping[str, object], version: int) -> dict[str, object]:
    """Options recorded at `version`, under their current names. Newer options get the value that describes such a run.

    A run of a method gets only the newer options of that method.
    """
    return _since(command, options, version=version, method=method_of(command, options))


def method_of(command: str, options: Mapping[str, object]) -> str | None:
    """The method in recorded options; None if the command has none."""
    method = options.get("method", FIRST[command].get("method"))
    return None if method is None else str(method)


def added_since_first(command: str, *, method: str | None = None) -> dict[str, object]:
    """The options that CHANGES added to a command and its `method`, with the values that describe earlier runs."""
    return _since(command, {}, version=1, method=method)


def _since(command: str, options: Mapping[str, object], *, version: int, method: str | None) -> dict[str, object]:
    found = dict(options)
    for change in CHANGES[version - 1 :]:
        names = change.renamed.get(command, {})
        added = {**change.added.get(command, {}), **({} if method is None else change.added_to_methods.get(method, {}))}
        found = added | {names.get(name, name): value for name, value in found.items()}
    return found


def first_name(command: str, name: str) -> str:
    """The first name of a current option."""
    for change in reversed(CHANGES):
        if renamed := change.renamed.get(command):  # most rename nothing, and keys ask for the same names again and again
            name = {new: old for old, new in renamed.items()}.get(name, name)
    return name
