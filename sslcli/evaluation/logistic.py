"""scikit-learn's logistic regression on standardised representations; validation images choose its regularisation."""

from __future__ import annotations

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, for the mean loss times N
ITERATIONS = 1000


def logistic_regression(
    features: Tensor, labels: Tensor, val_features: Tensor, val_labels: Tensor, *, classes: int
) -> tuple[nn.Linear, float]:
    """The classifier with the best validation accuracy among all C in STRENGTHS, and its C.

    features: (N, d) float32 on the CPU, with every class. Of equal ones the more strongly regularised is taken. lbfgs has one
    optimum and no seed.
    """
    best: tuple[float, nn.Linear, float] | None = None
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    for strength in STRENGTHS:
        model.set_params(C=strength).fit(features.numpy(), labels.numpy())
        accuracy = float(model.score(val_features.numpy(), val_labels.numpy()))
        if best is None or accuracy > best[0]:
            best = accuracy, _as_layer(model, classes), strength
    assert best is not None
    return best[1], best[2]


def _as_layer(model: LogisticRegression, classes: int) -> nn.Linear:
    """The fitted model as a linear layer; for two classes scikit-learn stores one row, their difference."""
    weight, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if classes == 2:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    layer = nn.Linear(weight.shape[1], classes)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
