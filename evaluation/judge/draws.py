"""All randomness of a round, from its seed: initial weights, shuffles and augmentation draws.

Every pass has its own generator, seeded from the round's seed and the pass's index, on the CPU. So engines and devices
share exactly the same draws, and a judgement resumes at any step without a generator's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import torch
from torch import Tensor

from evaluation.judge.dsa import KINDS, Draw, draw


def derived_seed(seed: int, *path: int | str) -> int:
    """A seed in [0, 2^63) for one use of `seed`, unrelated to those of other uses."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def round_seed(judge_seed: int, index: int) -> int:
    """The seed of the round with this index."""
    return derived_seed(judge_seed, "round", index)


@dataclass(frozen=True)
class PassDraws:
    """The random choices of one pass, or of some steps of it that follow each other.

    Attributes:
        order: int64 (N,), the shuffle.
        kinds, codes: the augmentation of each step by its name; int32 (S,), by its place in `KINDS`.
        uniforms: the augmentations' float32 (3, N), in the order of the shuffle.
        batch_size: images per step; the last step may have fewer.
    """

    order: Tensor
    kinds: tuple[str, ...]
    codes: Tensor
    uniforms: Tensor
    batch_size: int

    def __len__(self) -> int:
        """Steps."""
        return len(self.kinds)

    def to(self, device: torch.device) -> PassDraws:
        """The same draws on `device`, copied once for the whole pass, without synchronising with it."""

        def copied(tensor: Tensor) -> Tensor:
            return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)

        return self._with(*map(copied, self.tensors))

    def clone(self) -> PassDraws:
        """The same draws in memory of their own."""
        return self._with(*(tensor.clone() for tensor in self.tensors))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """What of it is in a device's memory."""
        return self.order, self.codes, self.uniforms

    def _with(self, order: Tensor, codes: Tensor, uniforms: Tensor) -> PassDraws:
        return replace(self, order=order, codes=codes, uniforms=uniforms)

    def parts(self, most: int, first: int = 0) -> Iterator[PassDraws]:
        """The steps from `first` on, `most` of them at a time, as views.

        Parts end at the same steps wherever they begin, so that few of them differ in size.
        """
        begin = first
        while begin < len(self):
            end = min((begin // most + 1) * most, len(self))
            images = slice(begin * self.batch_size, end * self.batch_size)
            steps = slice(begin, end)
            yield PassDraws(
                self.order[images], self.kinds[steps], self.codes[steps], self.uniforms[:, images], self.batch_size
            )
            begin = end

    def batches(self) -> Iterator[tuple[Tensor, Draw]]:
        """Of each step, indices int64 (B,) into the training images and the augmentation."""
        for part in self.parts(1):
            yield part.order, Draw(part.kinds[0], part.uniforms, part.codes[0])


def draw_pass(seed: int, index: int, images: int, batch_size: int) -> PassDraws:
    """The draws of the pass with this index, in a round with this seed, over this many images."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "pass", index))
    order_N = torch.randperm(images, generator=generator)
    drawn = [draw(len(part_B), generator) for part_B in order_N.split(batch_size)]
    kinds = tuple(d.kind for d in drawn)
    codes = torch.tensor([KINDS.index(kind) for kind in kinds], dtype=torch.int32)
    return PassDraws(order_N, kinds, codes, torch.cat([d.uniforms for d in drawn], dim=1), batch_size)
