"""A diffusion model on pixels (the project's own, generator `native`) as a `NoiseModel`.

Its network takes the standard deviation sigma of noise that is added to an image; a `NoiseModel` mixes image and
noise so that the variance stays. Both are the same noisy image at another scale: z_t = sqrt(gamma_t) (z_0 + sigma
noise) with sigma^2 = (1 - gamma_t) / gamma_t (arXiv 2206.00364, appendix C.1).
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evaluation.base.challenge import Challenge
from submission.contract.pixels import to_uint8
from submission.contract.weights import WeightsHeader, load_weights
from submission.diffusion.networks.denoiser import AUGMENT_CONDITION, SIGMA_DATA, Denoiser
from submission.diffusion.networks.unet import UNet, UNetConfig, fold
from submission.diffusion.samplers import SIGMA_MAX, SIGMA_MIN

TIMESTEPS = 1000


class PixelModel:
    """See `NoiseModel`; works on pixels in [-1, 1], over the noise levels that the network is sampled at.

    Its timesteps follow the cosine schedule (arXiv 2102.09672), which suits small images.
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
        return to_uint8(z_BCHW)

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        gamma_B = self.gammas_T[timesteps_B]
        sigma_B = ((1 - gamma_B) / gamma_B).sqrt()
        noisy_BCHW = z_BCHW / gamma_B.sqrt()[:, None, None, None]
        return (noisy_BCHW - self._denoiser(noisy_BCHW, sigma_B, labels_B)) / sigma_B[:, None, None, None]


def load(path: Path, challenge: Challenge, device: str, dtype: torch.dtype) -> PixelModel:
    """The model of a weights file of generator `native`. Raises ValueError where it does not fit `challenge`."""
    denoiser, _ = load_denoiser(path, challenge, device, dtype)
    return PixelModel(denoiser)


def load_denoiser(
    path: Path, challenge: Challenge, device: str, dtype: torch.dtype
) -> tuple[Denoiser[UNet], WeightsHeader]:
    """The denoiser of a weights file, for inference, and its header. Raises ValueError where it does not fit."""
    tensors, header = load_weights(path, "native", challenge)
    network = build_network(header.model["network"], challenge)
    load_tensors(network, tensors, path)
    return inference_denoiser(network, device, dtype, header.model["sigma_data"]), header


def build_network(shape: Mapping[str, Any], challenge: Challenge, dropout: float = 0.0) -> UNet:
    """The network of `shape`, a UNetConfig as JSON, with random weights."""
    return UNet(UNetConfig.from_json(shape), challenge.classes, AUGMENT_CONDITION, dropout)


def inference_denoiser(
    network: UNet, device: str, dtype: torch.dtype, sigma_data: float = SIGMA_DATA
) -> Denoiser[UNet]:
    """The form for `Native`: `network` itself, folded, its layers in `dtype`; the noise level's features stay fp32."""
    network = fold(network).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for layer in network.layers():
        layer.to(dtype)
    return Denoiser(network, sigma_data, dtype)


def load_tensors(network: UNet, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises ValueError where the tensors are not those of the network that the header describes."""
    try:
        network.load_state_dict(tensors)
    except RuntimeError:
        raise ValueError(f"{path} does not hold the tensors of the network that its header describes") from None
