"""Self-supervised learning on images, from two CPU cores up.

Imports nothing that a file in the current folder could take the place of, before __main__ has seen to it.
"""

import importlib

TYPE_CHECKING = False  # as type checkers understand it, without the module typing
if TYPE_CHECKING:
    from typing import Any

    from sslcli.commands.encoders import load_encoder

__all__ = ["__version__", "load_encoder"]
__version__ = "0.1.0"


def __getattr__(name: str) -> "Any":
    """`load_encoder`, imported when it is asked for, and torch with it."""
    if name != "load_encoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("sslcli.commands.encoders").load_encoder
