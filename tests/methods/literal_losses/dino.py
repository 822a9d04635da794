"""arXiv:2104.14294, algorithm 1 and equation 3: each view but one predicts the teacher's sharp, centred output of that one."""

from typing import Any

import torch
from torch import Tensor

from sslcli.methods.multi_view import representations
from tests.methods.literal_losses import cross_entropy, mean

VARIANTS = ({"temperature": 0.3, "teacher_temperature": 0.1, "small_views": 0}, {"small_views": 1})


def outputs(method: Any, batch: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Of student and teacher, for each view that it sees."""
    student = method.head(representations(method.encoder, batch.views)).chunk(len(batch.views))
    teacher = method.teacher_head(representations(method.teacher, batch.views[:2])).detach().chunk(2)
    return list(student), list(teacher)


def teacher_temperature(method: Any) -> float:
    """It rises in a line from 0.04 over the first 30 % of training."""
    return float(0.04 + (method.options.teacher_temperature - 0.04) * min(float(method.progress) / 0.3, 1))


def literal(method: Any, batch: Any) -> Tensor:
    (student, teacher), cold, terms = outputs(method, batch), teacher_temperature(method), []
    for i in (0, 1):
        targets = [torch.exp((row - method.centre) / cold) for row in teacher[i]]
        for j in range(len(student)):
            if j != i:
                terms += [
                    cross_entropy(target / target.sum(), row / method.options.temperature)
                    for target, row in zip(targets, student[j], strict=True)
                ]
    return mean(terms)


def lightlys(method: Any, batch: Any) -> Tensor:
    from lightly.loss import DINOLoss

    student, teacher = outputs(method, batch)
    loss = DINOLoss(output_dim=len(method.centre), student_temp=method.options.temperature).double()
    loss.center.copy_(method.centre)
    total: Tensor = loss(teacher, student, teacher_temp=teacher_temperature(method))
    return total
