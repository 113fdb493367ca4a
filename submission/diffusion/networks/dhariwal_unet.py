"""ADM (arXiv 2105.05233) as EDM trains it at 64 x 64 pixels; published as `DhariwalUNet`, 295.9M parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from submission.diffusion.networks.edm_unet import BlockStyle, Conv, EDMUNet, EDMUNetConfig, group_norm, waves

STYLE = BlockStyle(adaptive=True, residual_scale=1.0, eps=1e-5, head_width=64, projected_resampling=False)


def imagenet() -> EDMUNetConfig:
    """The class-conditional network of ImageNet at 64 x 64 pixels."""
    return EDMUNetConfig(64, 1000, width=192, multipliers=(1, 2, 3, 4), blocks=3, attention=(32, 16, 8))


class DhariwalUNet(EDMUNet):
    """The network F of the preconditioned denoiser."""

    def __init__(self, config: EDMUNetConfig) -> None:
        first = config.width * config.multipliers[0]
        super().__init__(config, STYLE, first, attention_throughout=True)
        condition = 4 * config.width
        self.map_augment = nn.Linear(config.augment, config.width, bias=False) if config.augment else None
        self.map_layer0 = nn.Linear(config.width, condition)
        self.map_layer1 = nn.Linear(condition, condition)
        self.map_label = nn.Linear(config.classes, condition, bias=False)
        self.out_norm = group_norm(first, STYLE.eps)
        self.out_conv = Conv(first, 3, 3)

    def forward(self, x_B3HW: Tensor, noise_B: Tensor, labels_B: Tensor, augment_BA: Tensor | None = None) -> Tensor:
        """F(x; noise level, class, augmentation); see `SongUNet.forward`."""
        half = self.config.width // 2
        told = torch.cat(waves(noise_B, half, last=half), dim=1)
        if self.map_augment is not None and augment_BA is not None:
            told = told + self.map_augment(augment_BA)
        condition_BD = self.map_layer1(F.silu(self.map_layer0(told)))
        condition_BD = F.silu(condition_BD + self.map_label(self.one_hot(labels_B)))
        return self.out_conv(F.silu(self.out_norm(self.features(x_B3HW, condition_BD))))
