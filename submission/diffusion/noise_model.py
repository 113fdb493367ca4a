"""What min-max training, selection and prototypes ask of a diffusion model, whatever it is made of."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class NoiseModel(Protocol):
    """Predicts the noise in z_t = sqrt(gamma_t) z_0 + sqrt(1 - gamma_t) noise, knowing the class or not.

    Attributes:
        size: height and width of the images that it takes and gives, pixels.
        gammas_T: gamma_t of each of its timesteps, float32 (T,), falling from nearly 1 to nearly 0; elsewhere called
            the cumulative product of the alphas.
        null_label: the label that stands for no class.
        network: what predicts, for hooks.
        feature_block: name of the block of `network` whose output describes an image; (B, D, H, W), or (B, N, D) of
            tokens.
    """

    size: int
    gammas_T: Tensor
    null_label: int
    network: nn.Module
    feature_block: str

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """uint8 (B, 3, size, size) images to what the model works on, float32: latents, or pixels in [-1, 1]."""

    def decode(self, z_BCHW: Tensor) -> Tensor:
        """The way back: uint8 (B, 3, size, size)."""

    def predict(self, z_BCHW: Tensor, timesteps_B: Tensor, labels_B: Tensor) -> Tensor:
        """The noise in each of `z_BCHW`, float32 of the same shape.

        Args:
            timesteps_B: int64 (B,), values in [0, T).
            labels_B: int64 (B,), labels of the challenge, or `null_label`.
        """
