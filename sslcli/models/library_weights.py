"""The weights that timm and torchvision offer for a network: a copy in the data folder, made once."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sslcli.errors import StateError, UsageError
from sslcli.files import atomic_write
from sslcli.models import TIMM
from sslcli.models.backbones import timm_nets, torchvision_any

OF_HUB = ("model.safetensors", "pytorch_model.bin")
"""The files of weights in timm's repositories at Hugging Face, the better one first."""


def name_in_folder(backbone: str) -> str:
    """The name, without suffix, of the file with a library's own weights."""
    return backbone.replace(":", "-")


def weights_file(backbone: str, folder: Path, *, download: bool) -> Path:
    """The file with the library's weights of timm:NAME or torchvision:NAME in `folder`.

    If it is missing there, it is copied from the library's own cache. If it is not there either, it is downloaded, or a
    StateError says how to get it. A UsageError if the library has no weights for the network.
    """
    name = name_in_folder(backbone)
    if kept := [file for file in folder.glob(f"{name}.*") if file.stem == name]:
        return kept[0]
    find = _of_timm if backbone.startswith(TIMM) else _of_torchvision
    found = find(backbone, download=download)
    if found is None:
        raise StateError(
            f"the weights of {backbone} are not here; to download them, add --download; or name a file: {backbone}=FILE"
        )
    copy = folder / f"{name}{found.suffix}"
    with found.open("rb") as source:
        atomic_write(copy, lambda file: shutil.copyfileobj(source, file))
    return copy


def _of_timm(backbone: str, *, download: bool) -> Path | None:
    known: Any = timm_nets.hold_to_known(backbone).get_pretrained_cfg(backbone.removeprefix(TIMM))
    if known is None or not known.hf_hub_id:
        raise UsageError(f"{backbone}: timm has no weights for it; name a file: {backbone}=FILE")
    hub: Any = importlib.import_module("huggingface_hub")
    there = [hub.try_to_load_from_cache(known.hf_hub_id, file) for file in OF_HUB]
    cached = next((Path(path) for path in there if isinstance(path, str)), None)
    if cached is None and download:
        return Path(_tried(lambda: hub.hf_hub_download(known.hf_hub_id, OF_HUB[0]), backbone))
    return cached


def _of_torchvision(backbone: str, *, download: bool) -> Path | None:
    name = torchvision_any.hold_to_known(backbone)
    best: Any = importlib.import_module("torchvision.models").get_model_weights(name).DEFAULT
    hub: Any = importlib.import_module("torch.hub")
    cached = Path(hub.get_dir()) / "checkpoints" / best.url.rpartition("/")[2]
    if not cached.exists() and download:
        cached.parent.mkdir(parents=True, exist_ok=True)
        _tried(lambda: hub.download_url_to_file(best.url, str(cached), progress=False), backbone)
    return cached if cached.exists() else None


def _tried(fetch: Callable[[], Any], backbone: str) -> Any:
    """What `fetch` returns; a StateError if the network fails."""
    try:
        return fetch()
    except (OSError, ValueError) as error:  # what urllib and huggingface_hub raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StateError(
            f"the weights of {backbone} cannot be downloaded: {reason}; or name a file: {backbone}=FILE"
        ) from error
