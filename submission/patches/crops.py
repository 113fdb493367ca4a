"""Square regions of images, resized to the size of an image."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from submission.contract.settings import numbers

PATCH = numbers("patch", (1.0, 0.8), 0.25, 1.0, "sides that a patch may have, as fractions of the image's")


def sides_in_pixels(sides: tuple[float, ...], size: int) -> tuple[int, ...]:
    """Side lengths in pixels of an image `size` pixels wide, the largest first, of fractions of it."""
    return tuple(max(1, round(side * size)) for side in sorted(set(sides), reverse=True))


def crop_resized(images_BCHW: Tensor, boxes_B3: Tensor) -> Tensor:
    """The regions `boxes_B3` of `images_BCHW`, enlarged to the images' own size by bicubic interpolation.

    Args:
        images_BCHW: uint8, height and width the same.
        boxes_B3: int64 (B, 3): top, left and side in pixels, within the image. A box as large as the image gives it
            unchanged.

    Returns:
        uint8, the shape of `images_BCHW`.
    """
    size = images_BCHW.shape[-1]
    top_B, left_B, side_B = boxes_B3.to(images_BCHW.device).double().unbind(1)
    middles_S = (torch.arange(size, device=images_BCHW.device, dtype=torch.float64) + 0.5) / size
    # grid_sample counts from -1 at one edge of the image to 1 at the other
    y_BS, x_BS = (
        (2 * (start_B[:, None] + side_B[:, None] * middles_S) / size - 1).float() for start_B in (top_B, left_B)
    )
    grid_BHW2 = torch.stack(torch.broadcast_tensors(x_BS[:, None, :], y_BS[:, :, None]), dim=-1)
    resized = F.grid_sample(images_BCHW.float(), grid_BHW2, "bicubic", "border", align_corners=False)
    return resized.round_().clamp_(0, 255).to(torch.uint8)


def random_boxes(count: int, size: int, sides: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """`count` boxes at random places, int64 (count, 3): top, left, side; each side of `sides` as likely."""
    side_N = rng.choice(np.array(sides), count)
    corners_N2 = rng.integers(0, (size - side_N + 1)[:, None], (count, 2))
    return np.column_stack([corners_N2, side_N]).astype(np.int64)
