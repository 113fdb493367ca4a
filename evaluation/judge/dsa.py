"""DSA on whole batches: one of six augmentations per batch, its parameters drawn per image.

Drawing is separate from applying, so that engines, tests and replays can be given the same draws. A draw is the kind
and three uniforms per image (a kind that needs fewer ignores the rest). All work on the normalised tensor, so "zero"
fill is the data set's mean (`docs/protocol.md`, "Training-time augmentation"). Nothing here loops over images or waits
for the device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

CROP_RATIO = 0.125
CUTOUT_RATIO = 0.5
SCALE_RATIO = 1.2
ROTATE_DEGREES = 15.0
UNIFORMS = 3


@dataclass(frozen=True)
class Draw:
    """The random choices of one batch's augmentation: one of `KINDS`, and float32 (3, B) in [0, 1).

    `code` is for kernels that decide on the card: the kind's place in `KINDS`, int32, 0-dim, in the card's memory.
    """

    kind: str
    uniforms: Tensor
    code: Tensor | None = None


def draw(batch: int, generator: Generator) -> Draw:
    """Draw one batch's augmentation, on the generator's device."""
    kind = KINDS[int(torch.randint(len(KINDS), (), generator=generator, device=generator.device))]
    return Draw(kind, torch.rand(UNIFORMS, batch, generator=generator, device=generator.device))


def augment(x_BCHW: Tensor, drawn: Draw) -> Tensor:
    """Augment normalised float images (B, 3, H, W), H == W; the result has the same shape and type."""
    return AUGMENTATIONS[drawn.kind](x_BCHW, drawn.uniforms)


def color(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Brightness, then saturation about the mean over channels, then contrast about the mean over the image."""
    brightness, saturation, contrast = u_3B.view(UNIFORMS, -1, 1, 1, 1)
    x = x_BCHW + (brightness - 0.5)
    mean = x.mean(dim=1, keepdim=True)
    x = (x - mean) * (2.0 * saturation) + mean
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return (x - mean) * (contrast + 0.5) + mean


def crop(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Shift by whole pixels in both axes, uniform in [-s, s] with s = int(0.125 * size + 0.5); zero fill."""
    size = x_BCHW.shape[-1]
    reach = int(CROP_RATIO * size + 0.5)
    shift_2B = _integers(u_3B[:2], 2 * reach + 1) - reach
    source_2BP = torch.arange(size, device=x_BCHW.device) + shift_2B.unsqueeze(-1)
    inside_2BP = (source_2BP >= 0) & (source_2BP < size)
    rows_BH, columns_BW = source_2BP.clamp(0, size - 1)
    x = x_BCHW.gather(2, rows_BH[:, None, :, None].expand_as(x_BCHW))
    x = x.gather(3, columns_BW[:, None, None, :].expand_as(x_BCHW))
    return torch.where(_square(inside_2BP), x, 0.0)


def cutout(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Zero a square of side c = int(0.5 * size + 0.5) at an offset uniform in [0, size - (c mod 2)], both included.

    The square is centred on the offset, and what lies outside the image is cut off. The protocol clamps the zeroed
    coordinates into the image instead, which is the same: a square always reaches the border that it crosses.
    """
    size = x_BCHW.shape[-1]
    side = int(CUTOUT_RATIO * size + 0.5)
    first_2B1 = (_integers(u_3B[:2], size + 1 - side % 2) - side // 2).unsqueeze(-1)
    position_P = torch.arange(size, device=x_BCHW.device)
    return torch.where(_square((position_P >= first_2B1) & (position_P < first_2B1 + side)), 0.0, x_BCHW)


def flip(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Mirror left and right with probability 0.5."""
    return torch.where((u_3B[0] < 0.5).view(-1, 1, 1, 1), x_BCHW.flip(3), x_BCHW)


def scale(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Sample on a grid stretched by sx and sy, independent and uniform in [1/1.2, 1.2]."""
    sx_B, sy_B = u_3B[:2] * (SCALE_RATIO - 1 / SCALE_RATIO) + 1 / SCALE_RATIO
    zero_B = torch.zeros_like(sx_B)
    return _affine(x_BCHW, (sx_B, zero_B), (zero_B, sy_B))


def rotate(x_BCHW: Tensor, u_3B: Tensor) -> Tensor:
    """Sample on a grid rotated by an angle uniform in [-15, 15] degrees."""
    angle_B = (u_3B[0] - 0.5) * (2 * ROTATE_DEGREES * pi / 180)
    cos_B, sin_B = angle_B.cos(), angle_B.sin()
    return _affine(x_BCHW, (cos_B, -sin_B), (sin_B, cos_B))


def _integers(u: Tensor, count: int) -> Tensor:
    """Uniforms in [0, 1) to integers in [0, count); the product may round up to `count`, hence the clamp."""
    return (u * count).long().clamp_(max=count - 1)


def _square(inside_2BP: Tensor) -> Tensor:
    """Per-axis masks (rows, columns) (2, B, P) to a mask of pixels (B, 1, P, P)."""
    rows_BP, columns_BP = inside_2BP
    return (rows_BP.unsqueeze(2) & columns_BP.unsqueeze(1)).unsqueeze(1)


def _affine(x_BCHW: Tensor, row_x: tuple[Tensor, Tensor], row_y: tuple[Tensor, Tensor]) -> Tensor:
    """Bilinear sampling, zero padding, pixel centres inside the edges, on the grid of a 2x2 matrix per image."""
    zero_B = torch.zeros_like(row_x[0])
    theta_B23 = torch.stack((*row_x, zero_B, *row_y, zero_B), dim=1).view(-1, 2, 3).to(x_BCHW.dtype)
    grid = F.affine_grid(theta_B23, list(x_BCHW.shape), align_corners=False)
    return F.grid_sample(x_BCHW, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    each.__name__: each for each in (color, crop, cutout, flip, scale, rotate)
}
KINDS = tuple(AUGMENTATIONS)
