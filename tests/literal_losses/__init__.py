"""The loss of each method as its paper has it, in slow loops: a file for each, with the method's name.

`literal(method, batch)` gives the loss of a method in training mode, before its queues take the batch in. A file may also have
`lightlys(method, batch)`, the same with lightly's own loss, and VARIANTS, options with which the method is looked at, too.
"""

from torch import Tensor


def s(first: Tensor, second: Tensor) -> Tensor:
    """The cosine of two rows."""
    return (first @ second) / (first.norm() * second.norm())


def mean(values: list[Tensor]) -> Tensor:
    return sum(values) / len(values)  # type: ignore[return-value]
