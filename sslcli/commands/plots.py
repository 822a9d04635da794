"""ssl plots: what TensorBoard's event files hold, as figures; with --check a page's images. Imports no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from sslcli.commands.next_step import record_or_index
from sslcli.commands.project import newest_pairs, open_registry, say, study_runs
from sslcli.commands.words import folder_name, in_words
from sslcli.config import Plots
from sslcli.errors import StateError, UsageError
from sslcli.pictures.canvas import save_picture
from sslcli.pictures.curves import Curve, Measured, draw_accuracy_over_time, draw_curves
from sslcli.registry import Registry, Run
from sslcli.training.events import Points, Scalars, event_folders, read_scalars

LABELS = {
    "test_acc": "test accuracy (%)",
    "val_acc": "validation accuracy (%)",
    "val_knn": "kNN accuracy on held-out training images (%)",
    "test_loss": "test loss (nats)",
    "val_loss": "validation loss (nats)",
    "train_loss_epoch": "training loss, mean of the epoch (nats)",
    "train_loss_step": "training loss of the step (nats)",
    "train_lr": "learning rate",
    "train_z_std": "deviation of the unit-length projection z",
    "val_z_std": "deviation of the unit-length projection z, held-out images",
    "val_alignment": "mean squared distance of two views' z (0 to 4)",
    "val_uniformity": "uniformity of z (0: collapsed; lower: more even)",
    "val_rank": "effective rank of the representation h",
}


def run(command: Plots) -> None:
    """Draw and print the path of each figure; or check a page."""
    if command.check is not None:
        from sslcli.commands.links import check

        check(command.check, fix=command.fix)
        return
    if command.fix:
        raise UsageError("--fix rewrites links of a page: it goes with --check README.md")
    registry = open_registry(command)
    out = command.out or registry.path("results/figures")
    logdir = command.logdir
    written = draw_foreign(logdir, out) if logdir else draw(registry, study=command.study, out=out)
    for path in written:
        print(os.path.relpath(path))
    advice = "" if logdir else f"; to see what the runs predict, type: {registry.command('ssl predict')}"
    say(f"wrote {len(written)} figures{advice}")


def draw(registry: Registry, *, study: str | None, out: Path) -> list[Path]:
    """Figures of a study's newest pairs and of its pretraining; returns their paths."""
    runs = study_runs(registry, study)
    written = []
    for pair in newest_pairs(runs):
        records = [record_or_index(registry, run) for run in pair]
        folder = out / folder_name(pair[0])
        written += _draw_pair(registry, records, folder)
        if pair[0].experiment == "pretrain":
            written += _draw_over_time(registry.runs(), records[0], folder)
    if not written:
        raise StateError(f"there are no scalars in the event files of the newest runs in {registry.root}: nothing to draw")
    return written


def _draw_pair(registry: Registry, records: list[Run], folder: Path) -> list[Path]:
    """A figure for each scalar of a run and of its partner."""
    scalars = [_read(registry.path(record.folder)) for record in records]
    first = records[0]
    words = in_words(first.experiment, first.label_fraction, protocol=first.protocol).capitalize()
    looks = [int(record.init == "scratch") for record in records]
    names = [f"{record.init}, {record.id}" if record.init else record.id for record in records]
    epochs = [_epochs(record) for record in records]
    written = []
    for name in _all_names(scalars):
        points = [found.points.get(name, []) for found in scalars]
        by_epoch = all(step in known for known, series in zip(epochs, points, strict=True) for step, _ in series)
        if by_epoch:
            points = [[(known[step], y) for step, y in series] for known, series in zip(epochs, points, strict=True)]
        curves = [Curve(*found) for found in zip(names, _per_cent(name, points), looks, strict=True) if found[1]]
        label = LABELS.get(name, _label(name))
        figure = draw_curves(
            curves, title=f"{words}: {_without_unit(label)}\n({first.backbone} on {first.dataset})",
            x_label="epoch" if by_epoch else "step", y_label=label, noisy="loss" in name, lines=_references(name, first),
        )  # fmt: skip
        path = folder / f"{name}.png"
        save_picture(figure, path, description=f"Runs: {', '.join(names)}")
        written.append(path)
    return written


def _epochs(record: Run) -> dict[float, float]:
    """The steps at which a run's epochs ended, and how many epochs that were; --max-steps may have cut the last one off."""
    if not record.history:
        return {}
    first = record.history[0]["step"] / min(1, record.epochs or 1)
    return {entry["step"]: entry["step"] / first for entry in record.history}


def _references(name: str, record: Run) -> list[tuple[float, str]]:
    """The values to hold a scalar against: what a healthy projection's deviation is near."""
    dim = record.options.get("projector_dim")
    if not name.endswith("_z_std") or not dim:
        return []
    return [(dim**-0.5, f"spread evenly: 1/sqrt({dim}) = {dim**-0.5:.3f}; collapsed: 0"), (0.0, "")]


def _draw_over_time(runs: list[Run], pretrain: Run, folder: Path) -> list[Path]:
    """Linear and kNN accuracy over epochs and minutes, where more than the last checkpoint was measured."""
    probes = [r for r in runs if r.protocol == "linear" and r.status == "finished" and r.label_fraction == 1]
    mine = [probe for probe in probes if probe.parent == pretrain.id]
    at = {pair: {p.at_epoch: p for p in mine if p.pair == pair} for pair in {p.pair: None for p in reversed(mine)}}
    pair = max(at, key=lambda pair: len(at[pair]), default=None)  # the most epochs; of equals the newest
    scratch = [probe.metrics["test_acc"] for probe in probes if probe.init == "scratch" and probe.pair == pair]
    epochs = _epochs(pretrain)
    clock = {epochs[entry["step"]]: entry["seconds"] for entry in pretrain.history if "seconds" in entry}
    last = max(clock, default=0.0)
    accuracies = {epoch or last: probe.metrics["test_acc"] for epoch, probe in at.get(pair, {}).items()}
    linear = [Measured(epoch, clock[epoch], accuracies[epoch]) for epoch in sorted(accuracies) if epoch in clock]
    known = {epochs[entry["step"]]: entry["val/knn"] for entry in pretrain.history if "val/knn" in entry}
    knn = [Measured(epoch, clock[epoch], accuracy) for epoch, accuracy in known.items() if epoch in clock]
    if len(linear) < 2 and len(knn) < 2:
        return []
    figure = draw_accuracy_over_time(
        linear, knn, scratch=scratch[-1] if scratch else None, machine=pretrain.device or "",
        title=f"Accuracy over time: {pretrain.backbone} on {pretrain.dataset}\n({pretrain.id})",
    )  # fmt: skip
    path = folder / "accuracy_over_time.png"
    shown = ", ".join(f"epoch {m.epoch:g} ({m.seconds / 60:.1f} min) {m.accuracy:.4f}" for m in linear)
    save_picture(figure, path, description=f"Run: {pretrain.id}. Linear evaluation: {shown}")
    return [path]


def draw_foreign(logdir: Path, out: Path) -> list[Path]:
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
        written += _draw_group(titles[parent], parent, members, out / folder_names[parent])
    if not written:
        raise StateError(f"--logdir {logdir}: its event files hold no scalars: there is nothing to draw")
    return written


def _draw_group(title: str, parent: Path, members: list[Path], out: Path) -> list[Path]:
    """A figure for each scalar of the event folders that lie in `parent`."""
    scalars = [_read(folder) for folder in members]
    names = [folder.relative_to(parent).as_posix() if folder != parent else title for folder in members]
    written = []
    for name in _all_names(scalars):
        points = _per_cent(name, [found.points.get(name, []) for found in scalars])
        named = enumerate(zip(names, points, strict=True))
        label = _label(name)
        figure = draw_curves(
            [Curve(member, series, look) for look, (member, series) in named if series],
            title=f"{title}: {_without_unit(label)}", x_label="step", y_label=label, noisy="loss" in name,
        )  # fmt: skip
        save_picture(figure, out / f"{name}.png", description=f"Event files: {', '.join(map(str, members))}")
        written.append(out / f"{name}.png")
    return written


def _free_name(title: str, taken: Collection[str]) -> str:
    """A title as the lower-case name of a folder, another than those that are taken."""
    name = re.sub(r"[^a-z0-9._-]+", "_", title.lower()).strip("._") or "logs"
    return name if name not in taken else _free_name(f"{name}_2", taken)


def _read(folder: Path) -> Scalars:
    found = read_scalars(folder)
    for loss in found.losses:
        say(f"ssl: {loss}")
    return found


def _all_names(scalars: Iterable[Scalars]) -> list[str]:
    return sorted({name for found in scalars for name in found.points})


def _per_cent(name: str, points: Sequence[Points]) -> list[Points]:
    """Accuracies as per cent; those of other programs may be so already."""
    scales = [100 if _is_accuracy(name) and all(abs(y) <= 1 for _, y in series) else 1 for series in points]
    return [[(x, scale * y) for x, y in series] for scale, series in zip(scales, points, strict=True)]


def _is_accuracy(name: str) -> bool:
    return name.endswith(("acc", "knn"))


def _label(name: str) -> str:
    """A scalar of another program in words; its unit is known only if it is an accuracy."""
    return name.replace("_", " ").replace("acc", "accuracy") + " (%)" * _is_accuracy(name)


def _without_unit(label: str) -> str:
    return re.sub(r" \([^)]*\)$", "", label)
