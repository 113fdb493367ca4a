"""The Triton kernels of a training step, used on a card that has shown that they compute there what they should."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluation.judge.convnet import DEPTH, NORM_EPS, WIDTH
from evaluation.judge.dsa import CROP_RATIO, CUTOUT_RATIO, KINDS, ROTATE_DEGREES, SCALE_RATIO, UNIFORMS, Draw, augment
from evaluation.judge.engine import DeviceSet
from evaluation.judge.norm_relu_pool import NormReluPool, fused

# (set, index_B, uniforms_3B, number of the kind, dtype) -> images of a batch
Augmented = Callable[[DeviceSet, Tensor, Tensor, Tensor, torch.dtype], Tensor]

# What rounding may come to, relative to a value and to their mean size; and how many gradients may be off by more,
# since rounding decides where ReLU turns.
_ROUNDING = {torch.float32: 1e-3, torch.bfloat16: 2**-6}
_TURNED = 0.01


@dataclass(frozen=True)
class CardKernels:
    """`norm_relu_pool` as `choose_norm_relu_pool` gives it; `augmented` gathers, normalises and augments a batch."""

    norm_relu_pool: NormReluPool
    augmented: Augmented


@cache
def proven_kernels(device: torch.device, size: int, dtypes: Sequence[torch.dtype]) -> CardKernels | None:
    """The kernels for images of `size`, once they were compared with float64 on `device`; None where that fails.

    Raises nothing: whatever a tool chain can raise is told as a warning. None without one where there is no Triton.
    """
    if size % 2**DEPTH:
        return None  # the pooling squares would not fill the activations
    try:
        kernels = triton_kernels(size)
    except ImportError:
        return None
    try:
        for dtype in dtypes:
            for depth in range(DEPTH):
                check_norm_relu_pool(kernels.norm_relu_pool, device, size >> depth, dtype)
        check_augmented(kernels.augmented, device, size)
    except Exception as error:
        warnings.warn(
            f"the fast judge does without its Triton kernels: {type(error).__name__}: {error}".split("\n")[0],
            stacklevel=2,
        )
        return None
    return kernels


def triton_kernels(size: int) -> CardKernels:
    """The kernels as they are. Raises ImportError where there is no Triton."""
    from evaluation.judge.triton_kernels import augmented_batch, norm_relu_pool

    strengths = augmented_batch.Strengths(
        reach=int(CROP_RATIO * size + 0.5),
        side=int(CUTOUT_RATIO * size + 0.5),
        scale=SCALE_RATIO,
        angle=ROTATE_DEGREES * pi / 180,
    )

    def augmented(train: DeviceSet, index_B: Tensor, uniforms_3B: Tensor, code: Tensor, dtype: torch.dtype) -> Tensor:
        return augmented_batch.augmented_batch(
            train.images, train.mean, train.std, index_B, uniforms_3B, code, strengths, dtype
        )

    return CardKernels(fused(partial(norm_relu_pool.forward, eps=NORM_EPS), norm_relu_pool.backward), augmented)


def check_norm_relu_pool(function: NormReluPool, device: torch.device, side: int, dtype: torch.dtype) -> None:
    """Raises RuntimeError where result or gradients on random activations are not those of float64, to rounding."""
    generator = torch.Generator().manual_seed(side)
    shapes = ((2, WIDTH, side, side), (WIDTH,), (WIDTH,), (2, WIDTH, side // 2, side // 2))
    drawn = [torch.randn(shape, generator=generator).to(device) for shape in shapes]
    y, gradient = (drawn[at].to(dtype, memory_format=torch.channels_last) for at in (0, 3))
    given = [each.requires_grad_() for each in (y, drawn[1], drawn[2])]
    exact = [each.detach().double().requires_grad_() for each in given]
    pooled = function(*given)
    expected = F.avg_pool2d(F.group_norm(exact[0], WIDTH, exact[1], exact[2], NORM_EPS).relu(), 2)
    found = (pooled, *torch.autograd.grad(pooled, given, gradient))
    wanted = (expected, *torch.autograd.grad(expected, exact, gradient.double()))
    for name, value, of_float64 in zip(("result", "dy", "dgamma", "dbeta"), found, wanted, strict=True):
        allowed = 0.0 if name == "result" else _TURNED
        _check(f"norm, ReLU and pooling at {side} in {dtype}: {name}", value, of_float64, _ROUNDING[dtype], allowed)


def check_augmented(function: Augmented, device: torch.device, size: int) -> None:
    """Raises RuntimeError where a batch, under any augmentation, is not that of float64, to rounding."""
    generator = torch.Generator().manual_seed(size)
    pixels = torch.randint(256, (8, 3, size, size), dtype=torch.uint8, generator=generator)
    index_B = torch.randint(8, (6,), generator=generator).to(device)
    uniforms = torch.rand(UNIFORMS, 6, generator=generator).to(device)
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)))
    train = DeviceSet(pixels.to(device), torch.zeros(8, dtype=torch.int64, device=device), mean, std)
    exact_BCHW = (train.images[index_B].double() / 255 - mean) / std
    for number, kind in enumerate(KINDS):
        code = torch.tensor(number, dtype=torch.int32, device=device)
        found = function(train, index_B, uniforms, code, torch.float32)
        _check(f"the augmentation {kind} at {size}", found, augment(exact_BCHW, Draw(kind, uniforms)), 1e-3, 0.0)


def _check(what: str, found: Tensor, expected: Tensor, rounding: float, allowed: float) -> None:
    off = (found.double() - expected).abs() > rounding * (expected.abs().mean() + expected.abs())
    wrong = (off | ~found.isfinite()).double().mean().item()
    if wrong > allowed:
        raise RuntimeError(f"{what} differs from float64 in {wrong:.2%} of the values")
