"""Consistency tuning of a diffusion model: f(x; sigma) learns to answer the end of the flow, not the mean behind x.

Easy consistency tuning (arXiv 2406.14548): the same image with the same noise at two levels must give the same answer,
and at no noise the answer is the image. Diffusion training is the case where the lower level is always 0, so trained
weights are the start, and the levels then move towards each other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.unet import UNet
from submission.diffusion.samplers import SIGMA_MIN
from submission.training.native.diffusion import DiffusionTraining

NEAR_ZERO = 8.0  # how much wider the steps are at little noise, the paper's k; its b is 1 and its q 2 here
HUBER = 0.00054  # in units of the pixels' root mean square, from arXiv 2310.14189


def lower_level(sigma_B: Tensor, stage: int) -> Tensor:
    """The lower of the two noise levels, in [0, sigma): a step of 2**-stage of it, wider at little noise."""
    step_B = (1 + NEAR_ZERO * torch.sigmoid(-sigma_B)) * 0.5**stage
    return sigma_B * (1 - step_B).clamp_min(0)


def stage_at(fraction: float, stages: tuple[int, int]) -> int:
    """The stage when `fraction` of the training, in [0, 1], is done: from the first to the last in equal parts."""
    first, last = stages
    return min(first + int(fraction * (last - first + 1)), last)


@dataclass(frozen=True)
class ConsistencyLoss:
    """The distance between the answers at two noise levels, over the step between them; `mean`, `std` are of ln(sigma).

    At little noise the weight is the paper's 1 / (sigma - r); at much noise that would fade with the noise, and what a
    single step answers is decided there, so the distance is taken in units of the network's own output.
    """

    mean: float
    std: float

    def __call__(
        self, denoiser: Denoiser[UNet], images_B3HW: Tensor, labels_B: Tensor, augment_BA: Tensor | None, stage: int
    ) -> Tensor:
        """Loss of each image, fp32 (B,). Draws from torch's default generators, and seeds them."""
        sigma_B = (torch.randn_like(images_B3HW[:, 0, 0, 0]) * self.std + self.mean).exp().clamp_min(2 * SIGMA_MIN)
        lower_B = lower_level(sigma_B, stage)
        noise_B3HW = torch.randn_like(images_B3HW)
        dropout_seed = int(torch.randint(2**62, ()))  # both answers come from the same part of the network

        def answer(level_B: Tensor) -> Tensor:
            torch.manual_seed(dropout_seed)
            return denoiser(images_B3HW + level_B[:, None, None, None] * noise_B3HW, level_B, labels_B, augment_BA)

        with torch.no_grad():
            known_B = (lower_B < SIGMA_MIN)[:, None, None, None]
            target_B3HW = torch.where(known_B, images_B3HW, answer(lower_B.clamp_min(SIGMA_MIN)))
        square_B = (answer(sigma_B) - target_B3HW).square().mean(dim=(1, 2, 3))
        weight_B = (1 + (sigma_B / denoiser.sigma_data) ** 2).sqrt() / (sigma_B - lower_B)
        return weight_B * ((square_B + HUBER**2).sqrt() - HUBER)


class ConsistencyTraining(DiffusionTraining):
    """The same for consistency tuning; `images` counts those of the tuning alone."""

    evaluations = 4

    def build_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.RAdam(self.parameters, betas=(0.9, 0.99))

    def losses(self, images_B3HW: Tensor, labels_B: Tensor, augment_BA: Tensor | None) -> Tensor:
        assert self.recipe.stages is not None
        stage = stage_at(self.images / self.recipe.images, self.recipe.stages)
        loss = ConsistencyLoss(*self.recipe.noise)
        return loss(self.denoiser, images_B3HW, labels_B, augment_BA, stage)
