"""How good a representation is, told without labels: RankMe, LiDAR and alpha-ReQ, from the spectra of z and h."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7  # added to each share of a spectrum, as in RankMe's equation 1; LiDAR gives no number for its own
RIDGE = 1e-4  # of the mean variance within images, added in each direction: LiDAR's delta, for which the paper has no number
LEAST = 1e-30  # in the place of a sum of 0, in collapse
FIRST, LAST = 4, 100  # the eigenvalues that alpha-ReQ's authors fit in their program; the paper names no range


def label_free(z: Tensor, h: Tensor, h_views: Tensor) -> dict[str, float]:
    """The three by name: RankMe of z (N, d), alpha-ReQ of h (N, dim) where it has one, LiDAR of views' h (M, V, dim)."""
    alpha = alpha_req(h)
    return {"rankme": rankme(z), "lidar": lidar(h_views)} | ({} if alpha is None else {"alpha_req": alpha})


def rankme(z: Tensor) -> float:
    """RankMe of projections z (N, d): how many dimensions they use, 1 to min(N, d); higher is better.

    The exponential of the entropy of the singular values of z, its mean not taken away, over their sum (Garrido et al. 2023,
    arXiv:2210.02885, equation 1).
    """
    return _smooth_rank(_gram_eigenvalues(z.cpu().double()).sqrt())


def lidar(h: Tensor) -> float:
    """LiDAR of the representations h (N, V, dim) of V views of each image: 1 to min(N - 1, dim); higher is better.

    RankMe's formula on the eigenvalues of W^(-1/2) B W^(-1/2), where B is the covariance of the images' means, and W that of
    views about their image's mean (Thilak et al. 2024, arXiv:2312.04000, equations 1 to 4). So a direction counts little in
    which views of one image differ as images do. N and V are 2 or more. The ridge on W is relative: the scale of h does not
    matter.
    """
    h = h.cpu().double()
    means = h.mean(1)
    within = (h - means[:, None]).flatten(0, 1)
    covariance = within.mT @ within / len(within)
    mean_variance = float(covariance.diagonal().mean())
    covariance.diagonal().add_(RIDGE * mean_variance + LEAST)
    between = (means - means.mean(0)) / len(means) ** 0.5
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), between.mT, upper=False)
    return _smooth_rank(_gram_eigenvalues(whitened))


def alpha_req(h: Tensor) -> float | None:
    """alpha-ReQ of representations h (N, dim): the exponent by which the eigenvalues of their covariance fall with their rank.

    A line through their logarithms over the rank's (Agrawal et al. 2022, NeurIPS), each weighted by one over its rank as in
    the authors' program. Near 1 is best: more is few dimensions, less is noise. None if h has no two eigenvalues from FIRST
    on, as in collapse.
    """
    h = h.cpu().double()
    eigenvalues = _gram_eigenvalues((h - h.mean(0)) / max(1, len(h) - 1) ** 0.5).flip(0)
    count = int((eigenvalues > 1e-10 * eigenvalues[:1]).sum())  # what is below is the arithmetic's
    if count <= FIRST:
        return None
    rank = torch.arange(FIRST, min(count, LAST) + 1, dtype=h.dtype)
    weight = 1 / rank
    x, y = rank.log(), eigenvalues[FIRST - 1 : FIRST - 1 + len(rank)].log()
    x, y = (values - (weight * values).sum() / weight.sum() for values in (x, y))
    return -float((weight * x * y).sum() / (weight * x * x).sum())


def _gram_eigenvalues(rows: Tensor) -> Tensor:
    """The squares of the singular values of a matrix, the smallest first: of the smaller of its two Gram matrices."""
    gram = rows @ rows.mT if len(rows) < rows.shape[1] else rows.mT @ rows
    found: Tensor = torch.linalg.eigvalsh(gram)
    return found.clamp(min=0)


def _smooth_rank(spectrum: Tensor) -> float:
    share = spectrum / spectrum.sum().clamp(min=LEAST) + EPSILON
    return float((-(share * share.log()).sum()).exp())
