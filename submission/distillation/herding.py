"""An order of prototypes whose every beginning stands for all."""

import torch
from torch import Tensor


def herded(x_KF: Tensor) -> Tensor:
    """An order of points whose every beginning has nearly the mean of all, int64 (K,).

    Source: herding (Welling, 2009), as used for exemplars in iCaRL (Rebuffi et al., 2017), without repetition.
    """
    centred_KF = x_KF - x_KF.mean(0)
    total_F = torch.zeros_like(centred_KF[0])
    left = list(range(len(x_KF)))
    order = []
    while left:
        nearest = int((total_F + centred_KF[left]).square().sum(1).argmin())
        total_F += centred_KF[left[nearest]]
        order.append(left.pop(nearest))
    return torch.tensor(order)
