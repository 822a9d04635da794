"""Methods of self-supervised learning, a file each. This file imports no torch: it says what there is."""

from __future__ import annotations

METHODS = {
    "simclr": "sslcli.methods.simclr:SimCLR",
}
"""Name to the class, a final `Method`."""
