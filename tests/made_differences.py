"""Differences made up for tests of what is said of them."""

from __future__ import annotations

from typing import Any

from sslcli.evaluation.statistics import InitDifference


def made_difference(value: float, half: float = 0.02, **known: Any) -> InitDifference:
    """One seed's difference in kNN, its interval `half` to either side; other fields as they are named."""
    fields: dict[str, Any] = {
        "experiment": "knn", "protocol": "knn", "init": "pretrained", "method": "simclr", "dataset": "a", "label_fraction": 1.0,
        "at_epoch": None, "metric": "test_acc", "seed": 1, "seeds": [1], "interval": "paired", "pretrained_sd": None,
        "scratch_sd": None, "difference_sd": None, "best_test_difference": None, "pretrained_run": "a", "scratch_run": "b",
        "pretrained_runs": ["a"], "scratch_runs": ["b"], "pretrained": 0.5 + value, "scratch": 0.5, "difference": value,
        "low": value - half, "high": value + half,
    }  # fmt: skip
    return InitDifference(**fields | known)
