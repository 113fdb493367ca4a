"""Instance norm, ReLU and average pooling on the CPU: the C++ functions of `norm_relu_pool.cpp`."""

import ctypes
from functools import cache

import torch
from torch import Tensor

from evaluation.judge.cpp_kernels.build import CHANNELS, build_library, pointers

Triple = tuple[Tensor, Tensor, Tensor]
_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class CppKernel:
    """The C++ functions for channels-last float32 and bfloat16 tensors with 128 channels on the CPU."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self._forward, self._backward = {}, {}
        for dtype, name in _NAMES.items():
            self._forward[dtype] = getattr(library, f"norm_relu_pool_{name}")
            self._forward[dtype].argtypes = [*[pointer] * 3, count, size, size, ctypes.c_float, *[pointer] * 3]
            self._backward[dtype] = getattr(library, f"norm_relu_pool_backward_{name}")
            self._backward[dtype].argtypes = [*[pointer] * 6, count, size, size, *[pointer] * 3]

    def forward(self, y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor, eps: float) -> Triple:
        """The pooled result (N, C, H/2, W/2) and each image's mean and 1 / standard deviation (N, C)."""
        images, channels, height, width = y_NCHW.shape
        assert channels == CHANNELS
        pooled_shape = (images, channels, height // 2, width // 2)
        pooled = torch.empty(pooled_shape, dtype=y_NCHW.dtype, memory_format=torch.channels_last)
        mean_NC, rstd_NC = torch.empty(images, channels), torch.empty(images, channels)
        inputs, outputs = (y_NCHW, gamma_C, beta_C), (pooled, mean_NC, rstd_NC)
        self._forward[y_NCHW.dtype](*pointers(*inputs), images, height, width, eps, *pointers(*outputs))
        return pooled, mean_NC, rstd_NC

    def backward(
        self, gradient: Tensor, y_NCHW: Tensor, mean_NC: Tensor, rstd_NC: Tensor, gamma_C: Tensor, beta_C: Tensor
    ) -> Triple:
        """The gradients for `y_NCHW`, which is overwritten by its own, `gamma_C` and `beta_C`.

        Fresh memory costs more than the arithmetic. So a graph has one backward, as in a training step.
        """
        images, channels, height, width = y_NCHW.shape
        dgamma_NC, dbeta_NC = torch.empty(images, channels), torch.empty(images, channels)
        inputs, outputs = (gradient, y_NCHW, mean_NC, rstd_NC, gamma_C, beta_C), (y_NCHW, dgamma_NC, dbeta_NC)
        self._backward[y_NCHW.dtype](*pointers(*inputs), images, height, width, *pointers(*outputs))
        return y_NCHW, dgamma_NC.sum(0), dbeta_NC.sum(0)


@cache
def build_cpp_kernel() -> tuple[CppKernel | None, str]:
    """The kernel, compiled once per process; or None and why there is none."""
    library, why_none = build_library("norm_relu_pool")
    return (CppKernel(library) if library else None), why_none
