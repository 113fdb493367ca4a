"""8-bit images: from what a network gives, and at another size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def to_uint8(images_B3HW: Tensor) -> Tensor:
    """uint8 from [-1, 1]; values outside are clipped."""
    return ((images_B3HW + 1) * 127.5).round_().clamp_(0, 255).byte().contiguous()


def resize_uint8(images_BCHW: Tensor, size: int) -> Tensor:
    """uint8 images at `size` x `size`: antialiased bicubic, unchanged where they have that size already."""
    if images_BCHW.shape[-2:] == (size, size):
        return images_BCHW
    from torch.nn.functional import interpolate

    resized = interpolate(images_BCHW.float(), (size, size), mode="bicubic", antialias=True)
    return resized.round().clamp(0, 255).byte()
