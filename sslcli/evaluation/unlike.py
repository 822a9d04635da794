"""Is a picture unlike anything that a classifier was trained on? By its distance to the nearest training pictures."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from sslcli.errors import StateError
from sslcli.evaluation.neighbours import nearest_of_unit

K = 10  # neighbours, as in kNN evaluation
SHARE = 0.95  # of the validation pictures that count as usual


@dataclass(frozen=True)
class Familiar:
    """Representations (N, d) of training pictures, of length 1, and the distance above which a picture is unlike them.

    The distance is 1 - cosine to the k-th nearest training picture (Sun et al. 2022, arXiv:2204.06507), in [0, 2]; k is 10, or
    N if that is less.
    """

    bank: Tensor
    threshold: float

    def distances(self, h: Tensor) -> Tensor:
        """The distance (M,) of each of h (M, d)."""
        return _distances(self.bank, h)


def familiar(train: Tensor, val: Tensor) -> Familiar:
    """What is usual by representations of training (N, d) and validation pictures (M, d): 95 % of the latter are.

    A StateError without validation pictures.
    """
    if not len(val):
        raise StateError("there are no validation images, so it is not known which distance is usual")
    bank = F.normalize(train)
    return Familiar(bank, float(_distances(bank, val).double().quantile(SHARE)))


def _distances(bank: Tensor, h: Tensor) -> Tensor:
    return 1 - nearest_of_unit(bank, h, k=min(K, len(bank)))[1][:, -1]
