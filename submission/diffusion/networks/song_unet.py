"""DDPM++ (arXiv 2011.13456) as EDM trains it at 32 x 32 pixels; published as `SongUNet`, 55.7M parameters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from submission.diffusion.networks.edm_unet import BlockStyle, Conv, EDMUNet, EDMUNetConfig, group_norm, waves

STYLE = BlockStyle(adaptive=False, residual_scale=math.sqrt(0.5), eps=1e-6, head_width=None, projected_resampling=True)


def cifar(classes: int) -> EDMUNetConfig:
    """The class-conditional network of CIFAR-10 and CIFAR-100, of the kind that files call `cond-vp`."""
    return EDMUNetConfig(32, classes, width=128, multipliers=(2, 2, 2), blocks=4, attention=(16,), augment=9)


class SongUNet(EDMUNet):
    """The network F of the preconditioned denoiser."""

    def __init__(self, config: EDMUNetConfig) -> None:
        super().__init__(config, STYLE, config.width, attention_throughout=False)
        condition = 4 * config.width
        self.map_label = nn.Linear(config.classes, config.width)
        self.map_augment = nn.Linear(config.augment, config.width, bias=False) if config.augment else None
        self.map_layer0 = nn.Linear(config.width, condition)
        self.map_layer1 = nn.Linear(condition, condition)
        last = config.width * config.multipliers[0]
        self.dec[f"{config.size}x{config.size}_aux_norm"] = group_norm(last, STYLE.eps)
        self.dec[f"{config.size}x{config.size}_aux_conv"] = Conv(last, 3, 3)

    def forward(self, x_B3HW: Tensor, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """F(x; noise level, class, augmentation), of the shape and type of `x_B3HW`.

        Args:
            x_B3HW: noisy images at unit variance, float.
            noise_B: ln(sigma) / 4.
            labels_B: int64 in [0, classes]; `classes` stands for no label.
            augment_BA: the augmentation condition; None for images as they are.
        """
        half = self.config.width // 2
        cosines, sines = waves(noise_B, half, last=half - 1)
        told = torch.cat([sines, cosines], dim=1)
        told = told + self.map_label(self.one_hot(labels_B) * math.sqrt(self.config.classes))
        if self.map_augment is not None and augment_BA is not None:
            told = told + self.map_augment(augment_BA)
        condition_BD = F.silu(self.map_layer1(F.silu(self.map_layer0(told))))
        norm, conv = list(self.dec.values())[-2:]
        return conv(F.silu(norm(self.features(x_B3HW, condition_BD))))
