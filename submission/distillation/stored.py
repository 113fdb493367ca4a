"""Prototypes as a weights file has them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StoredPrototypes:
    """K prototypes of each of C classes as 8-bit coordinates in P components of D = 3 x size x size levels.

    Attributes:
        mean_D: their mean, in levels of 255.
        basis_PD: int8, the components, each in units of its own.
        scales_P: levels that a coordinate of 1 stands for where its component has 1.
        codes_CKP: int8, the coordinates.
    """

    mean_D: Tensor
    basis_PD: Tensor
    scales_P: Tensor
    codes_CKP: Tensor

    def decode(self) -> Tensor:
        """The prototypes as images, float32 (C, K, 3, size, size) in levels of 255, not clamped.

        The same bits on every machine: sums in float64 lose nothing that float32 shows, in whichever order they are.
        """
        coordinates_CKP = self.codes_CKP.double() * self.scales_P.double()
        x_CKD = (self.mean_D.double() + coordinates_CKP @ self.basis_PD.double()).float()
        size = round((x_CKD.shape[-1] / 3) ** 0.5)
        return x_CKD.view(*x_CKD.shape[:2], 3, size, size)
