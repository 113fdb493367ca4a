"""The judge's 3x3 convolutions: PyTorch's, and in float32 on the CPU Winograd's (`cpp_kernels/winograd.py`)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from evaluation.judge.cpp_kernels.build import CHANNELS
from evaluation.judge.cpp_kernels.winograd import TILE, Winograd, build_winograd


def convolve(x_BCHW: Tensor, kernel_OI33: Tensor) -> Tensor:
    """The convolution with stride 1, padded by a pixel of zeros: (B, O, H, W), channels-last if `x_BCHW` is."""
    winograd = build_winograd() if _suits(x_BCHW, kernel_OI33) else None
    return _Convolution.apply(winograd, x_BCHW, kernel_OI33) if winograd else F.conv2d(x_BCHW, kernel_OI33, padding=1)


def _suits(x_BCHW: Tensor, kernel_OI33: Tensor) -> bool:
    return (
        x_BCHW.device.type == "cpu"
        and x_BCHW.dtype == kernel_OI33.dtype == torch.float32
        and kernel_OI33.shape == (CHANNELS, CHANNELS, 3, 3)
        and all(side % TILE == 0 for side in x_BCHW.shape[2:])
    )


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, winograd: Winograd, x_BCHW: Tensor, kernel_OI33: Tensor) -> Tensor:
        ctx.winograd = winograd
        ctx.save_for_backward(x_BCHW, kernel_OI33)
        return winograd.convolve(x_BCHW, kernel_OI33)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_BCHW: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        x_BCHW, kernel_OI33 = ctx.saved_tensors
        _, wants_dx, wants_dkernel = ctx.needs_input_grad
        dx_BCHW = ctx.winograd.input_gradient(dy_BCHW, kernel_OI33) if wants_dx else None
        return None, dx_BCHW, ctx.winograd.weight_gradient(x_BCHW, dy_BCHW) if wants_dkernel else None
