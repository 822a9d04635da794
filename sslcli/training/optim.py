"""Optimizers: SGD, AdamW, Muon."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from sslcli.methods.method import ParameterGroup
from sslcli.training.capture import Recorded
from sslcli.training.recipe import Recipe

BETAS, EPS = (0.9, 0.95), 1e-8  # of AdamW
OF_POSITIONS = ("pos_embed", "pos_embedding", "relative_position_bias_table")  # last words of names; never a matrix of weights
ADAM_RATE = 1 / 30  # with Muon's rate 0.06, AdamW trains its parameters at 0.002


def build_optimizer(
    module: nn.Module, name: str, *, lr: float, weight_decay: float, momentum: float, precision: str = "fp32",
    own: Sequence[ParameterGroup] = (), replayed: bool = False,
) -> Optimizer:  # fmt: skip
    """Build "sgd", "adamw" or "muon" over the parameters that need a gradient; Muon's products are in `precision`.

    Weights have weight decay; biases and norms (one-dimensional), a transformer's class token or a layer's scale
    (three-dimensional), and tables of positions have none. `lr_at` is multiplied by each group's `lr_scale`. A method's `own`
    groups come last.
    With `replayed` Muon records its products on a GPU, where gradients keep their memory.
    """
    apart = {id(p) for group in own for p in group.parameters}
    usual = [p for p in module.parameters() if p.requires_grad and id(p) not in apart]
    tables = {id(p) for place, p in module.named_parameters() if place.rpartition(".")[2] in OF_POSITIONS}
    split = partial(_for_muon, precision=precision, tables=tables) if name == "muon" else partial(_by_decay, tables=tables)
    groups = split(usual, weight_decay)
    for group in own:
        decay = weight_decay if group.weight_decay is None else group.weight_decay
        groups += [_with_own_rate(made, group, lr) for made in split(group.parameters, decay) if made["params"]]
    if name == "sgd":
        return SGD(groups, lr=lr, momentum=momentum)
    if name == "adamw":
        return AdamW(groups, lr=lr, betas=BETAS)
    return Muon(groups, lr=lr, momentum=momentum, recorded=Recorded.in_one_pool() if replayed else None)


def optimizer_for(
    module: nn.Module, recipe: Recipe, *, precision: str, own: Sequence[ParameterGroup] = (), replayed: bool = False
) -> Optimizer:
    """The optimizer of a recipe that leaves nothing open; the rest as in `build_optimizer`."""
    return build_optimizer(
        module, recipe.optimizer, lr=recipe.lr or 0.0, weight_decay=recipe.weight_decay or 0.0, momentum=recipe.momentum,
        precision=precision, own=own, replayed=replayed,
    )  # fmt: skip


def _matrices(parameters: Sequence[nn.Parameter], tables: Collection[int]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The matrices and filters, and all other parameters, the tables of positions (by their `id`) among them."""
    matrices = [p for p in parameters if p.ndim in (2, 4) and id(p) not in tables]
    taken = {id(p) for p in matrices}
    return matrices, [p for p in parameters if id(p) not in taken]


def _by_decay(parameters: Sequence[nn.Parameter], weight_decay: float, *, tables: Collection[int]) -> list[dict[str, Any]]:
    """The groups of SGD and AdamW: with and without weight decay."""
    matrices, vectors = _matrices(parameters, tables)
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": weight_decay, "lr_scale": 1.0},
        {"params": vectors, "weight_decay": 0.0, "lr_scale": 1.0},
    ]
    return [group for group in groups if group["params"]]


def _for_muon(
    parameters: Sequence[nn.Parameter], weight_decay: float, *, precision: str, tables: Collection[int]
) -> list[dict[str, Any]]:
    """The groups of Muon: parameters that it orthogonalises, and those for AdamW."""
    matrices, vectors = _matrices(parameters, tables)
    # The first filters see pixels, not features: with three channels their matrix is ill-conditioned.
    first = [p for p in matrices if p.ndim == 4 and p.shape[1] == 3]
    rest = [p for p in matrices if all(p is not f for f in first)]
    return [
        {"params": rest, "weight_decay": weight_decay, "lr_scale": 1.0, "muon": True, "precision": precision},
        {"params": first + vectors, "weight_decay": 0.0, "lr_scale": ADAM_RATE, "muon": False},
    ]


def _with_own_rate(made: dict[str, Any], group: ParameterGroup, lr: float) -> dict[str, Any]:
    """A group with its own learning rate: a fraction of `lr_at`, or constant."""
    scale = made["lr_scale"] * group.lr_scale
    return made | {"lr_scale": scale} | ({"constant_lr": scale * lr} if group.constant_lr else {})


class Muon(Optimizer):
    """Orthogonalised momentum (Jordan et al. 2024, kellerjordan.github.io/posts/muon); AdamW for all but matrices.

    Convolution filters (O, I, k, k) are flattened to (O, I k k). Groups with `muon` false take AdamW steps.
    torch.optim.Muon takes only two-dimensional parameters, hence this class.
    """

    def __init__(self, params: list[dict[str, Any]], *, lr: float, momentum: float, recorded: Recorded | None = None) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "precision": "fp32"})
        self.recorded = recorded

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load a state from a checkpoint; those of earlier versions were trained in bfloat16 and continue so."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("precision", "bf16")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take one step on every parameter that has a gradient."""
        for group in self.param_groups:
            update, key = (self._muon, shape_on_gpu) if group["muon"] else (self._adamw, self._age)
            for some in _alike([p for p in group["params"] if p.grad is not None], key):
                torch._foreach_mul_(some, 1 - group["lr"] * group["weight_decay"])
                directions, length = update(some, [p.grad for p in some if p.grad is not None], group)
                torch._foreach_add_(some, directions, alpha=-group["lr"] * length)

    def _muon(self, some: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> tuple[list[Tensor], float]:
        """The directions for parameters of one shape, and the step sizes."""
        for p in some:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        momenta, shape = [self.state[p]["momentum"] for p in some], some[0].shape

        def turn() -> list[Tensor]:
            return _turned(momenta, gradients, keep=group["momentum"], precision=group["precision"])

        # Gradients at unchanged addresses belong to a recorded step: then this is recorded, too. Gradients that are not
        # recorded may lie where another parameter's lay before, so the parameters are part of the key.
        key = tuple((id(p), gradient.data_ptr(), gradient.stride()) for p, gradient in zip(some, gradients, strict=True))
        directions = turn() if self.recorded is None else self.recorded.run(turn, [], key=key)
        return directions, max(1.0, shape[0] / shape[1:].numel()) ** 0.5

    def _age(self, p: Tensor) -> int:
        """The number of AdamW steps that a parameter has taken."""
        return int(self.state[p].get("step", 0))

    def _adamw(self, some: list[Tensor], gradients: list[Tensor], _: dict[str, Any]) -> tuple[list[Tensor], float]:
        """The directions for parameters that have taken equally many steps, and the step sizes."""
        (beta1, beta2), count = BETAS, self._age(some[0]) + 1
        for p in some:
            if not self.state[p]:
                self.state[p].update(step=torch.zeros(()), mean=torch.zeros_like(p), square=torch.zeros_like(p))
            self.state[p]["step"] += 1
        means, squares = ([self.state[p][name] for p in some] for name in ("mean", "square"))
        torch._foreach_lerp_(means, gradients, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
        deviations = torch._foreach_div(squares, 1 - beta2**count)
        torch._foreach_sqrt_(deviations)
        torch._foreach_add_(deviations, EPS)
        return list(torch._foreach_div(means, deviations)), 1 / (1 - beta1**count)


def _turned(momenta: list[Tensor], gradients: list[Tensor], *, keep: float, precision: str) -> list[Tensor]:
    """Update the momenta of filters or matrices of one shape, and orthogonalise them with Nesterov's look-ahead."""
    torch._foreach_lerp_(momenta, gradients, 1 - keep)
    nesterov = [moved.movedim(1, -1) for moved in torch._foreach_lerp(gradients, momenta, keep)]
    matrices = [moved.reshape(len(moved), -1) for moved in nesterov]  # in memory order; any order works
    turned = [orthogonalise(matrices[0], precision)] if len(matrices) == 1 else orthogonalise(torch.stack(matrices), precision)
    return [direction.view(nesterov[0].shape).movedim(-1, 1) for direction in turned]


def _alike(parameters: Sequence[Tensor], key: Callable[[Tensor], object]) -> list[list[Tensor]]:
    """The parameters grouped by key, in the order of the first of each group."""
    parts: dict[object, list[Tensor]] = {}
    for p in parameters:
        parts.setdefault(key(p), []).append(p)
    return list(parts.values())


def shape_on_gpu(p: Tensor) -> object:
    """The key of parameters that are orthogonalised together: on a GPU, which small products leave idle, their shape.

    On a CPU each parameter is alone.
    """
    return p.shape if p.device.type != "cpu" else id(p)


ITERATIONS = 3
"""Instead of Jordan's five. Large singular values still come near 1, small ones are raised 40 times. The contrastive loss fell
as far in 292 steps of ResNet-18 (2.81 against 2.82) and 488 of ResNet-9 (1.97 both); ResNet-18's optimizer took 0.12 s per step
instead of 0.20."""


def orthogonalise(matrix: Tensor, precision: str) -> Tensor:
    """Bring the large singular values of `matrix` (m, n), or of each of (N, m, n), near 1 by Newton-Schulz iterations.

    "bf16" is as good as "fp32"; which is faster depends on the machine. An iteration is x <- q x with q = a + b g + c g^2
    and g = x x^T; the next g is q g q. So x is needed only at the beginning and the end; in between all matrices have the
    smaller side.
    """
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = (matrix.mT if tall else matrix).to(torch.bfloat16 if precision == "bf16" else torch.float32).contiguous()
    x = x / ((x.norm() if x.ndim == 2 else x.flatten(1).norm(dim=1)[:, None, None]) + 1e-7)
    gram = x @ x.mT
    q = applied = _quintic(gram)
    for _ in range(ITERATIONS - 1):
        gram = q @ gram @ q
        q = _quintic(gram)
        applied = q @ applied
    x = applied @ x
    turned: Tensor = x.mT if tall else x
    return turned.to(matrix.dtype)


def _quintic(gram: Tensor) -> Tensor:
    """a + b g + c g^2. With Jordan's coefficients values end between about 0.7 and 1.2, not at 1, but sooner."""
    product = torch.addmm if gram.ndim == 2 else torch.baddbmm
    made = product(gram, gram, gram, beta=-4.7750, alpha=2.0315)
    made.diagonal(dim1=-2, dim2=-1).add_(3.4445)
    return made
