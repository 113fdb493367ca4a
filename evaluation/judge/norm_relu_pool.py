"""Instance norm, ReLU and average pooling of the judge's network as one operation.

Between two convolutions a step is limited by memory bandwidth, so this is where the time goes. There are three
equivalent forms: PyTorch's own operations, which run anywhere; a forward and a backward pass written out for the
compiler to fuse, on CUDA; and `cpp_kernels/norm_relu_pool.cpp`, on the CPU.
"""

import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import NORM_EPS, WIDTH
from evaluation.judge.cpp_kernels.norm_relu_pool import Triple, build_cpp_kernel

NormReluPool = Callable[[Tensor, Tensor, Tensor], Tensor]
Forward = Callable[[Tensor, Tensor, Tensor], Triple]
Backward = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Triple]

COMPILE_FROM_STEPS = 10_000
# Every combination of block, batch and dtype is compiled separately; beyond this many PyTorch would give up. A
# judgement has 12, and 3 more for each other last batch; PyTorch's limit for all of a function together is 256.
_COMPILED_VARIANTS = 256


def choose_norm_relu_pool(device: torch.device, expected_steps: float) -> NormReluPool:
    """The fastest form that works on this machine: (y (N, 128, H, W), gamma (128,), beta (128,)) -> (N, 128, H/2, W/2).

    Args:
        expected_steps: steps of the judgement, counted in batches of 32x32 images; compiling for CUDA takes half a
            minute, so short jobs do without.
    """
    if device.type == "cpu":
        kernel, why_none = build_cpp_kernel()
        if kernel:
            return fused(partial(kernel.forward, eps=NORM_EPS), kernel.backward)
        warnings.warn(f"{why_none}, so the fast judge runs uncompiled and slower", stacklevel=2)
    elif expected_steps >= COMPILE_FROM_STEPS:
        return _compiled_norm_relu_pool(device)
    return plain_norm_relu_pool


def plain_norm_relu_pool(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> Tensor:
    """Norm each channel of each image in float32, scale, shift, ReLU, pool 2x2; the result has the type of `y_NCHW`."""
    z = F.group_norm(y_NCHW.float(), WIDTH, gamma_C, beta_C, NORM_EPS)
    return F.avg_pool2d(z.relu(), 2).to(y_NCHW.dtype)


def fused(forward: Forward, backward: Backward) -> NormReluPool:
    """One differentiable operation from a forward, which also returns statistics, and a backward that takes them."""
    return partial(_Fused.apply, forward, backward)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, forward: Forward, backward: Backward, y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor
    ) -> Tensor:
        y_NCHW = y_NCHW.contiguous(memory_format=torch.channels_last)
        pooled, mean_NC, rstd_NC = forward(y_NCHW, gamma_C, beta_C)
        ctx.save_for_backward(y_NCHW, mean_NC, rstd_NC, gamma_C, beta_C)
        ctx.run_backward = backward
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        return None, None, *ctx.run_backward(gradient, *ctx.saved_tensors)


def tensor_forward(y_NCHW: Tensor, gamma_C: Tensor, beta_C: Tensor) -> Triple:
    """The pooled result and each image's mean and 1 / std (N, C): what the C++ kernel does, in tensors.

    Written for a compiler that fuses: slices and sums, where pooling operations would make it store intermediates.
    """
    y = y_NCHW.float()
    var_NC, mean_NC = torch.var_mean(y, (2, 3), correction=0)
    rstd_NC = (var_NC + NORM_EPS).rsqrt()
    slope = (rstd_NC * gamma_C)[..., None, None]
    z = (y - mean_NC[..., None, None]) * slope + beta_C.view(-1, 1, 1)
    return _pooled(z.relu()).to(y_NCHW.dtype), mean_NC, rstd_NC


def tensor_backward(
    gradient: Tensor, y_NCHW: Tensor, mean_NC: Tensor, rstd_NC: Tensor, gamma_C: Tensor, beta_C: Tensor
) -> Triple:
    """The gradients for `y_NCHW`, `gamma_C` and `beta_C`; the formula stands in `cpp_kernels/norm_relu_pool.cpp`."""
    height, width = y_NCHW.shape[2:]
    mean, rstd = mean_NC[..., None, None], rstd_NC[..., None, None]
    gamma, beta = gamma_C.view(-1, 1, 1), beta_C.view(-1, 1, 1)
    yhat = (y_NCHW.float() - mean) * rstd
    upsampled = F.interpolate(0.25 * gradient.float(), scale_factor=2, mode="nearest")
    upsampled = F.pad(upsampled, (0, width % 2, 0, height % 2))
    dz = torch.where(yhat * gamma + beta > 0, upsampled, 0.0)
    dbeta_NC, dgamma_NC = dz.sum((2, 3)), (dz * yhat).sum((2, 3))
    through_statistics = (dbeta_NC[..., None, None] + yhat * dgamma_NC[..., None, None]) / (height * width)
    dy = rstd * gamma * (dz - through_statistics)
    return dy.to(y_NCHW.dtype), dgamma_NC.sum(0), dbeta_NC.sum(0)


def _pooled(z_NCHW: Tensor) -> Tensor:
    """Mean of each 2x2 square; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in z_NCHW.shape[2:])
    z = z_NCHW[:, :, :height, :width]
    return 0.25 * (z[:, :, ::2, ::2] + z[:, :, ::2, 1::2] + z[:, :, 1::2, ::2] + z[:, :, 1::2, 1::2])


@cache
def _compiled_norm_relu_pool(device: torch.device) -> NormReluPool:
    """The tensor form compiled, and run once so that a missing compiler shows here and not in the first step."""
    compiled = fused(_compiled(tensor_forward), _compiled(tensor_backward))
    y = torch.randn(2, WIDTH, 8, 8, device=device).to(memory_format=torch.channels_last).requires_grad_()
    try:
        compiled(y, torch.ones(WIDTH, device=device), torch.zeros(WIDTH, device=device)).sum().backward()
    except Exception as error:  # whatever a tool chain can raise
        told = f"the fast judge runs uncompiled and slower: compiling failed ({type(error).__name__})"
        warnings.warn(told, stacklevel=2)
        return plain_norm_relu_pool
    return compiled


def _compiled(function: Callable[..., Triple]) -> Callable[..., Triple]:
    """`function` compiled for each shape, with the same kernels in every process.

    The limit is given here and not in PyTorch's configuration, which other threads do not see: autograd's runs the
    backward. Kernels that are chosen by timing them could add in another order each time.
    """
    # PyTorch's own overloads lack the argument
    return torch.compile(  # type: ignore[call-overload]
        function, dynamic=False, recompile_limit=_COMPILED_VARIANTS, options={"deterministic": True}
    )
