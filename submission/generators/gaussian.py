"""`gaussian`: per class a mixture of Gaussians over principal components; a hundred thousand images in seconds.

The clusters of all classes share the axes of one covariance, since 500 images a class are not enough to find them;
along these axes each class may vary more or less than the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.seeded import normal, uniform, van_der_corput
from submission.contract.settings import number
from submission.contract.weights import OwnWeights, load_weights


@dataclass(frozen=True)
class Mixture:
    """The fitted distribution of the images of every class, C classes of K clusters in P components.

    Attributes:
        mean_D: mean image, D = 3 x size x size values in [0, 1], in the order of an image (3, size, size).
        basis_PD: orthonormal principal components, the one of the largest variance first.
        centres_CKP: cluster means.
        shares_CK: probability of each cluster within its class.
        factor_PP: a square root of the covariance that clusters share: factor_PP @ factor_PP.t().
        scales_CP: how far each class varies along the columns of `factor_PP`, 1 as far as all classes do together.
    """

    mean_D: Tensor
    basis_PD: Tensor
    centres_CKP: Tensor
    shares_CK: Tensor
    factor_PP: Tensor
    scales_CP: Tensor


SPREAD = number("spread", 1.0, 0.0, 2.0, "std scale of images around their cluster's mean; weights say their own")


class Gaussian(OwnWeights, Generator):
    """Draws a cluster of the label's class, then an image around its mean.

    In a run the images of a class go round its clusters, so that few images show as many of them as they can.
    """

    info = GeneratorInfo(
        name="gaussian",
        summary="a mixture of Gaussians per class over principal components; no network",
        default_batch=1000,
        parts=True,
        settings=(SPREAD,),
        weights_from="shipped with the project",
    )

    def __init__(self, mixture: Mixture, size: int, std_scale: float = 1.0) -> None:
        """`size` is the height and width of the images; `std_scale` of the images around their cluster's mean."""
        self.size = size
        bounds_CK = mixture.shares_CK.double().cumsum(1)
        self.bounds_CK = bounds_CK / bounds_CK[:, -1:]  # stored in 16 bits, probabilities may not sum to 1
        # Straight to pixels: what is drawn for an image is then one product and one sum.
        self.centres_CKD = 255 * (mixture.mean_D + mixture.centres_CKP @ mixture.basis_PD)
        self.factor_PD = 255 * (mixture.factor_PP.t() @ mixture.basis_PD)
        self.scales_CP = std_scale * mixture.scales_CP

    @classmethod
    def load(cls, context: LoadContext) -> Gaussian:
        path = context.weights or cls.find_weights(context.challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        tensors, header = load_weights(path, cls.info.name, context.challenge)
        try:
            mixture = Mixture(**{name: tensor.to(context.device) for name, tensor in tensors.items()})
            return cls(mixture, header.model["size"], settings[SPREAD])
        except (TypeError, RuntimeError):
            raise ValueError(f"{path} does not hold the tensors of a mixture; fit it again") from None

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`; `steps` has no effect."""
        return self._drawn(labels_B, uniform(seeds_B, 1)[:, 0], seeds_B)

    @torch.inference_mode()
    def generate_numbered(self, labels_B: Tensor, indices_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate_numbered`; `steps` has no effect."""
        return self._drawn(labels_B, van_der_corput(indices_B), seeds_B)

    def _drawn(self, labels_B: Tensor, position_B: Tensor, seeds_B: Tensor) -> Tensor:
        """Each image from the cluster that lies at its position, in [0, 1), among those of its class."""
        device = self.factor_PD.device
        labels_B, position_B, seeds_B = labels_B.to(device), position_B.to(device), seeds_B.to(device)
        cluster_B = (self.bounds_CK[labels_B] <= position_B[:, None]).sum(1)
        z_BP = normal(seeds_B, len(self.factor_PD), skip=1)
        x_BD = self.centres_CKD[labels_B, cluster_B] + (z_BP * self.scales_CP[labels_B]) @ self.factor_PD
        return x_BD.round_().clamp_(0, 255).to(torch.uint8).view(-1, 3, self.size, self.size)
