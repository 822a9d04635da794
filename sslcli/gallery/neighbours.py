"""The training pictures that an encoder finds nearest to your own pictures."""

from __future__ import annotations

import shlex

import torch

from sslcli.console.messages import say
from sslcli.data.batches import generator
from sslcli.data.folder.entry import as_text
from sslcli.data.image_data import centre, label_name
from sslcli.data.on_disk import chosen
from sslcli.errors import UsageError
from sslcli.evaluation.neighbours import nearest_with_cosines
from sslcli.export.reading import own_pictures, reader_of
from sslcli.figures.canvas import png_path, save_picture
from sslcli.figures.grids import pixels_of, short_name, two_lines
from sslcli.figures.representations import Found, draw_neighbours
from sslcli.options.pictures import Neighbours
from sslcli.paths import relative
from sslcli.runs.registry import Registry

MOST_DRAWN = 100  # own pictures; with more, all are printed
WIDE = 14  # characters that fit above an image


def save_neighbours(registry: Registry, command: Neighbours) -> None:
    """Draw own pictures beside their nearest training images, and print which these are."""
    reader = reader_of(registry, command.run, data_dir=command.data_dir, device=command.device)
    paths, images = own_pictures(reader, command.images or [])
    path = png_path(command.out, registry.path("results/predictions/neighbours.png"), keep=paths)
    data, record = reader.data(), reader.run
    whole = len(data.train_labels)
    most = min(command.among or whole, whole)
    k = command.at_most("k", most).k
    if k > most:
        raise UsageError(f"--k {k}: accepted is at most the {most} training images")
    bank = torch.randperm(whole, generator=generator(command.seed, "neighbours"))[: command.among].sort().values
    say(f"{record.id}: computing representations of {len(bank):,} training images")
    places, cosines = nearest_with_cosines(reader.h(chosen(data.train_images, bank)), reader.h(images), k=k)
    files = data.files("train") or [f"train {place}" for place in range(whole)]
    rows = []
    for own, nearest, alike in zip(paths, bank[places].tolist(), cosines.tolist(), strict=True):
        names = [label_name(data.classes, label) for label in data.train_labels[nearest].tolist()]
        found = zip(names, nearest, alike, strict=True)
        print(as_text(f"{own}: {', '.join(f'{name} {cosine:.3f} ({files[place]})' for name, place, cosine in found)}"))
        captions = [f"{short_name(name, most=WIDE)}\n{cosine:.3f}" for name, cosine in zip(names, alike, strict=True)]
        shown = centre(data.train_images[nearest], data.image_size)
        rows.append(list(zip(map(pixels_of, shown), captions, strict=True)))
    queries = [(pixels_of(image), two_lines(own.name, wide=WIDE)) for own, image in zip(paths, images, strict=True)]
    some = "" if len(bank) == whole else f", drawn from {whole:,} by seed {command.seed}"
    first = "" if len(paths) <= MOST_DRAWN else f", the first {MOST_DRAWN} of {len(paths):,},"
    figure = draw_neighbours(
        queries[:MOST_DRAWN],
        [Found(f"nearest training images of {record.dataset}\n{record.id}", rows[:MOST_DRAWN])], judged=False,
        title=f"Own pictures{first} and their nearest training images, as the encoder gets them",
        subtitle=f"the {k} nearest of {len(bank):,} training images{some}; below each name: the cosine similarity of its h "
        "and the query's, at most 1",
    )  # fmt: skip
    save_picture(figure, path, description=f"Run: {record.id}. Pictures: {', '.join(map(str, paths))}")
    say(f"wrote {relative(path)}")
    words = shlex.join(["ssl", "embed", "--run", record.id, "--images", *(command.images or [])])
    say(f"next, type: {registry.command(words)}")
