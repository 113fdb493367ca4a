"""The judge's 3x3 convolutions: PyTorch's, and in float32 on the CPU by Winograd's algorithm (`winograd.cpp`).

With 36 products where the definition takes 144, a core of an AMD EPYC with AVX2 does in a second what by the definition
were 167 to 224 GFLOP; PyTorch's convolutions do 54 to 94 (`benchmarks/results/convolutions-amd-epyc-2-core.json`). Such
algorithms are common for float32: rounding is four times as coarse as the definition's, and far finer than bfloat16's.
"""

import ctypes
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from evaluation.judge.convnet import WIDTH
from evaluation.judge.cpp_library import build_library, pointers

_TILE = 4  # outputs of a tile, in height and width


def convolve(x_BCHW: Tensor, kernel_OI33: Tensor) -> Tensor:
    """The convolution with stride 1, padded by a pixel of zeros: (B, O, H, W), channels-last if `x_BCHW` is."""
    winograd = build_winograd() if _suits(x_BCHW, kernel_OI33) else None
    return _Convolution.apply(winograd, x_BCHW, kernel_OI33) if winograd else F.conv2d(x_BCHW, kernel_OI33, padding=1)


def _suits(x_BCHW: Tensor, kernel_OI33: Tensor) -> bool:
    return (
        x_BCHW.device.type == "cpu"
        and x_BCHW.dtype == kernel_OI33.dtype == torch.float32
        and kernel_OI33.shape == (WIDTH, WIDTH, 3, 3)
        and all(side % _TILE == 0 for side in x_BCHW.shape[2:])
    )


class Winograd:
    """The C++ functions, for float32 tensors of 128 channels whose height and width are multiples of 4."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        library.winograd_scratch.restype = count
        self._scratch_size: int = library.winograd_scratch()
        self._convolve, self._weight_gradient = library.winograd_convolve, library.winograd_weight_gradient
        for function in (self._convolve, self._weight_gradient):
            function.argtypes = [pointer, pointer, count, size, size, pointer, pointer]

    def convolve(self, x_BCHW: Tensor, kernel_OI33: Tensor) -> Tensor:
        """The convolution, channels-last."""
        return self._convolved(x_BCHW, kernel_OI33.permute(2, 3, 1, 0))

    def input_gradient(self, dy_BCHW: Tensor, kernel_OI33: Tensor) -> Tensor:
        """That of the convolution's input for that of its result, channels-last."""
        return self._convolved(dy_BCHW, kernel_OI33.permute(2, 3, 0, 1).flip(0, 1))

    def weight_gradient(self, x_BCHW: Tensor, dy_BCHW: Tensor) -> Tensor:
        """That of the kernel (O, I, 3, 3) for that of the result."""
        dkernel_33IO = torch.empty(3, 3, WIDTH, WIDTH)
        self._run(self._weight_gradient, x_BCHW, _channels_last(dy_BCHW), dkernel_33IO)
        return dkernel_33IO.permute(3, 2, 0, 1)

    def _convolved(self, x_BCHW: Tensor, kernel_33IO: Tensor) -> Tensor:
        y_BCHW = torch.empty_like(x_BCHW, memory_format=torch.channels_last)
        self._run(self._convolve, x_BCHW, kernel_33IO.contiguous(), y_BCHW)
        return y_BCHW

    def _run(self, function: Any, x_BCHW: Tensor, other: Tensor, result: Tensor) -> None:
        images, _, height, width = x_BCHW.shape
        x_BCHW = _channels_last(x_BCHW)
        scratch = torch.empty(self._scratch_size)
        function(*pointers(x_BCHW, other), images, height, width, *pointers(scratch, result))


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


@cache
def build_winograd() -> Winograd | None:
    """None where there is no compiler; the norm, which needs it too, says so (`norm_relu_pool.py`)."""
    library, _ = build_library("winograd")
    return Winograd(library) if library else None


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)
