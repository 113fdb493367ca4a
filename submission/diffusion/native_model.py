"""The project's own diffusion model (`native`) as a `NoiseModel`.

Its network is told the standard deviation sigma of noise that is added to an image; a `NoiseModel` mixes image and
noise so that the variance stays. Both are the same noisy image at another scale: z_t = sqrt(gamma_t) (z_0 + sigma
noise) with sigma^2 = (1 - gamma_t) / gamma_t (arXiv 2206.00364, appendix C.1).
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.diffusion.denoise import to_pixels
from submission.diffusion.networks.denoiser import Denoiser
from submission.diffusion.networks.unet import UNet
from submission.diffusion.samplers import SIGMA_MAX, SIGMA_MIN
from submission.generators.native import load_denoiser

TIMESTEPS = 1000


class NativeModel:
    """See `NoiseModel`; works on pixels in [-1, 1].

    Its timesteps follow the cosine schedule (arXiv 2102.09672), which suits small images, over just those noise levels
    that the network is sampled at.
    """

    feature_block = "middle"  # where the map is smallest

    def __init__(self, denoiser: Denoiser[UNet]) -> None:
        self._denoiser = denoiser
        self.network: nn.Module = denoiser.network
        self.size = denoiser.network.config.size
        self.null_label = denoiser.network.classes
        angles_T = torch.linspace(math.atan(SIGMA_MIN), math.atan(SIGMA_MAX), TIMESTEPS, dtype=torch.float64)
        self.gammas_T = angles_T.cos().square().float().to(denoiser.network.out_gain.device)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.to(self.gammas_T.device).float() / 127.5 - 1

    def decode(self, z_BCHW: Tensor) -> Tensor:
        return to_pixels(z_BCHW)

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        gamma_B = self.gammas_T[timesteps_B]
        sigma_B = ((1 - gamma_B) / gamma_B).sqrt()
        noisy_BCHW = z_BCHW / gamma_B.sqrt()[:, None, None, None]
        return (noisy_BCHW - self._denoiser(noisy_BCHW, sigma_B, labels_B)) / sigma_B[:, None, None, None]


def load(path: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> NativeModel:
    """The model of a weights file of generator `native`. Raises ValueError where it does not fit `challenge`."""
    denoiser, _ = load_denoiser(path, challenge, device, dtype)
    return NativeModel(denoiser)
