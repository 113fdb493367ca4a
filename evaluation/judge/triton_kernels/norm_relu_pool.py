"""Norm, ReLU and pooling, forward and backward: each reads the activations once, and keeps them in registers.

A program takes one image and some of its channels, as four tiles: the corners of each 2x2 square that is pooled. The
formulas are those of `tensor_forward` and `tensor_backward`. Nothing is chosen by timing, so sums repeat bit for bit.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

Triple = tuple[Tensor, Tensor, Tensor]

# Of a program's tiles; a thread has 64 of their elements, which fit its registers.
_TILE, _LEAST_CHANNELS, _THREADS_ELEMENTS = 16_384, 8, 64


@triton.jit
def _corners(image, part, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, SQUARES: tl.constexpr, PART: tl.constexpr):
    """Positions of each square's first corner in the activations, of the square in what is pooled, of the channels."""
    square_P = tl.arange(0, SQUARES)
    channel_K = part * PART + tl.arange(0, PART)
    first_P = square_P // (WIDTH // 2) * 2 * WIDTH + square_P % (WIDTH // 2) * 2
    corner_PK = first_P[:, None] * CHANNELS + channel_K[None, :]
    pooled_PK = square_P[:, None] * CHANNELS + channel_K[None, :]
    return square_P[:, None], corner_PK, pooled_PK, image * CHANNELS + channel_K, channel_K


@triton.jit
def _tiles(y_ptr, corner, inside, CHANNELS: tl.constexpr, WIDTH: tl.constexpr):
    """The four corners of each square, in float32; zero where there is no square."""
    below = WIDTH * CHANNELS
    a = tl.load(y_ptr + corner, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(y_ptr + corner + CHANNELS, mask=inside, other=0.0).to(tl.float32)
    c = tl.load(y_ptr + corner + below, mask=inside, other=0.0).to(tl.float32)
    d = tl.load(y_ptr + corner + below + CHANNELS, mask=inside, other=0.0).to(tl.float32)
    return a, b, c, d


@triton.jit
def _relu(z):
    return tl.where(z < 0, 0.0, z)  # what is no number stays none


@triton.jit
def _forward(
    y_ptr,
    gamma_ptr,
    beta_ptr,
    pooled_ptr,
    mean_ptr,
    rstd_ptr,
    eps,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    SQUARES: tl.constexpr,
    PART: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    square, corner, pooled_at, statistic_K, channel_K = _corners(
        image, tl.program_id(1), CHANNELS, WIDTH, SQUARES, PART
    )
    inside = square < HEIGHT * WIDTH // 4
    y_ptr += image * HEIGHT * WIDTH * CHANNELS
    a, b, c, d = _tiles(y_ptr, corner, inside, CHANNELS, WIDTH)
    mean_K = tl.sum(a + b + (c + d), axis=0) / (HEIGHT * WIDTH)
    a, b, c, d = a - mean_K[None, :], b - mean_K[None, :], c - mean_K[None, :], d - mean_K[None, :]
    squares = tl.where(inside, a * a + b * b + (c * c + d * d), 0.0)
    rstd_K = 1.0 / tl.sqrt(tl.sum(squares, axis=0) / (HEIGHT * WIDTH) + eps)
    slope = (rstd_K * tl.load(gamma_ptr + channel_K))[None, :]
    beta = tl.load(beta_ptr + channel_K)[None, :]
    pooled = 0.25 * (
        _relu(a * slope + beta) + _relu(b * slope + beta) + (_relu(c * slope + beta) + _relu(d * slope + beta))
    )
    pooled_ptr += image * (HEIGHT * WIDTH // 4) * CHANNELS
    tl.store(pooled_ptr + pooled_at, pooled.to(pooled_ptr.dtype.element_ty), mask=inside)
    tl.store(mean_ptr + statistic_K, mean_K)
    tl.store(rstd_ptr + statistic_K, rstd_K)


@triton.jit
def _backward(
    gradient_ptr,
    y_ptr,
    mean_ptr,
    rstd_ptr,
    gamma_ptr,
    beta_ptr,
    dy_ptr,
    dgamma_ptr,
    dbeta_ptr,
    CHANNELS: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    SQUARES: tl.constexpr,
    PART: tl.constexpr,
):
    image = tl.program_id(0).to(tl.int64)
    square, corner, pooled_at, statistic_K, channel_K = _corners(
        image, tl.program_id(1), CHANNELS, WIDTH, SQUARES, PART
    )
    inside = square < HEIGHT * WIDTH // 4
    y_ptr += image * HEIGHT * WIDTH * CHANNELS
    dy_ptr += image * HEIGHT * WIDTH * CHANNELS
    gradient_ptr += image * (HEIGHT * WIDTH // 4) * CHANNELS
    right, below = CHANNELS, WIDTH * CHANNELS
    mean, rstd = tl.load(mean_ptr + statistic_K)[None, :], tl.load(rstd_ptr + statistic_K)[None, :]
    gamma, beta = tl.load(gamma_ptr + channel_K)[None, :], tl.load(beta_ptr + channel_K)[None, :]
    each = 0.25 * tl.load(gradient_ptr + pooled_at, mask=inside, other=0.0).to(tl.float32)
    a, b, c, d = _tiles(y_ptr, corner, inside, CHANNELS, WIDTH)
    a, b, c, d = (a - mean) * rstd, (b - mean) * rstd, (c - mean) * rstd, (d - mean) * rstd  # normalised
    # gradients of what ReLU gets
    dz_a = tl.where(a * gamma + beta > 0, each, 0.0)
    dz_b = tl.where(b * gamma + beta > 0, each, 0.0)
    dz_c = tl.where(c * gamma + beta > 0, each, 0.0)
    dz_d = tl.where(d * gamma + beta > 0, each, 0.0)
    dbeta_K = tl.sum(dz_a + dz_b + (dz_c + dz_d), axis=0)
    dgamma_K = tl.sum(tl.where(inside, dz_a * a + dz_b * b + (dz_c * c + dz_d * d), 0.0), axis=0)
    share = 1.0 / (HEIGHT * WIDTH)
    through_mean, through_std = (dbeta_K * share)[None, :], (dgamma_K * share)[None, :]
    slope = rstd * gamma
    kind = dy_ptr.dtype.element_ty
    tl.store(dy_ptr + corner, (slope * (dz_a - (through_mean + a * through_std))).to(kind), mask=inside)
    tl.store(dy_ptr + corner + right, (slope * (dz_b - (through_mean + b * through_std))).to(kind), mask=inside)
    tl.store(dy_ptr + corner + below, (slope * (dz_c - (through_mean + c * through_std))).to(kind), mask=inside)
    tl.store(dy_ptr + corner + below + right, (slope * (dz_d - (through_mean + d * through_std))).to(kind), mask=inside)
    tl.store(dgamma_ptr + statistic_K, dgamma_K)
    tl.store(dbeta_ptr + statistic_K, dbeta_K)


def forward(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor, eps: float) -> Triple:
    """The pooled result (N, C, H/2, W/2) and each image's mean and 1 / standard deviation (N, C).

    `y_NCHW` lies channels-last, H and W are even and C is a power of two.
    """
    images, channels, height, width = y_NCHW.shape
    shape = (images, channels, height // 2, width // 2)
    pooled = torch.empty(shape, dtype=y_NCHW.dtype, device=y_NCHW.device, memory_format=torch.channels_last)
    mean_NC, rstd_NC = torch.empty(2, images, channels, device=y_NCHW.device)
    grid, shapes, warps = _launch(y_NCHW)
    _forward[grid](y_NCHW, gamma_C, beta_C, pooled, mean_NC, rstd_NC, eps, *shapes, num_warps=warps)
    return pooled, mean_NC, rstd_NC


def backward(
    gradient: Tensor, y_NCHW: Tensor, mean_NC: Tensor, rstd_NC: Tensor, gamma_C: Tensor, beta_C: Tensor
) -> Triple:
    """The gradients for `y_NCHW`, `gamma_C` and `beta_C`; `gradient` and `y_NCHW` lie channels-last."""
    dy = torch.empty_like(y_NCHW)
    sums_2NC = torch.empty(2, *mean_NC.shape, device=y_NCHW.device)
    grid, shapes, warps = _launch(y_NCHW)
    _backward[grid](
        gradient, y_NCHW, mean_NC, rstd_NC, gamma_C, beta_C, dy, sums_2NC[0], sums_2NC[1], *shapes, num_warps=warps
    )
    dgamma_C, dbeta_C = sums_2NC.sum(1)
    return dy, dgamma_C, dbeta_C


def _launch(y_NCHW: Tensor) -> tuple[tuple[int, int], tuple[int, int, int, int, int], int]:
    """The grid of programs, the kernels' shapes, and warps for each program."""
    images, channels, height, width = y_NCHW.shape
    assert height % 2 == width % 2 == 0 and y_NCHW.is_contiguous(memory_format=torch.channels_last)
    squares = triton.next_power_of_2(height * width // 4)
    part = min(channels, max(_LEAST_CHANNELS, _TILE // (4 * squares)))
    warps = max(1, 4 * squares * part // (32 * _THREADS_ELEMENTS))
    return (images, channels // part), (channels, height, width, squares, part), warps
