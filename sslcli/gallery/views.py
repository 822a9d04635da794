"""Some images and several of their augmented views, pixel by pixel as the encoder gets them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch

from sslcli.data.augment import make_views, sample_parameters
from sslcli.data.batches import generator
from sslcli.data.loading import load_data
from sslcli.errors import StateError, UsageError
from sslcli.evaluation.naming import folder_name
from sslcli.figures.canvas import png_path, save_picture
from sslcli.figures.grids import draw_views, pixels_of
from sslcli.options.of_methods import OF_METHODS
from sslcli.options.pictures import Views
from sslcli.options.pretrain import Pretrain
from sslcli.plans.data_access import data_folder, reading_of
from sslcli.plans.views import augmentation_of, view_size_plan, with_strengths
from sslcli.runs.paths import located, recorded
from sslcli.runs.registry import Registry
from sslcli.runs.run import Run


def save_views(registry: Registry, command: Views) -> Path:
    """Write the picture; returns its path."""
    source, folder_of_picture = "these options", "pretrain"
    if command.run is not None:
        record = registry.load(registry.find(command.run, experiment="pretrain"))
        command, source = _options_of(registry, command, record), f"run {record.id}"
        folder_of_picture = folder_name(record)
    try:
        folder = data_folder(registry, command.data_dir)
        data = load_data(command.dataset, folder, download=command.download, reading=reading_of(registry, command))
    except StateError as error:
        raise StateError(f"{error}. --dataset shapes needs no data; --run latest shows the views of a run") from error
    command = with_strengths(command, data.image_size).at_most("n", len(data.train_images))
    if command.n > len(data.train_images):
        raise UsageError(f"--n {command.n}: accepted is at most the {len(data.train_images)} images of {command.dataset}")
    sizes = view_size_plan(str(data.image_size) if command.view_sizes == "auto" else command.view_sizes)
    random = generator(command.seed, "views")
    chosen = data.train_images[torch.randperm(len(data.train_images), generator=random)[: command.n]]
    height, width = chosen.shape[-2:]
    augmentation = augmentation_of(command)
    mean, std = torch.zeros(3), torch.ones(3)  # views are shown before normalisation
    columns, groups, since = [chosen], [(f"image\n{width} px", 1)], 0.0
    for size, until in sizes:
        for _ in range(command.views):
            parameters = sample_parameters(len(chosen), height, width, augmentation, random)
            columns.append((make_views(chosen, parameters, size=size, mean=mean, std=std) * 255).round().to(torch.uint8))
        when = "all steps" if len(sizes) == 1 else f"{100 * since:.0f} to {100 * until:.0f} % of steps"
        groups.append((f"{when}\n{size} px", command.views))
        since = until
    rows = [[pixels_of(column[i]) for column in columns] for i in range(len(chosen))]
    strengths = ", ".join(f"{name} {getattr(augmentation, name):.3g}" for name in vars(augmentation))
    name = recorded(registry, {"dataset": command.dataset})["dataset"]  # relative to the project: the page shows no folder
    title = f"Views of {name}: what the encoder sees"
    figure = draw_views(rows, groups=groups, title=title, subtitle=f"{strengths}\nof {source}, seed {command.seed}")
    path = png_path(command.out, registry.path(f"results/figures/{folder_of_picture}/views.png"))
    save_picture(figure, path, description=f"Of {source}: view sizes {command.view_sizes}, {strengths}")
    return path


def _options_of(registry: Registry, command: Views, record: Run) -> Views:
    """The command with everything that makes views taken from a pretrain run."""
    of_a_view = {field.name for field in fields(Views)} - {"seed", "download", *OF_METHODS}  # --views is the command's own
    taken = of_a_view & record.options.keys() & Pretrain.__dataclass_fields__.keys()
    typed = [name for name in taken - {"data_dir"} if command.origins.get(name) == "command line"]
    if typed:
        names = ", ".join("--" + name.replace("_", "-") for name in sorted(typed))
        raise UsageError(f"{names}: --run {record.id} has its own options for views; leave out one or the other")
    options = located(registry, record.options)
    values = {name: options[name] for name in taken}
    if command.data_dir is not None:
        values["data_dir"] = command.data_dir
    return command.because(f"from pretrain run {record.id}", **values)
