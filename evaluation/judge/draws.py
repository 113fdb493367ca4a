"""All randomness of a round, from its seed: initial weights, shuffles and augmentation draws.

Every pass has its own generator, seeded from the round's seed and the pass's index, on the CPU. So engines and devices
share exactly the same draws, and a judgement resumes at any step without a generator's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from evaluation.judge.dsa import Draw, draw


def derived_seed(seed: int, *path: int | str) -> int:
    """A seed in [0, 2^63) for one use of `seed`, unrelated to those of other uses."""
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def round_seed(judge_seed: int, index: int) -> int:
    """The seed of the round with this index."""
    return derived_seed(judge_seed, "round", index)


@dataclass(frozen=True)
class PassDraws:
    """The random choices of one pass.

    Attributes:
        order: int64 (N,), the shuffle.
        kinds, uniforms: the augmentation of each step; its float32 (3, N), in the order of the shuffle.
        batch_size: images per step; the last step may have fewer.
    """

    order: Tensor
    kinds: tuple[str, ...]
    uniforms: Tensor
    batch_size: int

    def to(self, device: torch.device) -> PassDraws:
        """The same draws on `device`, copied once for the whole pass, without synchronising with it."""
        order, uniforms = self.order, self.uniforms
        if device.type == "cuda":
            order, uniforms = order.pin_memory(), uniforms.pin_memory()
        return PassDraws(
            order.to(device, non_blocking=True), self.kinds, uniforms.to(device, non_blocking=True), self.batch_size
        )

    def batches(self, first: int = 0) -> Iterator[tuple[Tensor, Draw]]:
        """Indices int64 (B,) into the training images and the augmentation, of each step from `first` on."""
        for step in range(first, len(self.kinds)):
            part = slice(step * self.batch_size, (step + 1) * self.batch_size)
            yield self.order[part], Draw(self.kinds[step], self.uniforms[:, part])


def draw_pass(seed: int, index: int, images: int, batch_size: int) -> PassDraws:
    """The draws of the pass with this index, in a round with this seed, over this many images."""
    generator = torch.Generator().manual_seed(derived_seed(seed, "pass", index))
    order_N = torch.randperm(images, generator=generator)
    drawn = [draw(len(part_B), generator) for part_B in order_N.split(batch_size)]
    return PassDraws(order_N, tuple(d.kind for d in drawn), torch.cat([d.uniforms for d in drawn], dim=1), batch_size)
