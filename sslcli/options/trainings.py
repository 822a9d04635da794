"""The commands that train, and so make runs."""

from __future__ import annotations

from sslcli.options.finetune import Finetune
from sslcli.options.pretrain import Pretrain
from sslcli.options.probe import Probe

TRAININGS: dict[str, type[Pretrain] | type[Probe] | type[Finetune]] = {
    "pretrain": Pretrain,
    "probe": Probe,
    "finetune": Finetune,
}
"""The commands that train, and so make runs."""
