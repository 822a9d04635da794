"""Figures of the scalars in TensorBoard's event files. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from sslcli.console.messages import say
from sslcli.errors import StateError
from sslcli.evaluation.naming import folder_name, in_words
from sslcli.figures.canvas import save_picture, save_svgs
from sslcli.figures.curves import Curve, draw_curves
from sslcli.gallery.accuracy_over_time import epochs_of, figure_over_time
from sslcli.runs.next_step import record_or_index
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run
from sslcli.runs.selection import newest_pairs, study_runs
from sslcli.training.events import Points, Scalars, event_folders, read_scalars
from sslcli.training.tags import OLD_NAMES, PLAIN, marked, name_of, names_of, plain

LABELS = {
    "test_acc": "test accuracy (%)",
    "val_acc": "validation accuracy (%)",
    "val_knn": "kNN accuracy on training images with held-out labels (%)",
    "test_loss": "test loss (nats)",
    "val_loss": "validation loss (nats)",
    "train_loss_epoch": "training loss, epoch mean (nats)",
    "train_loss_step": "training loss per step (nats)",
    "train_lr": "learning rate",
    "train_z_std": "standard deviation of the unit-length projection z",
    "val_z_std": "standard deviation of the unit-length projection z, at the end of the epoch",
    "val_alignment": "mean squared distance of two views' z (0 to 4)",
    "val_uniformity": "uniformity of z (0: collapsed; lower: more even)",
    "val_rank": "effective rank of the representation h",
    "watch_knn_acc": "kNN accuracy on the watched data set (%)",
    "watch_online_acc": "online accuracy on the watched data set (%)",
    "val_rankme": "RankMe: dimensions that the projection z uses",
    "val_lidar": "LiDAR: dimensions of h that tell images apart",
    "val_alpha_req": "alpha-ReQ: exponent by which the spectrum of h falls",
}


def save_curves(registry: Registry, *, study: str | None, out: Path, svg: bool = False) -> list[Path]:
    """Figures of a study's newest pairs and of its pretraining, as PNG and if asked as SVG; returns their paths."""
    runs = study_runs(registry, study)
    written = []
    for pair in newest_pairs(runs):
        records = [record_or_index(registry, run) for run in pair]
        folder = out / folder_name(pair[0])
        written += _draw_pair(registry, records, folder, svg=svg)
        if pair[0].experiment == "pretrain":
            written += _draw_over_time(registry, records[0], folder, svg=svg)
    if not written:
        raise StateError(f"the event files of the newest runs in {registry.root} hold no scalars: there is nothing to draw")
    return written


def _draw_pair(registry: Registry, records: list[Run], folder: Path, *, svg: bool) -> list[Path]:
    """Save a figure for each scalar of a run and its partner."""
    scalars = [_read(registry.path(record.folder)) for record in records]
    first = records[0]
    words = in_words(first.experiment, first.label_fraction, protocol=first.protocol).capitalize()
    looks = [int(record.init == "scratch") for record in records]
    names = [f"{record.init}, {record.id}" if record.init else record.id for record in records]
    ends = [record.init or record.encoder_method or "" for record in records]
    epochs = [epochs_of(record) for record in records]
    written = []
    for scalar in _scalars_of(scalars):
        by_epoch = all(step in known for known, series in zip(epochs, scalar.points, strict=True) for step, _ in series)
        points = scalar.in_per_cent
        if by_epoch:
            points = [[(known[step], y) for step, y in series] for known, series in zip(epochs, points, strict=True)]
        curves = [Curve(*found) for found in zip(names, points, looks, ends, strict=True) if found[1]]
        label = LABELS.get(scalar.name, scalar.label)
        if first.experiment == "pretrain" and scalar.name.startswith("train_loss"):  # only some methods' loss is in nats
            label = _without_unit(label)
        figure = draw_curves(
            curves, title=f"{words}: {_without_unit(label)}\n({first.backbone} on {first.dataset})",
            x_label="epoch" if by_epoch else "step", y_label=label, noisy=scalar.noisy, lines=_references(scalar.name, first),
        )  # fmt: skip
        written += _save(figure, folder / scalar.name, description=f"Runs: {', '.join(names)}", svg=svg)
    return written


def _references(name: str, record: Run) -> list[tuple[float, str]]:
    """Reference values for a scalar: the deviation of a healthy projection."""
    dim = record.settled.get("projector_dim")
    if not name.endswith("_z_std") or not dim:
        return []
    return [(dim**-0.5, f"spread evenly: 1/sqrt({dim}) = {dim**-0.5:.3f}; collapsed: 0"), (0.0, "")]


def _draw_over_time(registry: Registry, pretrain: Run, folder: Path, *, svg: bool) -> list[Path]:
    if (drawn := figure_over_time(registry.runs(), pretrain, partial(record_or_index, registry))) is None:
        return []
    figure, description = drawn
    return _save(figure, folder / "accuracy_over_time", description=description, svg=svg)


def _save(figure: Figure, stem: Path, *, description: str, svg: bool) -> list[Path]:
    """Write STEM.png, and if asked STEM_light.svg and STEM_dark.svg; returns the paths."""
    path = stem.with_name(f"{stem.name}.png")
    save_picture(figure, path, description=description)
    return [path, *(save_svgs(figure, stem, description=description) if svg else [])]


def save_foreign_curves(logdir: Path, out: Path, *, svg: bool = False) -> list[Path]:
    """Figures of any event files: folders beside each other share a picture, named after the folder that holds them."""
    if not logdir.is_dir():
        raise StateError(f"--logdir {logdir}: there is no such folder")
    folders = event_folders(logdir)
    if not folders:
        raise StateError(f"--logdir {logdir}: there are no event files in it (their names contain tfevents)")
    groups: dict[Path, list[Path]] = {}
    for folder in folders:
        groups.setdefault(logdir if folder == logdir else folder.parent, []).append(folder)
    titles = {parent: parent.relative_to(logdir).as_posix() for parent in groups}
    titles[logdir] = logdir.resolve().name
    folder_names: dict[Path, str] = {}
    written = []
    for parent, members in groups.items():
        folder_names[parent] = _free_name(titles[parent], folder_names.values())
        written += _draw_group(titles[parent], parent, members, out / folder_names[parent], svg=svg)
    if not written:
        raise StateError(f"--logdir {logdir}: its event files hold no scalars: there is nothing to draw")
    return written


def _draw_group(title: str, parent: Path, members: list[Path], out: Path, *, svg: bool) -> list[Path]:
    """Save a figure for each scalar of the event folders in `parent`."""
    scalars = [_read(folder) for folder in members]
    names = [folder.relative_to(parent).as_posix() if folder != parent else title for folder in members]
    written = []
    for scalar in _scalars_of(scalars):
        named = enumerate(zip(names, scalar.in_per_cent, strict=True))
        figure = draw_curves(
            [Curve(member, points, look) for look, (member, points) in named if points],
            title=f"{title}: {scalar.label.removesuffix(' (%)')}", x_label="step", y_label=scalar.label, noisy=scalar.noisy,
        )  # fmt: skip
        described = f"Tag: {scalar.tag}. Event files: {', '.join(map(str, members))}"
        written += _save(figure, out / scalar.name, description=described, svg=svg)
    return written


def _free_name(title: str, taken: Collection[str]) -> str:
    """A title as a lower-case folder name that is not taken."""
    name = plain(title, empty="logs")
    return name if name not in taken else marked(name, title)


def _read(folder: Path) -> Scalars:
    found = read_scalars(folder)
    for loss in found.losses:
        say(f"ssl: {loss}")
    return found


@dataclass(frozen=True)
class Scalar:
    """A scalar of a figure: name, tag (the first of those that share the name), label, and the points of each folder."""

    name: str
    tag: str
    label: str
    points: list[Points]

    @property
    def noisy(self) -> bool:
        """Whether its curves may be smoothed."""
        return "loss" in _words(self.tag)

    @property
    def in_per_cent(self) -> list[Points]:
        """The points, with accuracies in per cent; those of other programs may be in per cent already."""
        scales = [100 if _is_accuracy(self.tag) and all(abs(y) <= 1 for _, y in series) else 1 for series in self.points]
        return [[(x, scale * y) for x, y in series] for scale, series in zip(scales, self.points, strict=True)]


def _scalars_of(folders: Sequence[Scalars]) -> list[Scalar]:
    """The scalars of folders that share figures. A label is the tag in words, or unchanged if words would be unclear."""
    names = names_of([found.series for found in folders])
    unclear = {name_of(tag) for tag, name in names.items() if name != name_of(tag)}
    scalars: dict[str, Scalar] = {}
    for tag, name in names.items():
        clear = PLAIN.fullmatch(tag) and name_of(tag) not in unclear
        label = label_of(name if name in OLD_NAMES.values() else tag) if clear else _as_it_is(tag)
        scalar = scalars.setdefault(name, Scalar(name, tag, label, [[] for _ in folders]))
        for points, found in zip(scalar.points, folders, strict=True):
            points.extend(found.series.get(tag, []))
    return [scalars[name] for name in sorted(scalars)]


def _words(tag: str) -> list[str]:
    """The words of a tag, in lower case: those of valAcc are val and acc."""
    apart = re.sub(r"(?<=[^\W_A-Z])(?=[A-Z][a-z])", " ", tag)
    return re.split(r"[\s/_-]+", apart.lower().strip())


def _is_accuracy(tag: str) -> bool:
    return _words(tag)[-1] in ("acc", "accuracy", "knn")


def label_of(tag: str) -> str:
    """A scalar of another program in words; its unit is known only if it is an accuracy."""
    words = ["accuracy" if word == "acc" else word for word in _words(tag)]
    return " ".join(words).strip() + " (%)" * _is_accuracy(tag)


def _as_it_is(tag: str) -> str:
    """An unchanged tag as a label, on one line."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in tag).split())
    return (shown or "no tag") + " (%)" * _is_accuracy(tag)


def _without_unit(label: str) -> str:
    return re.sub(r" \([^)]*\)$", "", label)
