"""A batch as the first convolution takes it, in one pass: gathered, normalised, augmented, channels-last.

Which augmentation is a number in the card's memory, so one graph serves all of them. A program takes some pixels of one
image. The definitions are those of `evaluation/judge/dsa.py`.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from dataclasses import astuple, dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024  # pixels of a program
# in the order of the judge's kinds
COLOR, CROP, CUTOUT, FLIP, SCALE, ROTATE = (tl.constexpr(number) for number in range(6))


@dataclass(frozen=True)
class Strengths:
    """How far augmentations go: a shift's `reach` and a cut-out's `side` in pixels, a ratio, an angle in radians."""

    reach: int
    side: int
    scale: float
    angle: float


@triton.jit
def _integers(u, count):
    """A uniform in [0, 1) to an integer in [0, count), as the product rounds in float32."""
    return tl.minimum((u * count).to(tl.int32), count - 1)


@triton.jit
def _pixels(image_ptr, mean_ptr, std_ptr, row, column, valid, channel, SIZE: tl.constexpr, RAW: tl.constexpr):
    """Normalised values of a channel at these pixels; zero where they are not `valid` or outside the image."""
    valid = valid & (row >= 0) & (row < SIZE) & (column >= 0) & (column < SIZE)
    value = tl.load(image_ptr + channel * SIZE * SIZE + row * SIZE + column, mask=valid, other=0).to(tl.float32)
    if RAW:
        value = (value / 255.0 - tl.load(mean_ptr + channel)) / tl.load(std_ptr + channel)
    return tl.where(valid, value, 0.0)


@triton.jit
def _augmented(
    images_ptr,
    mean_ptr,
    std_ptr,
    index_ptr,
    uniforms_ptr,
    uniforms_stride,
    kind_ptr,
    out_ptr,
    SIZE: tl.constexpr,
    RAW: tl.constexpr,
    BLOCK: tl.constexpr,
    REACH: tl.constexpr,
    SIDE: tl.constexpr,
    RATIO: tl.constexpr,
    ANGLE: tl.constexpr,
):
    sample = tl.program_id(0).to(tl.int64)
    image_ptr = images_ptr + tl.load(index_ptr + sample) * (3 * SIZE * SIZE)
    u0 = tl.load(uniforms_ptr + sample)
    u1 = tl.load(uniforms_ptr + uniforms_stride + sample)
    u2 = tl.load(uniforms_ptr + 2 * uniforms_stride + sample)
    kind = tl.load(kind_ptr)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < SIZE * SIZE
    row, column = pixel // SIZE, pixel % SIZE
    out_ptr += (sample * SIZE * SIZE + pixel) * 3
    stored = out_ptr.dtype.element_ty
    if (kind == SCALE) | (kind == ROTATE):
        # the grid's matrix: rows of x and y
        turn = (u0 - 0.5) * (2 * ANGLE)
        xx = tl.where(kind == ROTATE, tl.cos(turn), u0 * (RATIO - 1 / RATIO) + 1 / RATIO)
        yy = tl.where(kind == ROTATE, tl.cos(turn), u1 * (RATIO - 1 / RATIO) + 1 / RATIO)
        xy = tl.where(kind == ROTATE, -tl.sin(turn), 0.0)
        x, y = (2 * column + 1).to(tl.float32) / SIZE - 1, (2 * row + 1).to(tl.float32) / SIZE - 1
        from_x, from_y = ((xx * x + xy * y + 1) * SIZE - 1) / 2, ((yy * y - xy * x + 1) * SIZE - 1) / 2
        left, top = tl.floor(from_x), tl.floor(from_y)
        right_weight, low_weight = from_x - left, from_y - top
        left, top = left.to(tl.int32), top.to(tl.int32)
        for channel in tl.static_range(3):
            high = (1 - right_weight) * _pixels(image_ptr, mean_ptr, std_ptr, top, left, inside, channel, SIZE, RAW)
            high += right_weight * _pixels(image_ptr, mean_ptr, std_ptr, top, left + 1, inside, channel, SIZE, RAW)
            low = (1 - right_weight) * _pixels(image_ptr, mean_ptr, std_ptr, top + 1, left, inside, channel, SIZE, RAW)
            low += right_weight * _pixels(image_ptr, mean_ptr, std_ptr, top + 1, left + 1, inside, channel, SIZE, RAW)
            value = (1 - low_weight) * high + low_weight * low
            tl.store(out_ptr + channel, value.to(stored), mask=inside)
    else:
        if kind == CROP:
            row += _integers(u0, 2 * REACH + 1) - REACH
            column += _integers(u1, 2 * REACH + 1) - REACH
        column = tl.where((kind == FLIP) & (u0 < 0.5), SIZE - 1 - column, column)
        first_row = _integers(u0, SIZE + 1 - SIDE % 2) - SIDE // 2
        first_column = _integers(u1, SIZE + 1 - SIDE % 2) - SIDE // 2
        cut = (row >= first_row) & (row < first_row + SIDE) & (column >= first_column) & (column < first_column + SIDE)
        valid = inside & ~((kind == CUTOUT) & cut)
        r = _pixels(image_ptr, mean_ptr, std_ptr, row, column, valid, 0, SIZE, RAW)
        g = _pixels(image_ptr, mean_ptr, std_ptr, row, column, valid, 1, SIZE, RAW)
        b = _pixels(image_ptr, mean_ptr, std_ptr, row, column, valid, 2, SIZE, RAW)
        if kind == COLOR:
            total = 0.0
            for start in range(0, SIZE * SIZE, BLOCK):
                every = start + tl.arange(0, BLOCK)
                there = every < SIZE * SIZE
                for channel in tl.static_range(3):
                    total += tl.sum(
                        _pixels(image_ptr, mean_ptr, std_ptr, every // SIZE, every % SIZE, there, channel, SIZE, RAW)
                    )
            # saturation leaves the mean as it is
            whole = total / (3 * SIZE * SIZE) + (u0 - 0.5)
            grey = (r + g + b) / 3 + (u0 - 0.5)
            r = ((r + (u0 - 0.5) - grey) * (2 * u1) + grey - whole) * (u2 + 0.5) + whole
            g = ((g + (u0 - 0.5) - grey) * (2 * u1) + grey - whole) * (u2 + 0.5) + whole
            b = ((b + (u0 - 0.5) - grey) * (2 * u1) + grey - whole) * (u2 + 0.5) + whole
        tl.store(out_ptr, r.to(stored), mask=inside)
        tl.store(out_ptr + 1, g.to(stored), mask=inside)
        tl.store(out_ptr + 2, b.to(stored), mask=inside)


def augmented_batch(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    index_B: Tensor,
    uniforms_3B: Tensor,
    kind: Tensor,
    strengths: Strengths,
    dtype: torch.dtype,
) -> Tensor:
    """The images at `index_B`, normalised and augmented: (B, 3, H, W) of `dtype`, channels-last.

    Args:
        images: uint8 (N, 3, H, W) with H == W, or float32 that are normalised already.
        mean, std: float32, three each, of pixel values scaled to [0, 1].
        uniforms_3B: float32 in [0, 1).
        kind: int32, 0-dim: which augmentation, in the order of this module's constants.
    """
    assert images.is_contiguous() and uniforms_3B.stride(1) == 1
    size = images.shape[-1]
    shape = (len(index_B), 3, size, size)
    out = torch.empty(shape, dtype=dtype, device=images.device, memory_format=torch.channels_last)
    block = min(_BLOCK, triton.next_power_of_2(size * size))
    _augmented[(len(index_B), triton.cdiv(size * size, block))](
        images,
        mean,
        std,
        index_B,
        uniforms_3B,
        uniforms_3B.stride(0),
        kind,
        out,
        size,
        images.dtype == torch.uint8,
        block,
        *astuple(strengths),
    )
    return out
