"""Instance norm, ReLU and average pooling of the judge's network as one operation.

Between two convolutions a step moves far more memory than it computes, so this is where the time is. Three forms with
one meaning: plain PyTorch, which runs anywhere; the same compiled, for CUDA; and `fused.cpp`, built with the
machine's own compiler, for the CPU.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.convnet import NORM_EPS, WIDTH

NormReluPool = Callable[[Tensor, Tensor, Tensor], Tensor]

COMPILE_FROM_STEPS = 10_000

_SOURCE = Path(__file__).with_name("fused.cpp")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC")
_X86_FLAGS = ("-mprefer-vector-width=512",)
_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


def plain_norm_relu_pool(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> Tensor:
    """Norm each channel of each image in float32, scale, shift, ReLU, pool 2x2; the result has the type of `y_NCHW`."""
    z = F.group_norm(y_NCHW.float(), WIDTH, gamma_C, beta_C, NORM_EPS)
    return F.avg_pool2d(z.relu(), 2).to(y_NCHW.dtype)


def choose_norm_relu_pool(device: torch.device, expected_steps: float) -> NormReluPool:
    """The fastest form that works here.

    Args:
        expected_steps: steps of the judgement, counted in batches of 32x32 images; compiling for CUDA takes half a
            minute, so a short job does without.
    """
    if device.type == "cpu":
        if native := native_norm_relu_pool():
            return native
        warnings.warn("no C++ compiler works here, so the fast judge runs uncompiled and slower", stacklevel=2)
    elif expected_steps >= COMPILE_FROM_STEPS:
        return _compiled_norm_relu_pool(device)
    return plain_norm_relu_pool


def _compiled_norm_relu_pool(device: torch.device) -> NormReluPool:
    """The plain operation compiled, tried out once so that a missing compiler shows here and not in the first step."""
    compiled = torch.compile(plain_norm_relu_pool)
    y = torch.randn(2, WIDTH, 8, 8, device=device).to(memory_format=torch.channels_last).requires_grad_()
    try:
        compiled(y, torch.ones(WIDTH, device=device), torch.zeros(WIDTH, device=device)).sum().backward()
    except Exception as error:  # whatever a tool chain can raise
        warnings.warn(
            f"the fast judge runs uncompiled and slower: compiling failed ({type(error).__name__})", stacklevel=2
        )
        return plain_norm_relu_pool
    return compiled


@cache
def native_norm_relu_pool() -> NormReluPool | None:
    """The operation from `fused.cpp`, None where it cannot be built.

    It takes float32 or bfloat16 with 128 channels on the CPU, and uses up its first argument in the backward pass.
    Building takes about a second, once a process.
    """
    library = _build()
    if library is None:
        return None
    functions = {dtype: _Functions(library, name) for dtype, name in _NAMES.items()}

    def norm_relu_pool(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> Tensor:
        return _NativeNormReluPool.apply(y_NCHW, gamma_C, beta_C, functions[y_NCHW.dtype])

    return norm_relu_pool


def _build() -> ctypes.CDLL | None:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if compiler is None:
        return None
    flags = _FLAGS + (_X86_FLAGS if os.uname().machine == "x86_64" else ())
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "fused.so"
        command = [compiler, *flags, str(_SOURCE), "-o", str(built)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            return ctypes.CDLL(str(built))
        except (OSError, subprocess.SubprocessError):
            return None


class _Functions:
    """The two C functions of one element type."""

    def __init__(self, library: ctypes.CDLL, name: str) -> None:
        pointer, count, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self.forward = getattr(library, f"norm_relu_pool_{name}")
        self.forward.argtypes = [*[pointer] * 3, count, size, size, ctypes.c_float, *[pointer] * 3]
        self.backward = getattr(library, f"norm_relu_pool_backward_{name}")
        self.backward.argtypes = [*[pointer] * 6, count, size, size, *[pointer] * 3]


class _NativeNormReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor, functions: _Functions) -> Tensor:
        y_NCHW = y_NCHW.contiguous(memory_format=torch.channels_last)
        images, channels, height, width = y_NCHW.shape
        assert channels == WIDTH
        pooled_shape = (images, channels, height // 2, width // 2)
        pooled = torch.empty(pooled_shape, dtype=y_NCHW.dtype, memory_format=torch.channels_last)
        mean_NC, rstd_NC = torch.empty(images, channels), torch.empty(images, channels)
        inputs, outputs = (y_NCHW, gamma_C, beta_C), (pooled, mean_NC, rstd_NC)
        functions.forward(*_pointers(inputs), images, height, width, NORM_EPS, *_pointers(outputs))
        ctx.save_for_backward(y_NCHW, mean_NC, rstd_NC, gamma_C, beta_C)
        ctx.functions = functions
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        y_NCHW = ctx.saved_tensors[0]
        images, channels, height, width = y_NCHW.shape
        dgamma_NC, dbeta_NC = torch.empty(images, channels), torch.empty(images, channels)
        # The gradient takes the place of the activations, which nothing reads again: fresh memory costs more than the
        # arithmetic. So a second backward through the same graph would be wrong; a step has only one.
        inputs, outputs = (gradient, *ctx.saved_tensors), (y_NCHW, dgamma_NC, dbeta_NC)
        ctx.functions.backward(*_pointers(inputs), images, height, width, *_pointers(outputs))
        return y_NCHW, dgamma_NC.sum(0), dbeta_NC.sum(0), None


def _pointers(tensors: tuple[Tensor, ...]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
