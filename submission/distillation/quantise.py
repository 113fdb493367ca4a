"""How prototypes are stored: as 8-bit coordinates in their own principal components, in a herded order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from submission.distillation.stored import StoredPrototypes

_LARGEST = 127  # of a coordinate in 8 bits; -128 is not used
_LEAST = 1e-3  # of the std along the first component: what lies below is rounding
_ROOM = 1.1  # of the range of the coordinates at the time of the fit: they may still move


@dataclass(frozen=True)
class Quantiser:
    """8-bit storage of prototypes, fitted to some.

    Attributes:
        mean_D, basis_PD, scales_P: as in `StoredPrototypes`, whose half precision they have already.
    """

    mean_D: Tensor
    basis_PD: Tensor
    scales_P: Tensor

    @classmethod
    def fit(cls, prototypes_CK3HW: Tensor, components: int) -> Quantiser:
        """The leading principal components of prototypes in levels of 255; fewer where there are no more."""
        x_ND = prototypes_CK3HW.flatten(0, 1).flatten(1)
        mean_D = x_ND.mean(0).half().float()
        centred_ND = x_ND - mean_D
        with torch.random.fork_rng(devices=[]):  # the method begins at random vectors
            torch.manual_seed(0)
            _, deviations_P, axes_DP = torch.svd_lowrank(centred_ND, min(components, *centred_ND.shape), niter=4)
        axes_PD = axes_DP[:, deviations_P > _LEAST * deviations_P[0]].t()
        units_P1 = axes_PD.abs().amax(1, keepdim=True) / _LARGEST
        basis_PD = (axes_PD / units_P1).round()
        reach_P = (centred_ND @ torch.linalg.pinv(basis_PD)).abs().amax(0).clamp_min(1e-3 / _LARGEST)
        return cls(mean_D, basis_PD.to(torch.int8), (_ROOM * reach_P / _LARGEST).half().float())

    @cached_property
    def inverse(self) -> Tensor:
        """Takes levels without their mean to coordinates in units of the components: the rounded ones lie askew."""
        return torch.linalg.pinv(self.basis_PD.float())

    def stored(self, prototypes_CK3HW: Tensor) -> StoredPrototypes:
        """What is written of prototypes in levels of 255: the nearest coordinates."""
        exact_CKP = (prototypes_CK3HW.flatten(2) - self.mean_D) @ self.inverse / self.scales_P
        codes_CKP = exact_CKP.round().clamp(-_LARGEST, _LARGEST).to(torch.int8)
        return StoredPrototypes(self.mean_D, self.basis_PD, self.scales_P, codes_CKP)

    def gradient(self, gradient_CK3HW: Tensor) -> Tensor:
        """The gradient for levels before storage from that for levels after it, as if rounding changed nothing."""
        inside_CKP = gradient_CK3HW.flatten(2) @ self.basis_PD.float().t()
        return (inside_CKP @ self.inverse.t()).view_as(gradient_CK3HW)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint: the arguments that make the same again."""
        return {"mean_D": self.mean_D, "basis_PD": self.basis_PD, "scales_P": self.scales_P}


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
