"""`distilled`: learned prototypes of each class, decoded once; no network in the run, thousands of images a second.

`submission.training.distilled` learns the prototypes. The images of a class go round them, so that as many images as
there are prototypes show each of them once; the next round shows their mirror images, and from then on each is mixed
with a little of another one of its class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from submission.contract.generator import Generator, GeneratorInfo, LoadContext
from submission.contract.seeded import uniform
from submission.contract.settings import number
from submission.contract.weights import OwnWeights, load_weights
from submission.distillation.stored import StoredPrototypes

_MOST = 3 * 10**8  # values of all prototypes in a file
MIX = number("mix", 0.3, 0.0, 0.5, "largest fraction of another prototype in images beyond the first two rounds")


class PrototypeRounds(Generator):
    """Shows the prototypes of the label's class, then their mirror images, then mixtures of two."""

    def __init__(self, prototypes_CK3HW: Tensor, mix: float = MIX.default, mirrored: bool = True) -> None:
        """`prototypes_CK3HW` in levels of 255; `mirrored`: a mirror image shows the same class."""
        self._prototypes_CK3HW = prototypes_CK3HW
        self._count = prototypes_CK3HW.shape[1]
        self._mix = mix
        self._mirrored = mirrored

    @torch.inference_mode()
    def generate(self, labels_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate`: any prototype, mirrored or not, mixed with another; `steps` has no effect."""
        u_B4 = uniform(seeds_B, 4)
        which_B, mirror_B = _below(u_B4[:, 0], self._count), u_B4[:, 1] < 0.5
        return self._mixed(labels_B, which_B, mirror_B, u_B4[:, 2], self._weights(u_B4[:, 3]))

    @torch.inference_mode()
    def generate_numbered(self, labels_B: Tensor, indices_B: Tensor, seeds_B: Tensor, steps: int) -> Tensor:
        """See `Generator.generate_numbered`; `steps` has no effect."""
        u_B2, round_B = uniform(seeds_B, 2, skip=2), indices_B // self._count
        unmixed_B = round_B < (2 if self._mirrored else 1)
        weight_B = self._weights(u_B2[:, 1]).masked_fill_(unmixed_B, 0)
        return self._mixed(labels_B, indices_B % self._count, round_B % 2 == 1, u_B2[:, 0], weight_B)

    def _weights(self, u_B: Tensor) -> Tensor:
        """How much of another prototype is mixed in: at least half of the most, so that no two images are the same."""
        return self._mix * (1 + u_B) / 2

    def _mixed(self, labels_B: Tensor, which_B: Tensor, mirror_B: Tensor, u_B: Tensor, weight_B: Tensor) -> Tensor:
        """Prototype `which_B` with `weight_B` of another, chosen by `u_B`, uniform in (0, 1); mirrored or not."""
        device = self._prototypes_CK3HW.device
        other_B = (which_B + 1 + _below(u_B, max(self._count - 1, 1))) % self._count
        labels_B, which_B, other_B = labels_B.to(device), which_B.to(device), other_B.to(device)
        mix_B111 = weight_B.float().to(device).view(-1, 1, 1, 1)
        x_B3HW = self._prototypes_CK3HW[labels_B, which_B].lerp(self._prototypes_CK3HW[labels_B, other_B], mix_B111)
        if self._mirrored:
            x_B3HW = torch.where(mirror_B.to(device).view(-1, 1, 1, 1), x_B3HW.flip(3), x_B3HW)
        return x_B3HW.round_().clamp_(0, 255).to(torch.uint8)


class Distilled(OwnWeights, PrototypeRounds):
    """The prototypes that a weights file holds."""

    info = GeneratorInfo(
        name="distilled",
        summary="learned prototypes of each class that look to a classifier as real images do; no network in the run",
        default_batch=1000,
        parts=True,
        settings=(MIX,),
        useful_ipc={"cifar100": 100, "tiny-imagenet": 20},  # its prototypes, once each
        weights_from="shipped with the project",
    )

    @classmethod
    def load(cls, context: LoadContext) -> Distilled:
        path = context.weights or cls.find_weights(context.challenge, None)
        settings = cls.resolve_settings(context.settings, path)
        tensors, header = load_weights(path, cls.info.name, context.challenge)
        try:
            stored = StoredPrototypes.unpack(tensors, _MOST)
        except ValueError as error:
            raise ValueError(f"{path}: {error}; train it again") from None
        return cls(stored.decode().to(context.device), settings[MIX], header.model["mirrored"])


def _below(u_B: Tensor, count: int) -> Tensor:
    """Uniform numbers in (0, 1) as integers in [0, count)."""
    return (u_B * count).long().clamp_(max=count - 1)
