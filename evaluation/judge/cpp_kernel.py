"""`norm_relu_pool.cpp` compiled on the machine itself, as functions of tensors."""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from evaluation.judge.convnet import NORM_EPS, WIDTH

_SOURCE = Path(__file__).with_name("norm_relu_pool.cpp")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_X86_FLAGS = ("-mprefer-vector-width=512",)
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

    def forward(self, y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pooled result (N, C, H/2, W/2) and each image's mean and 1 / standard deviation (N, C)."""
        images, channels, height, width = y_NCHW.shape
        assert channels == WIDTH
        pooled_shape = (images, channels, height // 2, width // 2)
        pooled = torch.empty(pooled_shape, dtype=y_NCHW.dtype, memory_format=torch.channels_last)
        mean_NC, rstd_NC = torch.empty(images, channels), torch.empty(images, channels)
        inputs, outputs = (y_NCHW, gamma_C, beta_C), (pooled, mean_NC, rstd_NC)
        self._forward[y_NCHW.dtype](*_pointers(inputs), images, height, width, NORM_EPS, *_pointers(outputs))
        return pooled, mean_NC, rstd_NC

    def backward(
        self, gradient: Tensor, y_NCHW: Tensor, mean_NC: Tensor, rstd_NC: Tensor, gamma_C: Tensor, beta_C: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients for `y_NCHW`, `gamma_C` and `beta_C`.

        The first overwrites `y_NCHW`, which nothing reads again: fresh memory costs more than the arithmetic. So a
        second backward through the same graph would be wrong; a training step has only one.
        """
        images, channels, height, width = y_NCHW.shape
        dgamma_NC, dbeta_NC = torch.empty(images, channels), torch.empty(images, channels)
        inputs, outputs = (gradient, y_NCHW, mean_NC, rstd_NC, gamma_C, beta_C), (y_NCHW, dgamma_NC, dbeta_NC)
        self._backward[y_NCHW.dtype](*_pointers(inputs), images, height, width, *_pointers(outputs))
        return y_NCHW, dgamma_NC.sum(0), dbeta_NC.sum(0)


def find_compiler() -> str | None:
    """The C++ compiler that would be used, from CXX or the path; None where there is none."""
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")


@cache
def build_cpp_kernel() -> CppKernel | None:
    """Compile the kernel, which takes about a second, once per process; None where no compiler works."""
    compiler = find_compiler()
    if not compiler:
        return None
    flags = _FLAGS + (_X86_FLAGS if platform.machine() == "x86_64" else ())
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "norm_relu_pool.so"
        command = [*shlex.split(compiler), *flags, str(_SOURCE), "-o", str(built)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            return CppKernel(ctypes.CDLL(str(built)))
        except (OSError, subprocess.SubprocessError):
            return None


def _pointers(tensors: tuple[Tensor, ...]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
