"""Self-supervised learning on images, from two CPU cores up.

Until __main__ has changed the import path, this imports nothing that a file in the current folder could replace.
"""

import importlib

TYPE_CHECKING = False  # as type checkers understand it, without the module typing
if TYPE_CHECKING:
    from typing import Any

    from sslcli.python import compare, finetune, load_encoder, pretrain, probe, study
    from sslcli.runs.registry import Registry

_PLACES = {
    **dict.fromkeys(("pretrain", "probe", "finetune", "compare", "study", "load_encoder"), "sslcli.python"),
    "Registry": "sslcli.runs.registry",
}
__all__ = ["Registry", "__version__", "compare", "finetune", "load_encoder", "pretrain", "probe", "study"]
__version__ = "0.2.0"


def __getattr__(name: str) -> "Any":
    """What can be called from Python. Each name is imported on first use, and torch with it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
