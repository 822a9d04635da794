"""Logistic regression on standardised representations: scikit-learn's, its regularisation chosen on validation images."""

from __future__ import annotations

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # scikit-learn's C, of the mean loss times N
ITERATIONS = 1000


def fit_logistic(
    features: Tensor, labels: Tensor, val_features: Tensor, val_labels: Tensor, *, classes: int
) -> tuple[nn.Linear, float]:
    """The classifier that does best on the validation images, among those of each C in STRENGTHS; and its C.

    features: (N, d) float32 on the CPU, each class present. Of equals the more strongly regularised one is taken. lbfgs has one
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
    """The fitted model as a linear layer; of two classes scikit-learn keeps one row, which is their difference."""
    weight, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if classes == 2:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    layer = nn.Linear(weight.shape[1], classes)
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer
