"""Augmentation that does not leak into samples: the network is told what was done to each image.

The idea and the strength are those of EDM (arXiv 2206.00364, appendix F.2); sampling uses a condition of zeros.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def flip_half(images_B3HW: Tensor) -> Tensor:
    """Each image mirrored left to right or not, evenly: no condition, since mirrored images are as real."""
    mirrored_B = torch.rand(len(images_B3HW), device=images_B3HW.device) < 0.5
    return torch.where(mirrored_B[:, None, None, None], images_B3HW.flip(3), images_B3HW)


def warp(images_B3HW: Tensor, probability: float) -> tuple[Tensor, Tensor]:
    """Shift, scale, stretch and turn, each drawn for each image with `probability`.

    Draws from torch's default generators. Pixels from outside the image are mirrored in.

    Args:
        images_B3HW: fp32 in [-1, 1].

    Returns:
        Images of the same form, and the condition, fp32 (B, AUGMENT_CONDITION), zero where nothing was done: shift
        along x and y, log scale, log aspect, cosine - 1 and sine of the turn.
    """
    B = len(images_B3HW)

    def drawn(std: float) -> Tensor:
        chosen_B = torch.rand(B, device=images_B3HW.device) < probability
        return torch.randn(B, device=images_B3HW.device) * std * chosen_B

    shift_x, shift_y = drawn(0.125), drawn(0.125)  # of the image's width
    scale, aspect = drawn(0.2 * math.log(2)), drawn(0.2 * math.log(2))
    turn = drawn(0.125 * math.pi)
    # Where each output pixel comes from, so scales divide.
    along, across = torch.exp(-(scale + aspect)), torch.exp(-(scale - aspect))
    theta_B23 = torch.stack(
        [
            torch.stack([along * turn.cos(), along * turn.sin(), -2 * shift_x], dim=1),
            torch.stack([-across * turn.sin(), across * turn.cos(), -2 * shift_y], dim=1),
        ],
        dim=1,
    )
    grid_BHW2 = F.affine_grid(theta_B23, list(images_B3HW.shape), align_corners=False)
    warped = F.grid_sample(images_B3HW, grid_BHW2, mode="bilinear", padding_mode="reflection", align_corners=False)
    condition_BA = torch.stack([shift_x * 8, shift_y * 8, scale, aspect, turn.cos() - 1, turn.sin()], dim=1)
    return warped, condition_BA
