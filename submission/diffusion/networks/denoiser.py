"""The denoiser around a network: preconditioning and training loss of EDM (arXiv 2206.00364)."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from submission.diffusion.networks.unet import UNet

AUGMENT_CONDITION = 6  # length of the augmentation condition, see `submission.training.native.diffusion.warp`
Network = TypeVar("Network", bound=nn.Module)
SIGMA_DATA = 0.5  # standard deviation that images in [-1, 1] are taken to have


@dataclass(frozen=True)
class Preconditioning:
    """The four scalings of Table 1 at one noise level or a batch of them."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


def precondition(sigma: Tensor, sigma_data: float) -> Preconditioning:
    """c_skip, c_out, c_in and c_noise for noise of standard deviation `sigma`."""
    total = sigma**2 + sigma_data**2
    return Preconditioning(
        skip=sigma_data**2 / total,
        out=sigma * sigma_data / total.sqrt(),
        into=1 / total.sqrt(),
        noise=sigma.log() / 4,
    )


class Denoiser(nn.Module, Generic[Network]):
    """D(x; sigma): the expected clean image behind a noisy one (equation 7); only the network computes in `dtype`."""

    network: Network

    def __init__(self, network: Network, sigma_data: float = SIGMA_DATA, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.network = network
        self.sigma_data = sigma_data
        self.dtype = dtype

    def forward(self, x_B3HW: Tensor, sigma_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """The denoised images, fp32, about [-1, 1].

        Args:
            x_B3HW: images in [-1, 1] plus noise of standard deviation `sigma_B`, fp32.
            sigma_B: fp32, above 0.
            labels_B: int64 in [0, classes]; `classes` is the null class.
            augment_BA: the augmentation condition, None for images as they are.
        """
        c = precondition(sigma_B[:, None, None, None], self.sigma_data)
        f = self.network((c.into * x_B3HW).to(self.dtype), c.noise.flatten(), labels_B, augment_BA)
        return c.skip * x_B3HW + c.out * f.float()


@dataclass(frozen=True)
class Loss:
    """The weighted denoising loss at noise levels with ln(sigma) from a normal distribution (Table 1).

    Of the images, `label_dropout` train the null class.
    """

    mean: float = -1.2
    std: float = 1.2
    label_dropout: float = 0.1

    def __call__(
        self, denoiser: Denoiser[UNet], images_B3HW: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None
    ) -> Tensor:
        """Loss of each image, fp32 (B,); near 1 for an untrained network. Draws from torch's default generators."""
        sigma_B = (torch.randn_like(images_B3HW[:, 0, 0, 0]) * self.std + self.mean).exp()
        dropped_B = torch.rand_like(sigma_B) < self.label_dropout
        labels_B = torch.where(dropped_B, denoiser.network.classes, labels_B)
        noisy_B3HW = images_B3HW + torch.randn_like(images_B3HW) * sigma_B[:, None, None, None]
        error_B = (denoiser(noisy_B3HW, sigma_B, labels_B, augment_BA) - images_B3HW).square().mean(dim=(1, 2, 3))
        weight_B = (sigma_B**2 + denoiser.sigma_data**2) / (sigma_B * denoiser.sigma_data) ** 2
        return weight_B * error_B
