"""The first settings of every training: device, data, precision, stem."""

from __future__ import annotations

from sslcli.data import FOLDER
from sslcli.data.loading import load_data
from sslcli.distributed import first_of_each_machine_first, on_first, world
from sslcli.errors import StateError, UsageError
from sslcli.models import LIBRARIES, default_stem, has_stem, stems_in_words
from sslcli.models.encoder import hold_to_side
from sslcli.models.own_input import own_input
from sslcli.options.trainings import OptionsT
from sslcli.plans.data_access import Load, data_folder, normalised_as, reading_of
from sslcli.plans.watching import load_watched
from sslcli.runs.registry import Registry
from sslcli.training.context import Context
from sslcli.training.device import (
    autocast,
    be_deterministic,
    choose_device,
    choose_precision,
    use_well,
)


def prepare(registry: Registry, options: OptionsT, *, load: Load = load_data) -> tuple[Context, OptionsT]:
    """Find the device, load the data, and set the options that depend on them: precision and stem.

    With several processes all take the values of the first one, and must have the same data.
    """
    if options.backbone and options.backbone.startswith(LIBRARIES):
        own_input(options.backbone)  # raises if the library does not know it
    if options.backbone and options.stem not in (None, "auto") and not has_stem(options.backbone, options.stem):
        accepted = stems_in_words(options.backbone)
        raise UsageError(f"--stem {options.stem!r}: {options.backbone} does not have it; accepted: {accepted}")
    batch = options.options().get("batch_size", world())
    if isinstance(batch, int) and batch % world():
        raise UsageError(
            f"--batch-size {batch}: {world()} processes cannot share it equally; accepted is a multiple of "
            f"{world()}, or a number of processes that divides {batch}"
        )
    device = choose_device(options.device)
    be_deterministic(on=options.deterministic)
    use_well(device)
    with first_of_each_machine_first():  # it may have to download
        folder, reading = data_folder(registry, options.data_dir), reading_of(registry, options)
        data = load(str(options.dataset), folder, download=options.download, reading=reading)
    if data.fingerprint != on_first(lambda: data.fingerprint):
        raise StateError(f"the data set {options.dataset} is not the data of the first process (its sha256 differs)")
    if str(options.dataset).startswith(FOLDER) and options.image_size is None:
        options = options.because("from the median of the pictures", image_size=data.image_size)
    if options.precision == "auto":
        options = options.because(f"measured on this {device.type}", precision=choose_precision("auto", device))
    if options.stem in (None, "auto") and options.backbone:
        stem = default_stem(options.backbone, data.image_size)
        options = options.because(f"from the image size, {data.image_size}", stem=stem)
    if options.backbone and options.stem:
        hold_to_side(options.backbone, stem=options.stem, side=data.image_size)
        data = normalised_as(data, options.backbone, options.stem)
    options = on_first(lambda: options)
    watched = load_watched(registry, options, side=data.image_size, load=load)
    context = Context(
        data.to(device), device, autocast(device, options.precision), data.fingerprint, options.precision,
        watched and watched.to(device),
    )  # fmt: skip
    return context, options
