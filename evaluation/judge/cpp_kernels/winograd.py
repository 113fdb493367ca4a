"""The judge's 3x3 convolutions in float32 on the CPU: the C++ functions of `winograd.cpp`.

With 36 products where the definition takes 144, a core of an AMD EPYC with AVX2 does in a second what by the definition
were 165 to 232 GFLOP; PyTorch's convolutions do 69 to 91 (`benchmarks/results/convolutions-amd-epyc-2-core.json`). Such
algorithms are common for float32: rounding is four times as coarse as the definition's, and far finer than bfloat16's.
"""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from evaluation.judge.cpp_kernels.build import CHANNELS, build_library, pointers

TILE = 4  # outputs, in height and width


class Winograd:
    """The C++ functions, for float32 tensors of 128 channels whose height and width are multiples of TILE."""

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
        dkernel_33IO = torch.empty(3, 3, CHANNELS, CHANNELS)
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


@cache
def build_winograd() -> Winograd | None:
    """None where there is no compiler; the norm, which needs it too, says so."""
    library, _ = build_library("winograd")
    return Winograd(library) if library else None


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)
