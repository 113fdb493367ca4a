"""Prototypes as a weights file has them: rounded coefficients of a cosine transform, packed without loss.

What a network sees of a prototype is in its faint fine detail, which the leading principal components leave out. A
common step for all coefficients keeps of each what is larger than the step, and the packing gives small ones few bits.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, pi, prod

import numpy as np
import torch
from torch import Tensor

_GREY = 128  # level that the coefficients are of the distance from
_LARGEST = 32767
_UP = 0.6  # of a step, from which a coefficient is rounded away from 0: more zeros, so a finer step in as many bytes
_COUNTED = 255  # larger codes are counted as this one when the size is estimated
_SAMPLE = 1000  # prototypes that it is estimated from, at most
_PACKING = 1.1  # bytes of the packing for one of entropy: from 1.07 in fine steps to 1.16 in coarse ones
_DTYPES = {"packed": (torch.uint8,), "shape": (torch.int64,), "step": (torch.float16, torch.float32, torch.float64)}
_VALUES_AT_ONCE = 3_000_000
# bytes have no structure but how often each occurs: no bits of position, and a short search for repeats
_FILTERS = ({"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 0, "pb": 0, "nice_len": 273, "depth": 4},)


@dataclass(frozen=True)
class StoredPrototypes:
    """K prototypes of each of C classes.

    Attributes:
        codes_CK3HW: int16; luminance and two colour differences in an orthonormal cosine transform, in units of `step`.
        step: in levels of 255; the error of a level is about 0.3 of it.
    """

    codes_CK3HW: Tensor
    step: float

    @classmethod
    def nearest(cls, prototypes_CK3HW: Tensor, step: float) -> StoredPrototypes:
        """The nearest to prototypes in levels of 255, square ones, in favour of codes of fewer bytes."""
        return cls(_by_parts(lambda x_nK3HW: _rounded(_coefficients(x_nK3HW), step), prototypes_CK3HW), step)

    def decode(self) -> Tensor:
        """The prototypes as images, float32 (C, K, 3, H, W) in levels of 255, not clamped.

        The same bits on every machine: sums in float64 lose nothing that float32 shows, in whichever order they are.
        """
        return _by_parts(lambda codes_nK3HW: _levels(codes_nK3HW.double() * self.step).float(), self.codes_CK3HW)

    def packed(self) -> dict[str, Tensor]:
        """The tensors of a weights file."""
        codes_N = self.codes_CK3HW.permute(2, 3, 4, 0, 1).flatten().cpu().int().numpy()
        folded_N = np.where(codes_N < 0, -2 * codes_N - 1, 2 * codes_N)  # small ones of either sign in the low byte
        planes_2N = np.stack([folded_N & 255, folded_N >> 8]).astype(np.uint8)
        packed = lzma.compress(planes_2N.tobytes(), check=lzma.CHECK_CRC32, filters=_FILTERS)
        return {
            "packed": torch.frombuffer(bytearray(packed), dtype=torch.uint8),
            "shape": torch.tensor(self.codes_CK3HW.shape),
            "step": torch.tensor(self.step),
        }

    @classmethod
    def unpack(cls, tensors: Mapping[str, Tensor], most: int) -> StoredPrototypes:
        """From the tensors of a file, of at most so many values.

        Raises ValueError where they are not such tensors, or damaged.
        """
        if set(tensors) != set(_DTYPES) or any(tensors[name].dtype not in kinds for name, kinds in _DTYPES.items()):
            raise ValueError("there are no tensors of packed prototypes")
        shape, step = tensors["shape"].flatten().tolist(), float(tensors["step"].sum())
        count = prod(shape)
        if len(shape) != 5 or min(shape) < 1 or shape[2] != 3 or shape[3] != shape[4] or count > most:
            raise ValueError(f"prototypes cannot have the shape {shape}")
        if not 0 < step < inf:
            raise ValueError(f"prototypes cannot be in steps of {step} levels")
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        try:
            content = unpacker.decompress(tensors["packed"].cpu().numpy().tobytes(), max_length=2 * count)
            if not unpacker.eof and not unpacker.needs_input:
                content += unpacker.decompress(b"", max_length=1)
        except lzma.LZMAError as error:
            raise ValueError(f"the prototypes are damaged ({error})") from None
        if len(content) != 2 * count or not unpacker.eof:
            raise ValueError(f"the prototypes are damaged: not the {2 * count:,} bytes that their shape asks for")
        planes_2N = np.frombuffer(content, np.uint8).reshape(2, -1).astype(np.int32)
        folded_N = planes_2N[0] | planes_2N[1] << 8
        codes_N = np.where(folded_N & 1, -(folded_N + 1) // 2, folded_N // 2).astype(np.int16)
        classes, each, _, size, _ = shape
        codes_CK3HW = torch.from_numpy(codes_N).view(3, size, size, classes, each).permute(3, 4, 0, 1, 2).contiguous()
        return cls(codes_CK3HW, step)


def step_for(prototypes_CK3HW: Tensor, bytes_each: int) -> float:
    """The step with which a prototype takes about so many bytes in a file, at least 1/64 level.

    It is one that half precision holds, as weights files have it.
    """
    x_N3HW = prototypes_CK3HW.flatten(0, 1)
    coefficients_NJ = _coefficients(x_N3HW[:: -(-len(x_N3HW) // _SAMPLE)]).flatten(1)
    finest, coarsest = 1 / 64, 1024.0
    for _ in range(12):
        middle = (finest * coarsest) ** 0.5
        if _PACKING * _entropy(_rounded(coefficients_NJ, middle)) / 8 > bytes_each:
            finest = middle
        else:
            coarsest = middle
    return float(torch.tensor(coarsest).half())


def _by_parts(function: Callable[[Tensor], Tensor], x_CK3HW: Tensor) -> Tensor:
    """The function of some classes at a time: double precision of all would take gigabytes."""
    return torch.cat([function(part) for part in x_CK3HW.split(max(1, _VALUES_AT_ONCE // x_CK3HW[0].numel()))])


def _coefficients(levels: Tensor) -> Tensor:
    """Of images (..., 3, H, H), float64."""
    x = levels.double() - _GREY
    colours_33, cosines_FH = _transforms(x)
    return cosines_FH @ torch.einsum("dc,...chw->...dhw", colours_33, x) @ cosines_FH.t()


def _levels(coefficients: Tensor) -> Tensor:
    """The images of such coefficients."""
    colours_33, cosines_FH = _transforms(coefficients)
    return cosines_FH.t() @ torch.einsum("dc,...dhw->...chw", colours_33, coefficients) @ cosines_FH + _GREY


def _rounded(coefficients: Tensor, step: float) -> Tensor:
    magnitudes = (coefficients.abs() / step).add_(1 - _UP).floor_().clamp_(max=_LARGEST)
    return magnitudes.copysign_(coefficients).to(torch.int16)


def _entropy(codes_NJ: Tensor) -> float:
    """Bits of a prototype if each coefficient had a code of its own."""
    codes_NJ = codes_NJ.long().clamp_(-_COUNTED, _COUNTED) + _COUNTED
    values = 2 * _COUNTED + 1
    codes_NJ += values * torch.arange(codes_NJ.shape[1], device=codes_NJ.device)
    share_V = codes_NJ.flatten().bincount() / len(codes_NJ)
    return -float(torch.special.xlogy(share_V, share_V).sum()) / float(np.log(2))


def _transforms(like: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal: of colours, (3, 3), and of rows or columns, (H, H), of frequencies by positions."""
    colours_33 = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=like.dtype, device=like.device)
    positions_H = torch.arange(like.shape[-1], dtype=like.dtype, device=like.device)
    cosines_FH = torch.cos(pi * positions_H[:, None] * (positions_H + 0.5) / len(positions_H))
    return torch.nn.functional.normalize(colours_33, dim=1), torch.nn.functional.normalize(cosines_FH, dim=1)
